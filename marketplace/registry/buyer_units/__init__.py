"""Buyer units: the canteens that buy, registered by the operator, and the four duties of their people."""
