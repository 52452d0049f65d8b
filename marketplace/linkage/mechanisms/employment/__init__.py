"""就业务工: people of a household work for the cooperative, by the hour or by the piece, day by day."""
