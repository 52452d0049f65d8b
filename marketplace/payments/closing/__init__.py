"""Guarantees, the closing of linkage periods, and the pools that wait for evidence."""
