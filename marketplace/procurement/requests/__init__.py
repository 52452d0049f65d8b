"""Supply and demand posted online: requests of canteens, offers of cooperatives, the award, supplies, and matches."""
