"""Read-only pages: desks and statements."""
