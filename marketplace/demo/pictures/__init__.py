"""Drawn pictures for the demo: flat still lifes by Pillow, the same for the same seed. No photographs, no models."""
