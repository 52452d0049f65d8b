"""Measurements: each prints ratios of one run, and none of them is part of the test suite."""
