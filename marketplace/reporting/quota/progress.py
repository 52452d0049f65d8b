"""How far a unit is with its quota of a year: what was filed, what counts, what is on the way, what never counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import OrderPart
from marketplace.procurement.quota.models import CanteenSharingMember, QuotaFiling
from marketplace.procurement.quota.queries import (
    RuleOfYear,
    cover_of,
    covered_units,
    filing_in_force,
    membership_of,
    rule_for,
)
from marketplace.registry.models import BuyerUnit
from marketplace.reporting.quota.counting import (
    FEWEST_BUYERS,
    NET_FEN,
    Missing,
    counted_of,
    missing_of,
    pending_lines_of,
    personal_purchases_of,
    union_purchases_of,
)
from marketplace.reporting.quota.pace import Pace, days_of
from marketplace.web.tasks import Task

POINTS_TO_MIND = 5  # percent of the reserve behind an even pace before anybody is reminded


@dataclass(frozen=True)
class Pending:
    """Orders on the way that lack one thing: their number of parts and their value in fen."""

    parts: int = 0
    amount_fen: int = 0


@dataclass(frozen=True)
class Progress:
    """A unit's year. Of a shared canteen everything is the canteen's, whichever of its units is asked for.

    `pace` is None until a filing is in force; `personal_fen` is None where so few bought that it is withheld.
    """

    unit: BuyerUnit
    year: int
    rule: RuleOfYear | None
    filing: QuotaFiling | None
    membership: CanteenSharingMember | None
    unit_ids: tuple[int, ...]
    counted_fen: int
    pending: Mapping[Missing, Pending]
    union_fen: int
    personal_fen: int | None
    days_elapsed: int
    days_in_year: int

    @property
    def pace(self) -> Pace | None:
        """What was filed against what counts."""
        if self.filing is None:
            return None
        return Pace(
            self.filing.base_fen,
            self.filing.reserve_fen,
            self.counted_fen,
            self.days_elapsed,
            self.days_in_year,
        )

    @property
    def scope(self) -> list[str]:
        """The branches of the category tree that count; empty when all goods do."""
        if self.filing is not None:
            return self.filing.rule.category_codes
        return self.rule.rule.category_codes if self.rule else []


def progress_of(session: Session, unit: BuyerUnit, year: int) -> Progress:
    """The year of a unit, in a fixed number of statements."""
    cover = cover_of(session, unit.id, year)
    unit_ids = covered_units(session, cover.filer_id if cover else unit.id, year)
    filing = filing_in_force(session, unit.id, year)
    rule = rule_for(session, unit.county_code, year)
    found = filing.rule if filing is not None else rule.rule if rule else None
    codes = found.category_codes if found else []
    counted_fen = session.scalar(counted_of(unit_ids, year, codes, func.sum(NET_FEN)))
    personal_fen, buyers = session.execute(personal_purchases_of(unit_ids, year)).one()
    elapsed, in_year = days_of(year, today())
    return Progress(
        unit=unit,
        year=year,
        rule=rule,
        filing=filing,
        membership=membership_of(session, unit.id, year),
        unit_ids=tuple(unit_ids),
        counted_fen=int(counted_fen or 0),
        pending=_pending(session, unit_ids, codes) if year == today().year else {},
        union_fen=int(session.execute(union_purchases_of(unit_ids, year)).one()[0]),
        personal_fen=int(personal_fen) if buyers == 0 or buyers >= FEWEST_BUYERS else None,
        days_elapsed=elapsed,
        days_in_year=in_year,
    )


def _pending(session: Session, unit_ids: Sequence[int], codes: Sequence[str]) -> dict[Missing, Pending]:
    missing = missing_of().label("missing")
    columns = (missing, func.count(OrderPart.id.distinct()), func.sum(NET_FEN))
    query = pending_lines_of(unit_ids, codes, *columns).group_by(missing)
    found = {Missing(code): Pending(parts, int(fen)) for code, parts, fen in session.execute(query)}
    return {step: found.get(step, Pending()) for step in Missing}


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What a unit's people are to mind this year: falling behind the even pace, purchases that count once evaluated."""
    orders, receives = actor.can(Permission.ORDER_FOR_UNIT), actor.can(Permission.RECEIVE_FOR_UNIT)
    if actor.buyer_unit_id is None or not (orders or receives):
        return []
    progress = progress_of(session, session.get_one(BuyerUnit, actor.buyer_unit_id), today().year)
    tasks = []
    if orders and progress.pace is not None and progress.pace.points_behind >= POINTS_TO_MIND:
        behind = progress.pace.points_behind
        message = NN_("预留份额比均匀进度落后 %(count)s 个百分点")
        tasks.append(Task(message, behind, "quota_reports.own"))
    unevaluated = progress.pending.get(Missing.EVALUATION, Pending()).parts
    if receives and unevaluated:
        message = NN_("%(count)s 笔采购评价后才计入预留份额")
        tasks.append(Task(message, unevaluated, "quota_reports.own"))
    return tasks
