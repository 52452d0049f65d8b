"""Cooperatives: the application to sell, the own profile, the public page."""
