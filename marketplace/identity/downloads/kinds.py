"""What a room says of a kind of file it lets people prepare. The table of all kinds is in `app.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from sqlalchemy.orm import Session

from marketplace.core.workbooks import Translate
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission

Row = TypeVar("Row")
Params = Mapping[str, Any]
ROWS_A_STEP = 500


@dataclass(frozen=True)
class Making:
    """What the writer of a file gets: who asked and for what, where the bytes go, and how words are translated.

    `note` is told how many rows are written; it raises what ends the writing when nobody wants the file any more.
    """

    session: Session
    actor: Actor
    params: Params
    title: str
    target: BinaryIO
    translate: Translate
    note: Callable[[int], None]

    def followed(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, with a word about each ROWS_A_STEP of them before the next is taken."""
        for done, row in enumerate(rows):
            if done % ROWS_A_STEP == 0:
                self.note(done)
            yield row


@dataclass(frozen=True)
class FileKind:
    """A kind of file: its name (a source string), who may have it, what it is, and how it is written.

    `write` reads everything in one transaction that sees one state of the database, and changes nothing.
    """

    label: str
    permissions: tuple[Permission, ...]
    media_type: str
    ending: str
    write: Callable[[Making], None]

    def is_open_to(self, actor: Actor) -> bool:
        """Whether the actor may have such a file."""
        return any(actor.can(permission) for permission in self.permissions)
