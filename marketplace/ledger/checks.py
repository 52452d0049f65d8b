"""What a check of stored rows is, and the runner that asks them, for the ledger and for every room above it.

A check reads and changes nothing. It works in the database or in chunks and keeps a bounded number of findings, so that
memory stays small however long the history is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

MAX_FINDINGS = 100  # of one check; more say nothing new and must not fill the memory
CHUNK = 500
Rows = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Finding:
    """What is wrong and where: a Chinese message with its parameters, translated at the edge."""

    check: str
    message: str
    params: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message % self.params


Answer = tuple[int, list[Finding]]  # how many rows were examined, and the first findings


@dataclass(frozen=True)
class Check:
    """One question: `name` is stable, `description` for people, `examine` reads and changes nothing."""

    name: str
    description: str
    examine: Callable[[Session], Answer]


@dataclass(frozen=True)
class Result:
    """The answer to one check."""

    check: Check
    examined: int
    findings: list[Finding]


def run_checks(session: Session, checks: Iterable[Check]) -> Iterator[Result]:
    """Ask `checks` one after the other, giving each answer as soon as it is known."""
    for check in checks:
        examined, findings = check.examine(session)
        yield Result(check, examined, findings)


def rows_found(session: Session, check: str, message: str, query: Rows) -> list[Finding]:
    """A finding for each of the first rows of `query`, whose columns are the message's parameters."""
    rows = session.execute(query.limit(MAX_FINDINGS)).mappings()
    return [Finding(check, message, dict(row)) for row in rows]


def count_of(session: Session, model: type[Any], *conditions: ColumnElement[bool]) -> int:
    """How many rows of `model` meet all `conditions`."""
    return session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0
