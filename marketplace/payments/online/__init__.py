"""Paying on line: the means a buyer chooses, the provider's pages opened for it, and how each of them ended."""
