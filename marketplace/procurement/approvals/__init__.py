"""Approval of a unit's orders: chains by amount, limits of approvers, deputies, and each decision kept."""
