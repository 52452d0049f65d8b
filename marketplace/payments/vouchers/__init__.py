"""Pick-up vouchers (提货券): bought by a union, redeemed once at the cooperative, returned when they lapse."""
