"""The checkout of a unit: delivery day, budget line, terms of payment, and who will approve."""
