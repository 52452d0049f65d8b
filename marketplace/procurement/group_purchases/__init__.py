"""Group purchases of staff: one basket with a deadline, paid by each person or by the union, delivered once."""
