"""Refunds: asked by a buyer, decided by the cooperative, taken back from credits without touching paid cash."""
