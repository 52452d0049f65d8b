"""Reading what the closing of a linkage period rests on: what each household is due, has and still misses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Subquery, case, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.mechanisms.asset_lease.queries import retained_by_village
from marketplace.linkage.models import LinkagePeriod, Mechanism, PeriodState
from marketplace.linkage.queries import periods_visible_to
from marketplace.payments.closing.models import ClosingState, PeriodClosing
from marketplace.payments.closing.shortfalls import due_figures
from marketplace.registry.models import Household, Region
from marketplace.web.tasks import Task

STREAM_ROWS = 2_000


@dataclass(frozen=True)
class Figures:
    """The sums of a period, or of one mechanism in it, in fen; `households` are distinct."""

    households: int = 0
    due_fen: int = 0
    credited_fen: int = 0
    standing_fen: int = 0
    top_up_fen: int = 0


@dataclass(frozen=True)
class FigureRow:
    """One household under one mechanism in a period."""

    mechanism: Mechanism
    household_id: int
    household_no: str
    head_name: str
    village_name: str
    due_fen: int
    credited_fen: int
    standing_fen: int
    top_up_fen: int


def period_by_no(session: Session, actor: Actor, period_no: str) -> LinkagePeriod:
    """One visible linkage period. Raises NotFound."""
    period = session.scalar(
        periods_visible_to(actor).order_by(None).where(LinkagePeriod.public_no == period_no)
    )
    if period is None:
        raise NotFound
    return period


def is_over(period: LinkagePeriod) -> bool:
    """Whether the last day of a period has passed."""
    return period.ends_on <= today()


def closing_of(session: Session, period_id: int) -> PeriodClosing | None:
    """The closing that a period has, prepared or confirmed; with the two people."""
    return session.scalar(
        select(PeriodClosing)
        .where(PeriodClosing.period_id == period_id, PeriodClosing.state != ClosingState.CANCELLED)
        .options(joinedload(PeriodClosing.preparer), joinedload(PeriodClosing.confirmer))
    )


def _figures(period_id: int) -> Subquery:
    figures = due_figures(lots=(), periods=(period_id,), closed_only=False)
    missing = figures.c.due_fen - figures.c.credited_fen - figures.c.standing_fen
    return select(*figures.c, case((missing > 0, missing), else_=0).label("top_up_fen")).subquery()


def figure_rows(period_id: int) -> Select[Any]:
    """What each household is due under each mechanism, has, and still misses; in the order of `FigureRow`'s fields."""
    figures = _figures(period_id)
    return (
        select(
            figures.c.mechanism,
            figures.c.household_id,
            Household.public_no,
            Household.head_name,
            Region.name,
            figures.c.due_fen,
            figures.c.credited_fen,
            figures.c.standing_fen,
            figures.c.top_up_fen,
        )
        .join(Household, Household.id == figures.c.household_id)
        .join(Region, Region.code == Household.village_code)
        .order_by(figures.c.mechanism, Household.village_code, figures.c.household_id)
    )


def all_figures(session: Session, period_id: int) -> Iterator[FigureRow]:
    """Every row of `figure_rows`, read bit by bit."""
    for row in session.execute(figure_rows(period_id).execution_options(yield_per=STREAM_ROWS)):
        mechanism, household_id, number, name, village, *fen = row
        due, credited, standing, missing = (int(one) for one in fen)
        yield FigureRow(mechanism, household_id, number, name, village, due, credited, standing, missing)


def totals_by_mechanism(session: Session, period_id: int) -> dict[Mechanism, Figures]:
    """The sums of a period for each mechanism, in the order of the mechanisms, in one statement."""
    figures = _figures(period_id)
    columns = (figures.c.due_fen, figures.c.credited_fen, figures.c.standing_fen, figures.c.top_up_fen)
    rows = session.execute(
        select(
            figures.c.mechanism,
            func.count(figures.c.household_id.distinct()),
            *(func.sum(column) for column in columns),
        ).group_by(figures.c.mechanism)
    )
    found = {row[0]: Figures(row[1], *(int(fen) for fen in row[2:])) for row in rows}
    return {mechanism: found[mechanism] for mechanism in Mechanism if mechanism in found}


def totals_of_period(session: Session, period_id: int) -> Figures:
    """The sums of a whole period, each household counted once."""
    by_mechanism = totals_by_mechanism(session, period_id).values()
    figures = _figures(period_id)
    households = session.scalar(select(func.count(figures.c.household_id.distinct()))) or 0
    return Figures(
        households,
        sum(one.due_fen for one in by_mechanism),
        sum(one.credited_fen for one in by_mechanism),
        sum(one.standing_fen for one in by_mechanism),
        sum(one.top_up_fen for one in by_mechanism),
    )


def figures_hash(session: Session, period_id: int) -> str:
    """SHA-256 of every figure of a period and of what the villages keep: the same as long as nothing has changed."""
    digest = hashlib.sha256()
    for row in all_figures(session, period_id):
        figures = [row.mechanism.value, row.household_id, row.due_fen, row.credited_fen, row.standing_fen]
        digest.update(json.dumps(figures).encode() + b"\n")
    digest.update(json.dumps(sorted(retained_by_village(session, period_id).items())).encode())
    return digest.hexdigest()


def villages_keeping(session: Session, period_id: int) -> list[tuple[str, int]]:
    """The names of the villages that keep a part of the rents of a period, and how much, in fen."""
    kept = retained_by_village(session, period_id)
    if not kept:
        return []
    named = session.execute(select(Region.code, Region.name).where(Region.code.in_(kept)))
    names = {row.code: row.name for row in named}
    return [(names[code], fen) for code, fen in kept.items() if fen]


# --- what waits ---


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """For a cooperative: periods that are over and not closed, and closings another person prepared."""
    if not actor.can(Permission.CLOSE_PERIODS) or actor.cooperative_id is None:
        return []
    own = (LinkagePeriod.cooperative_id == actor.cooperative_id) & (LinkagePeriod.state == PeriodState.OPEN)
    prepared = select(PeriodClosing.period_id).where(PeriodClosing.state == ClosingState.PREPARED)
    over = select(func.count(LinkagePeriod.id)).where(own, LinkagePeriod.ends_on <= today())
    theirs = (
        select(func.count(PeriodClosing.id))
        .join(PeriodClosing.period)
        .where(own, PeriodClosing.state == ClosingState.PREPARED, PeriodClosing.prepared_by != actor.user_id)
    )
    counted = (
        (over.where(LinkagePeriod.id.not_in(prepared)), NN_("%(count)s 个联结期已到期，可以准备关账")),
        (theirs, NN_("%(count)s 个联结期的关账等您确认")),
    )
    tasks = [Task(message, session.scalar(query) or 0, "linkage.periods") for query, message in counted]
    return [task for task in tasks if task.count]
