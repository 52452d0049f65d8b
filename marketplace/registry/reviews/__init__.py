"""Configurable reviews: who decides what in which order, public notices, objections."""
