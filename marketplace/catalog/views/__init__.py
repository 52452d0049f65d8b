"""The pages of the catalogue: the storefront anybody sees, and the workshop of a cooperative."""
