"""Budget lines of a unit: what was granted for a purpose and a year, and what orders have taken of it."""
