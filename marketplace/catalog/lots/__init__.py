"""The lots behind a product: which are sold as it, since when they keep, and until which day they may be sold."""
