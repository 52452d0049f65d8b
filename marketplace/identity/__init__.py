"""Who acts: users, organisations, roles, permissions, the trail of who did what."""
