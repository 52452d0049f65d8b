"""Append-only double entry: accounts, entries, transfers, and their checks."""
