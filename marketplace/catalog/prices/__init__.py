"""The price guard: what the same goods cost elsewhere, and what may cost more only with an accepted reason."""
