"""What a cooperative has on the shelf: units of each product, the lots behind them, and how long they will last."""
