"""How fast lines settle on a durable PostgreSQL: `make bench`. Prints ratios of one run, which travel between machines.

world.py makes lines to settle, ours.py settles them, copying.py writes the very same rows with COPY alone, and
hordak_side.py posts the same legs with django-hordak, in an environment of its own.
"""
