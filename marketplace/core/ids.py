"""Opaque public numbers, and random keys.

Inside, rows have integer keys. Outside (pages, links, slips) they have a public number that tells nothing about
how many there are and is safe to read over the phone: Crockford base 32 without I, L, O and U.
"""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PUBLIC_LENGTH = 10


def public_no(prefix: str) -> str:
    """A new opaque public number such as `H-7K3Q9XW2M4` (50 random bits after the prefix)."""
    return f"{prefix}-{''.join(secrets.choice(ALPHABET) for _ in range(PUBLIC_LENGTH))}"


def random_key() -> str:
    """A new idempotency key for a form: 128 random bits in URL-safe text."""
    return secrets.token_urlsafe(16)
