"""Carts: kept for who has signed in, in a cookie for a guest; what changed in one since its owner looked."""
