"""What a sheet of the catalogue is: its columns, who may bring one, and what records a row.

Columns, cells and findings are read as those of evidence sheets are (linkage/sheet_format.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.sheet_format import SheetRow, SheetShape

Take = Callable[[SheetRow], object]
OpenRows = Callable[[Session, Actor, Sequence[SheetRow]], Take]


@dataclass(frozen=True)
class CatalogFormat(SheetShape):
    """One kind of sheet. `begin(session, actor, rows)` is called once with every row that could be read and returns
    what records one; whatever that refuses becomes a finding of the row, and nothing of the row is kept."""

    permission: Permission
    begin: OpenRows
