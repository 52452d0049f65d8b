"""The money of deposits: taken in by remittance code, set off against bills, given back."""
