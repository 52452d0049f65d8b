"""Choosing a place: county, township, village, each list following from the choice above it."""
