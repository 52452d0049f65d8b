"""The demo: one year of a small market, made through the real rules. The same seed makes the same market."""
