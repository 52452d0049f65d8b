"""Certificates of goods: their numbers, their way from application to revocation, fees waived, caps on use, proof."""
