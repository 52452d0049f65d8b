"""The cooperative's packing table: confirming, picking by lot, labels, and shipping many orders at once."""
