"""Money in and out: gateways, receipts, bank statements, settlement."""
