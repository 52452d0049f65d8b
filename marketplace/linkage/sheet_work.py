"""Work on a whole sheet, checking it or taking its good rows: a short one is done at once, a long one by the worker in
passes of ROWS_A_PASS rows, each one transaction.

It may be stopped between two passes and goes on where it stopped: what is taken stays taken, the rest is untouched.
Each pass of a check records its rows and takes all of them back, so it says what recording them would say; what hangs
on rows of an earlier pass is found when the rows are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, ForeignKey, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from marketplace.core.clock import now
from marketplace.core.db import UtcInstant, code_of
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.actors import VISITOR, Actor, actor_of
from marketplace.identity.models import User
from marketplace.linkage.sheet_format import Finding

ROWS_A_PASS = 200


class SheetState(LabelledEnum):
    """Checked: nothing is recorded yet. Taken: the good rows are."""

    CHECKING = "checking", N_("正在检查")
    CHECKED = "checked", N_("待确认")
    TAKING = "taking", N_("正在录入")
    TAKEN = "taken", N_("已录入")


GOING_ON = (SheetState.CHECKING, SheetState.TAKING)
STOPPED = "stopped_at IS NULL OR rows_done < rows_total"
SWEPT = text("state IN ('checking', 'taking') AND stopped_at IS NULL")  # what the worker looks for
WITHIN = "rows_done >= 0 AND rows_done <= rows_total"


class SheetWork:
    """The columns of a sheet that is worked on: of `rows_total` rows that could be read `rows_done` are done; counts
    and findings are of them and of the rows that could not be read. `asked_by` began or resumed the work."""

    state: Mapped[SheetState] = mapped_column(code_of(SheetState, "state"), default=SheetState.CHECKING)
    rows_total: Mapped[int] = mapped_column(default=0)
    rows_done: Mapped[int] = mapped_column(default=0)
    rows_good: Mapped[int] = mapped_column(default=0)
    rows_bad: Mapped[int] = mapped_column(default=0)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    stopped_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    @property
    def is_open(self) -> bool:
        """Whether work on it goes on by itself."""
        return self.state in GOING_ON and self.stopped_at is None

    def begin(self, actor: Actor, state: SheetState, rows_total: int, unread: Sequence[Finding]) -> None:
        """Begin to check or to take it anew: `unread` is what is wrong with rows that could not be read."""
        self.state, self.stopped_at, self.asked_by = state, None, actor.user_id
        self.rows_total, self.rows_done, self.rows_good, self.rows_bad = rows_total, 0, 0, 0
        self.findings = []
        self._note(unread)

    def add(self, done: int, good: int, findings: Sequence[Finding]) -> None:
        """Count what came of `done` further rows."""
        self.rows_done += done
        self.rows_good += good
        self._note(findings)

    @property
    def is_through(self) -> bool:
        """Whether every row is done."""
        return self.rows_done == self.rows_total

    def _note(self, findings: Sequence[Finding]) -> None:
        self.rows_bad += len({finding.row for finding in findings})
        self.findings = sorted(
            [*self.findings, *(asdict(finding) for finding in findings)], key=lambda one: one["row"]
        )


@contextmanager
def tried(session: Session) -> Iterator[None]:
    """Take back whatever is recorded inside: so a check says what recording would say."""
    session.flush()
    attempt = session.begin_nested()
    try:
        yield
    finally:
        attempt.rollback()


def goes_on(table: type[SheetWork]) -> ColumnElement[bool]:
    """The condition that work on a sheet goes on by itself."""
    return table.state.in_(GOING_ON) & table.stopped_at.is_(None)


def stop_work(session: Session, sheet: SheetWork) -> None:
    """Do no further row of a held sheet; stopping twice changes nothing. Raises Conflict when all are done."""
    if sheet.state not in GOING_ON:
        raise Conflict("sheet_done", N_("这份表格已经处理完，没有什么可以停下的"))
    sheet.stopped_at = sheet.stopped_at or now()
    session.flush()


def resume_work(session: Session, actor: Actor, sheet: SheetWork) -> bool:
    """Go on with a sheet that was stopped, which is held, in the name of the actor; returns whether it was."""
    if sheet.stopped_at is None:
        return False
    sheet.stopped_at, sheet.asked_by = None, actor.user_id
    session.flush()
    return True


def asker_of(session: Session, sheet: SheetWork) -> Actor:
    """Who began or resumed the work, with what they may do today: nothing once their account is disabled."""
    asker = session.get_one(User, sheet.asked_by)
    return VISITOR if asker.disabled_at else actor_of(asker)
