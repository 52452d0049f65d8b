"""Bounded pages of a list: numbered pages for people, cursors for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask import request
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound

T = TypeVar("T")
PAGE_SIZE = 20
MAX_PAGE = 5_000
MOST_DIGITS = 9


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of rows; `total` counts all of them."""

    rows: list[T]
    number: int
    size: int
    total: int

    @property
    def count(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.size))

    @property
    def has_next(self) -> bool:
        """Whether a page follows."""
        return self.number < self.count

    @property
    def has_previous(self) -> bool:
        """Whether a page goes before."""
        return self.number > 1


def requested_page(most: int = MAX_PAGE) -> int:
    """The page number in the address (`?page=`), 1 when absent. Raises NotFound for nonsense."""
    number = whole_number(request.args.get("page", "1"))
    if number is None or not 1 <= number <= most:
        raise NotFound
    return number


def whole_number(text: str) -> int | None:
    """A number typed in digits; None for anything else, and for one too long to mean anything."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def page_of(
    session: Session, query: Select[Any], *, size: int = PAGE_SIZE, scalars: bool = True
) -> Page[Any]:
    """The requested page of `query`, in two statements: the count and the rows."""
    number = requested_page()
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    limited = query.limit(size).offset((number - 1) * size)
    rows = session.scalars(limited).unique().all() if scalars else session.execute(limited).all()
    return Page(rows=list(rows), number=number, size=size, total=total)
