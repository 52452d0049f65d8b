"""Addresses that a person keeps for ordering."""
