"""Invoices of cooperatives over what units accepted: uploaded, checked by the payer, corrected by red letters."""
