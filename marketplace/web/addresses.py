"""Addresses that come from a reader: where to go on, and nowhere but on this site."""

from __future__ import annotations

import re

_OWN_PATH = re.compile(r"/(?![/\\])[^\x00-\x1f\x7f\\]*")


def own_path(asked: str | None, otherwise: str) -> str:
    """`asked` when it is a path of this site, else `otherwise`.

    Browsers drop tabs and line ends from an address and read a backslash as a slash, so that a path with one of them
    may lead elsewhere.
    """
    return asked if asked and _OWN_PATH.fullmatch(asked) else otherwise
