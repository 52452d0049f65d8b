"""Guides for each role, and the first steps a new reader is shown."""
