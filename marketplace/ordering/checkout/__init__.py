"""The checkout of a personal order."""
