"""How far long work is. A job carries no data: its room reads this from the rows the job writes, page by page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`message` (a Chinese source string) says what is being done now; `done` of `total` whole units of it are.

    `can_stop` is True while somebody may still stop it.
    """

    message: str
    done: int
    total: int
    can_stop: bool = True
