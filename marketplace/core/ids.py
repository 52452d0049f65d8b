"""Opaque public numbers, and random keys.

Inside, rows have integer keys. Outside (pages, links, slips) they have a public number that tells nothing about
how many there are and is safe to read over the phone: Crockford base 32 without I, L, O and U.
"""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PUBLIC_LENGTH = 10


def public_no(prefix: str, *, length: int = PUBLIC_LENGTH) -> str:
    """A new opaque public number such as `H-7K3Q9XW2M4` (5 random bits a character after the prefix).

    Tables that will hold many millions of rows ask for a greater `length`, so that two never meet.
    """
    bits = secrets.randbits(5 * length)
    return f"{prefix}-{''.join(ALPHABET[bits >> shift & 31] for shift in range(0, 5 * length, 5))}"


def random_key() -> str:
    """A new idempotency key for a form: 128 random bits in URL-safe text."""
    return secrets.token_urlsafe(16)
