"""What anybody sees first: home, and where the goods and the income are, county by county. No personal data."""
