"""Comparing what the provider and the bank say with the ledger, day by day; differences wait for two people."""
