"""Guarantees again: what was posted where money fell short of what was due, and what later credits replaced.

When a guarantee was posted is an event; how much it had to be, what was due and credited by then, and by how much every
credit replaces it, is derived. In a lot what had fallen due by that day counts; in a linkage period, everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    """What changed a household's money of a pool, which is in the scope."""

    entry_id: int
    at: datetime
    fen: int = 0
    kept_fen: int = 0
    pool_id: int = 0
    replaces: bool = True


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
            change.entry_id, change.at, change.fen, change.kept_fen, change.pool_id, change.replaces
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
    """Go through the guarantees of a household in a scope, in their order; returns what stands at the end.

    The order in which credits of one transaction replaced a guarantee is that of the rows; a credit without a row is
    one that found nothing to replace, or else has been left out.
    """
    scope, household_id = place
    own = [due for due in dues.in_scope(scope) if due.household_id == household_id]
    causes = _causes(rows, events)
    passed = _passed_before(rows, events, causes)

    def compare(row: GuaranteePosting | None, expected: tuple[object, ...] | None) -> None:
        facts = _facts(row) if row else None
        report.compare(Kind.GUARANTEE, facts, expected, lambda: numbers_of(session, place), NAMES)

    credited = standing = 0
    for row in rows:
        expected: tuple[object, ...] | None = None
        if row.direction is Direction.POSTED:
            standing -= _left_out(passed[row.id], causes, standing, compare)
            credited += sum(event.fen + event.kept_fen for event in passed[row.id])
            standing_dues = [due for due in own if not dues.is_void(due, row.posted_at)]
            due_fen = _due(standing_dues, scope, row.posted_at)
            missing = top_up(due_fen, credited + standing)
            if missing:
                expected = (missing, Direction.POSTED, credited, due_fen, standing)
            standing += missing
        elif (cause := causes.get(row.id)) is not None:
            cut = guarantee_reduction(cause.fen, standing)
            if cut and cause.replaces:
                expected = (cut, Direction.REDUCED, cause.fen, None, standing)
                standing -= cut
        compare(row, expected)
    return standing - _left_out(passed[None], causes, standing, compare)


def _causes(rows: Sequence[GuaranteePosting], events: Sequence[_Event]) -> dict[int, _Event]:
    """By row that lowered a guarantee the credit that replaced it: the last crediting of its pool before it."""
    found: dict[int, _Event] = {}
    for row in rows:
        if row.direction is Direction.REDUCED:
            before = [
                event
                for event in events
                if event.pool_id == row.pool_id and event.fen > 0 and event.entry_id <= row.entry_id
            ]
            cause = max(before, key=lambda event: event.entry_id, default=None)
            if cause is not None and cause not in found.values():
                found[row.id] = cause
    return found


def _passed_before(
    rows: Sequence[GuaranteePosting], events: Sequence[_Event], causes: Mapping[int, _Event]
) -> dict[int | None, list[_Event]]:
    """What happened before each guarantee was posted and after the one before it, by row; by None what came last.

    By ledger entry. But what was credited at one instant came after a guarantee it replaced, although its entries had
    been numbered before: it waited for the scope.
    """
    posted = [row for row in rows if row.direction is Direction.POSTED]
    waited: dict[datetime, int] = {}
    for row in rows:
        cause = causes.get(row.id)
        for other in posted:
            if cause and other.position < row.position and other.entry_id > cause.entry_id:
                waited[cause.at] = max(other.entry_id, waited.get(cause.at, 0))
    found: dict[int | None, list[_Event]] = {row.id: [] for row in posted} | {None: []}
    for event in events:
        after = max(event.entry_id, waited.get(event.at, 0))
        found[next((row.id for row in posted if row.entry_id > after), None)].append(event)
    return found


def _left_out(
    events: Sequence[_Event],
    causes: Mapping[int, _Event],
    standing: int,
    compare: Callable[[None, tuple[object, ...]], None],
) -> int:
    """Compare the credits that should have replaced what stands and did not; returns how much of it."""
    left = standing
    for event in events:
        cut = guarantee_reduction(max(0, event.fen), left) if event.replaces else 0
        if cut and event not in causes.values():
            compare(None, (cut, Direction.REDUCED, event.fen, None, left))
            left -= cut
    return standing - left


def _facts(row: GuaranteePosting) -> tuple[object, ...]:
    return (row.amount_fen, row.direction, row.credited_fen, row.due_fen, row.standing_before_fen)


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
