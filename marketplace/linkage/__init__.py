"""What households are owed: agreements, evidence, lots, entitlements, attribution."""
