"""What a whole sheet brings in at once: reference prices, listings. Checked first, looked at, then taken."""
