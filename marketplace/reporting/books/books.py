"""The books there are: how many rows a span of days has, and writing them, at once or by the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.core.workbooks import XLSX
from marketplace.identity.actors import Actor
from marketplace.identity.downloads.kinds import FileKind, Making
from marketplace.identity.permissions import Permission
from marketplace.reporting.books import queries, sheets

P = Permission
BUYERS = (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
READERS = (*BUYERS, P.FULFIL_ORDERS, P.READ_AUDIT)
ROWS_A_READ = 500


@dataclass(frozen=True)
class Book:
    """A book: its name (a source string), its rows over the days [since, until], and the workbook they make."""

    label: str
    count: Callable[[Session, Actor, date, date], int]
    rows: Callable[[Actor, date, date], Select[Any]]
    write: Callable[..., bytes]
    scalars: bool

    def rows_of(self, session: Session, actor: Actor, since: date, until: date) -> Iterable[Any]:
        """The rows, read in portions: a book of any length needs no more memory than a short one."""
        read = session.execute(self.rows(actor, since, until)).yield_per(ROWS_A_READ)
        return read.scalars() if self.scalars else read


BOOKS = {
    "orders": Book(
        N_("订单簿"), queries.count_ordered, queries.ordered_lines, sheets.order_book, scalars=False
    ),
    "acceptances": Book(
        N_("验收报告"),
        queries.count_inspected,
        queries.inspected_lines,
        sheets.acceptance_report,
        scalars=True,
    ),
}


def _kind_of(book: Book) -> FileKind:
    def write(making: Making) -> None:
        since, until = (date.fromisoformat(making.params[end]) for end in ("since", "until"))
        rows = book.rows_of(making.session, making.actor, since, until)
        book.write(
            making.followed(rows), title=making.title, translate=making.translate, target=making.target
        )

    return FileKind(book.label, READERS, XLSX, "xlsx", write)


FILE_KINDS = {f"book_{name}": _kind_of(book) for name, book in BOOKS.items()}
