"""Buying: cart, checkout, states, lines and the lots they hold."""
