"""What a unit adds to buying, a folder for each part of its year, from the quota it files to what it evaluates."""
