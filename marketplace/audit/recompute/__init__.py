"""Deriving the money of households again, from evidence, terms and events, to compare it with what is stored."""
