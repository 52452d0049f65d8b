"""Channels that take money: one protocol, a card channel (Stripe) and bank transfer. No database here."""
