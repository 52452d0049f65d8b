"""Reading any number of rows in portions, so that memory and the time of a statement do not grow with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Row, Select
from sqlalchemy.orm import Session

PORTION_ROWS = 1_000


def in_portions(session: Session, query: Select[Any], key: ColumnElement[int]) -> Iterator[Row[Any]]:
    """The rows of `query` in the order of `key`, a unique number, which is its first column; a statement a portion."""
    size, last = PORTION_ROWS, None
    while True:
        portion = query if last is None else query.where(key > last)
        rows = session.execute(portion.order_by(key).limit(size)).all()
        yield from rows
        if len(rows) < size:
            return
        last = rows[-1][0]
