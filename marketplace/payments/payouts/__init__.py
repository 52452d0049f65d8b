"""Payouts: household bank accounts, batches that two people agree to, the bank's file, and what the bank answers."""
