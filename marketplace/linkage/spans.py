"""Spans of days of one thing that never overlap, kept so by plain constraints that hold on SQLite and PostgreSQL.

A span holds from `starts_on` up to, not including, `ends_on`. Each names the end of the one before it
(`previous_ends_on`, empty for the first). A foreign key says that there is such a span, unique keys that no span has
two successors and no thing two first spans, a check that a span does not begin before the end of the one before it. So
the spans of a thing form one chain in time, and no two share a day.
"""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, select, text
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session

FOREVER = date(9999, 12, 31)


class Span:
    """The columns of a span [starts_on, ends_on). `previous_ends_on` is filled by `add_span`."""

    starts_on: Mapped[date]
    ends_on: Mapped[date]
    previous_ends_on: Mapped[date | None]


SpanRow = TypeVar("SpanRow", bound=Span)


def chained_by(table: str, key: str) -> tuple[Any, ...]:
    """The constraints that keep the spans of each `key` of `table` apart."""
    return (
        UniqueConstraint(key, "ends_on"),
        UniqueConstraint(key, "previous_ends_on"),
        Index(
            f"uq_{table}_first",
            key,
            unique=True,
            sqlite_where=text("previous_ends_on IS NULL"),
            postgresql_where=text("previous_ends_on IS NULL"),
        ),
        ForeignKeyConstraint(
            (key, "previous_ends_on"),
            (f"{table}.{key}", f"{table}.ends_on"),
            onupdate="CASCADE",
            deferrable=True,
            initially="DEFERRED",
        ),
        CheckConstraint("ends_on > starts_on", name="days"),
        CheckConstraint("previous_ends_on <= starts_on", name="after_previous"),
    )


def overlapping_span(
    session: Session, key: InstrumentedAttribute[Any], value: object, *, starts_on: date, ends_on: date
) -> Any:
    """The first span of the thing that shares a day with [starts_on, ends_on), or None."""
    model = key.class_
    query = select(model).where(key == value, model.starts_on < ends_on, model.ends_on > starts_on)
    return session.scalars(query.order_by(model.starts_on).limit(1)).first()


def add_span(session: Session, key: InstrumentedAttribute[Any], row: SpanRow) -> SpanRow:
    """Put `row` into its chain. The caller has asked `overlapping_span`; the constraints stand behind it."""
    model = key.class_
    same = key == getattr(row, key.key)
    before = select(model.ends_on).where(same, model.ends_on <= row.starts_on).order_by(model.ends_on.desc())
    after = select(model).where(same, model.starts_on >= row.ends_on).order_by(model.starts_on)
    row.previous_ends_on = session.scalars(before.limit(1)).first()
    successor = session.scalars(after.limit(1)).first()
    if successor is not None:  # first, because two spans may not name the same one before them
        successor.previous_ends_on = row.ends_on
        session.flush()
    session.add(row)
    session.flush()
    return row


def cut_span(session: Session, key: InstrumentedAttribute[Any], row: Span, *, ends_on: date) -> None:
    """End `row` with `ends_on` when it lasts longer, or take it away when it would not have begun by then."""
    if row.ends_on <= ends_on:
        return
    model = key.class_
    follows = select(model).where(key == getattr(row, key.key), model.previous_ends_on == row.ends_on)
    successor = session.scalars(follows).first()
    is_gone, before = row.starts_on >= ends_on, row.previous_ends_on
    if is_gone:
        session.delete(row)
    else:
        row.ends_on = ends_on  # the foreign key takes the span after it along
    session.flush()
    if successor is None:
        return
    if is_gone:
        successor.previous_ends_on = before
        session.flush()
    else:
        session.refresh(successor)
