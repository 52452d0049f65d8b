"""Chinese search over listings: plain documents in, listing numbers and facets out; no database models."""
