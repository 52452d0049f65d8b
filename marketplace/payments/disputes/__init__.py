"""Disputes: a payer asked the bank for the money back; what is held, what is answered, who bears a loss."""
