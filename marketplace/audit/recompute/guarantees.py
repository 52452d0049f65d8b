"""Guarantees again: what was posted where money fell short of what was due, and what later credits replaced.

When a guarantee was posted is an event; how much it had to be, what was due and credited by then, and by how much every
credit replaces it, is derived. In a lot what had fallen due by that day counts; in a linkage period, everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.credits import household_no
from marketplace.audit.recompute.dues import Due, Dues, Scope
from marketplace.audit.recompute.pools import Pool
from marketplace.audit.recompute.report import Kind, Numbers, Report
from marketplace.audit.recompute.reversals import Change
from marketplace.core.clock import business_day
from marketplace.linkage.attribution import guarantee_reduction, top_up
from marketplace.linkage.models import LinkagePeriod, Lot
from marketplace.payments.closing.models import Direction, GuaranteePosting

NAMES = ("fen", "direction", "credited_fen", "due_fen", "standing_fen")
Place = tuple[Scope, int]  # a scope and a household in it


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that happened to a household in a scope: money of a pool (`pool_id`), or a guarantee posted (`row`)."""

    entry_id: int
    at: datetime
    fen: int = 0
    kept_fen: int = 0
    replaces: bool = True
    pool_id: int | None = None
    row: GuaranteePosting | None = None


def recompute_guarantees(
    session: Session,
    cooperative_id: int,
    pools: Mapping[int, Pool],
    changes: Sequence[Change],
    dues: Dues,
    report: Report,
) -> dict[Place, int]:
    """Derive and compare every guarantee posted or replaced; returns what each household has in each scope in all."""
    postings: dict[Place, list[GuaranteePosting]] = defaultdict(list)
    query = select(GuaranteePosting).where(GuaranteePosting.cooperative_id == cooperative_id)
    for row in session.scalars(query.order_by(GuaranteePosting.position)):
        postings[(row.mechanism, row.lot_id, row.period_id), row.household_id].append(row)
    money: dict[Place, int] = defaultdict(int)
    events: dict[Place, list[_Event]] = defaultdict(list)
    for place, event in _moves(pools, changes):
        money[place] += event.fen + event.kept_fen
        if place in postings:
            events[place].append(event)
    for place, rows in postings.items():
        money[place] += _replay(session, place, rows, events[place], dues, report)
    return money


def _moves(pools: Mapping[int, Pool], changes: Iterable[Change]) -> Iterator[tuple[Place, _Event]]:
    """Every change of credited money: what pools credited, and what came after."""
    for pool in pools.values():
        for household_id, fen in pool.credits.items():
            at = pool.distributed_at or pool.settled_at
            yield (pool.scope, household_id), _Event(pool.entry_id or 0, at, fen, pool_id=pool.id)
    for change in changes:
        event = _Event(
            change.entry_id, change.at, change.fen, change.kept_fen, change.replaces, change.pool_id
        )
        yield (pools[change.pool_id].scope, change.household_id), event


def _replay(
    session: Session,
    place: Place,
    rows: Sequence[GuaranteePosting],
    events: Sequence[_Event],
    dues: Dues,
    report: Report,
) -> int:
    """Go through what happened to a household in a scope, comparing each guarantee; returns what stands at the end."""
    scope, household_id = place
    own = [due for due in dues.in_scope(scope) if due.household_id == household_id]
    reductions = _attached(rows, events)
    posted = [
        _Event(row.entry_id, row.posted_at, row=row) for row in rows if row.direction is Direction.POSTED
    ]
    credited = standing = 0
    for event in _in_order(events, posted, reductions):
        expected: tuple[object, ...] | None = None
        if event.row is not None:
            row: GuaranteePosting | None = event.row
            due_fen = _due(own, scope, event.row.posted_at)
            missing = top_up(due_fen, credited + standing)
            if missing:
                expected = (missing, Direction.POSTED, credited, due_fen, standing)
            standing += missing
        else:
            row = reductions.get(event)
            credited += event.fen + event.kept_fen
            cut = guarantee_reduction(max(0, event.fen), standing) if event.replaces else 0
            if cut:
                expected = (cut, Direction.REDUCED, event.fen, None, standing)
            standing -= cut
        if row is not None or expected is not None:
            report.compare(
                Kind.GUARANTEE,
                _facts(row) if row else None,
                expected,
                lambda: numbers_of(session, place),
                NAMES,
            )
    for row in _unattached(rows, reductions):
        report.compare(Kind.GUARANTEE, _facts(row), None, lambda: numbers_of(session, place), NAMES)
    return standing


def _in_order(
    events: Sequence[_Event], posted: Sequence[_Event], reductions: Mapping[_Event, GuaranteePosting]
) -> list[_Event]:
    """By ledger entry; but what was credited at one instant comes after a guarantee it replaced, although its entries
    had been numbered before: it waited for the scope."""
    waited: dict[datetime, int] = {}
    for event, row in reductions.items():
        for other in posted:
            if other.row and other.row.position < row.position and other.entry_id > event.entry_id:
                waited[event.at] = max(other.entry_id, waited.get(event.at, 0))

    def order(event: _Event) -> tuple[int, bool, int, int]:
        after = waited.get(event.at, 0) if event.row is None else 0
        return (max(event.entry_id, after), event.row is None, event.entry_id, event.pool_id or 0)

    return sorted([*events, *posted], key=order)


def _facts(row: GuaranteePosting) -> tuple[object, ...]:
    return (row.amount_fen, row.direction, row.credited_fen, row.due_fen, row.standing_before_fen)


def _attached(rows: Sequence[GuaranteePosting], events: Sequence[_Event]) -> dict[_Event, GuaranteePosting]:
    """By credit the row by which it replaced a guarantee: the last crediting of its pool before it."""
    found: dict[_Event, GuaranteePosting] = {}
    for row in rows:
        if row.direction is not Direction.REDUCED:
            continue
        causes = [
            event
            for event in events
            if event.pool_id == row.pool_id and event.fen > 0 and event.entry_id <= row.entry_id
        ]
        cause = max(causes, key=lambda event: event.entry_id, default=None)
        if cause is not None and cause not in found:
            found[cause] = row
    return found


def _unattached(
    rows: Sequence[GuaranteePosting], reductions: Mapping[_Event, GuaranteePosting]
) -> list[GuaranteePosting]:
    attached = {row.id for row in reductions.values()}
    return [row for row in rows if row.direction is Direction.REDUCED and row.id not in attached]


def _due(own: Sequence[Due], scope: Scope, at: datetime) -> int:
    """What a household was due when a guarantee was posted: in a lot what had fallen due, in a period everything."""
    _, lot_id, _ = scope
    day = business_day(at)
    return sum(due.fen for due in own if lot_id is None or (due.due_on <= day and due.recorded_at <= at))


def numbers_of(session: Session, place: Place) -> Numbers:
    """The household, the lot or period, and the mechanism."""
    (mechanism, lot_id, period_id), household_id = place
    model: type[Lot | LinkagePeriod] = Lot if lot_id is not None else LinkagePeriod
    number = session.scalar(select(model.public_no).where(model.id == (lot_id or period_id)))
    return (household_no(session, household_id), number or "", mechanism.label)
