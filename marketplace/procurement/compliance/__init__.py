"""Compliance certificates (合格证) of lots, and the papers that travel with goods."""
