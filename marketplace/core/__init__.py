"""Ground floor: no Flask, no nouns of the domain."""
