"""Opaque public numbers, and random keys.

Inside, rows have integer keys. Outside (pages, links, slips) they have a public number that tells nothing about
how many there are and is safe to read over the phone: Crockford base 32 without I, L, O and U.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PUBLIC_LENGTH = 10
_SYMBOL_OF_BYTE = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))  # each symbol stands for 8 bytes

Draw = Callable[[str, int], int]
_draw: ContextVar[Draw | None] = ContextVar("draw", default=None)


def random_bits(count: int, *, purpose: str) -> int:
    """`count` random bits for `purpose`, such as the prefix of a number: the operating system's, but in the demo."""
    draw = _draw.get()
    return draw(purpose, count) if draw else secrets.randbits(count)


@contextmanager
def drawn_by(draw: Draw) -> Iterator[None]:
    """Inside the block `draw(purpose, count)` gives the bits, so that the same demo has the same numbers."""
    token = _draw.set(draw)
    try:
        yield
    finally:
        _draw.reset(token)


def public_no(prefix: str, *, length: int = PUBLIC_LENGTH) -> str:
    """A new opaque public number such as `H-7K3Q9XW2M4` (5 random bits a character after the prefix).

    Tables that will hold many millions of rows ask for a greater `length`, so that two never meet.
    """
    bits = random_bits(5 * length, purpose=prefix)
    return f"{prefix}-{''.join(ALPHABET[bits >> shift & 31] for shift in range(0, 5 * length, 5))}"


def public_nos(prefix: str, count: int, *, length: int = PUBLIC_LENGTH) -> list[str]:
    """`count` new public numbers, as `public_no` makes them one by one, from one block of random bytes."""
    if _draw.get():
        return [public_no(prefix, length=length) for _ in range(count)]
    symbols = secrets.token_bytes(length * count).translate(_SYMBOL_OF_BYTE).decode()
    return [f"{prefix}-{symbols[start : start + length]}" for start in range(0, length * count, length)]


def random_key() -> str:
    """A new idempotency key for a form: 128 random bits in URL-safe text."""
    return secrets.token_urlsafe(16)
