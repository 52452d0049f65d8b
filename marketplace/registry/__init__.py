"""Who exists: regions, households, cooperatives, buyer units, and their reviews."""
