"""Files that take long to make: asked for, made by the worker, watched, cancelled, taken by who asked, and removed."""
