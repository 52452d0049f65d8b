"""What a cooperative sold: by month, by product, by buyer, and what of it reached households."""
