"""Deliveries become orders: every window whose cut-off has passed is ordered once, held with its reason, or skipped.

One pass takes many windows in a bounded number of statements and is one transaction, so that a pass that dies leaves
the windows as they were for the next one. Two workers take different windows (PostgreSQL; on SQLite the second waits).
That a window has one order is the key of WindowOrder; an order that stands under the window's key without that row,
however it came about, is found by the key and taken for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session, lazyload

from marketplace.core.bulk import Rows
from marketplace.core.clock import now, today
from marketplace.core.errors import DomainError
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.models import OrganisationKind, User
from marketplace.ordering.bulk import Approval, Draft, Placed, place_orders
from marketplace.ordering.models import OrderKind
from marketplace.ordering.rules import MAX_NOTE, Delivery
from marketplace.procurement.budgets.queries import budget_year, budgeted_years
from marketplace.procurement.standing.capacity import book_units, difference, units_of
from marketplace.procurement.standing.models import (
    ChangeEvent,
    DeliveryWindow,
    HoldReason,
    PriceRule,
    StandingChange,
    StandingOrder,
    StandingState,
    Substitution,
    SubstitutionState,
    WindowOrder,
    WindowState,
)
from marketplace.procurement.standing.queries import RUNNING, PlannedLine, lines_of
from marketplace.procurement.standing.schedule import clock_words

BATCH = 1_000
GENERATING = (*RUNNING, StandingState.ENDED)  # ended: what had passed its cut-off before
HOLD_OF = {
    "out_of_stock": HoldReason.OUT_OF_STOCK,
    "not_for_sale": HoldReason.NOT_FOR_SALE,
    "certificate_lapsed": HoldReason.NOT_FOR_SALE,
    "claim_lapsed": HoldReason.NOT_FOR_SALE,
}


@dataclass(frozen=True)
class Due:
    """A window whose cut-off has passed, with what its standing order says about it."""

    window: DeliveryWindow
    standing: StandingOrder
    orderer_name: str
    lines: Sequence[PlannedLine]
    has_proposal: bool

    @property
    def key(self) -> str:
        """The idempotency key of the window's order."""
        return f"standing:{self.standing.public_no}:{self.window.planned_on.isoformat()}"

    @property
    def total_fen(self) -> int:
        """What its order will cost."""
        return sum(line.quantity * (line.todays_fen or 0) for line in self.lines)

    @property
    def is_paused(self) -> bool:
        """Whether the pause began before the cut-off."""
        paused_at = self.standing.paused_at
        return paused_at is not None and paused_at <= self.window.cutoff_at


@dataclass(frozen=True)
class Outcome:
    """What becomes of a window: its state, and why."""

    due: Due
    state: WindowState
    event: ChangeEvent
    hold: HoldReason | None = None
    detail: Mapping[str, Any] | None = None


def generate_deliveries(session: Session, *, limit: int = BATCH) -> int:
    """Decide up to `limit` windows that are due; returns how many. Zero means that nothing was left to decide."""
    ids = _locked(session, limit)
    if not ids:
        return 0
    due = _due(session, ids)
    outcomes = [(one, _stopped(one)) for one in due]
    drafts = _drafts(session, [one for one, stop in outcomes if stop is None])
    answers = dict(zip(drafts, place_orders(session, list(drafts.values())), strict=True))
    decided = [stop or _outcome(one, answers[one.window.id]) for one, stop in outcomes]
    _write(session, decided, drafts, answers)
    return len(ids)


def _locked(session: Session, limit: int) -> list[int]:
    """The windows to decide, locked with their standing orders: cut-off passed, or held until they began."""
    planned = (DeliveryWindow.state == WindowState.PLANNED) & (DeliveryWindow.cutoff_at <= now())
    missed = (DeliveryWindow.state == WindowState.HELD) & (DeliveryWindow.starts_at <= now())
    query = (
        select(DeliveryWindow.id)
        .join(StandingOrder, StandingOrder.id == DeliveryWindow.standing_order_id)
        .where(planned | missed, StandingOrder.state.in_(GENERATING))
        .order_by(DeliveryWindow.cutoff_at, DeliveryWindow.id)
        .limit(limit)
        .with_for_update(of=[DeliveryWindow, StandingOrder], skip_locked=True)
    )
    return list(session.scalars(query))


def _due(session: Session, ids: Sequence[int]) -> list[Due]:
    query = (
        select(DeliveryWindow, StandingOrder, User.display_name)
        .join(StandingOrder, StandingOrder.id == DeliveryWindow.standing_order_id)
        .join(User, User.id == StandingOrder.ordered_by)
        .where(DeliveryWindow.id.in_(ids))
        .order_by(DeliveryWindow.cutoff_at, DeliveryWindow.id)
        .options(
            lazyload(DeliveryWindow.standing),
            lazyload(DeliveryWindow.ordered),
            lazyload(StandingOrder.cooperative),
            lazyload(StandingOrder.lines),
        )
        .execution_options(populate_existing=True)
    )
    found = session.execute(query).unique().all()
    lines = lines_of(session, [window for window, _standing, _name in found])
    open_proposals = select(Substitution.window_id).where(
        Substitution.window_id.in_(ids), Substitution.state == SubstitutionState.PROPOSED
    )
    proposed = set(session.scalars(open_proposals))
    return [
        Due(window, standing, name, lines[window.id], window.id in proposed)
        for window, standing, name in found
    ]


def _stopped(due: Due) -> Outcome | None:
    """Why a window is not to be ordered, None when it is."""
    if due.window.starts_at <= now():
        return Outcome(due, WindowState.LAPSED, ChangeEvent.LAPSE)
    if due.is_paused:
        return Outcome(due, WindowState.SKIPPED, ChangeEvent.SKIP, detail={"paused": True})
    if due.has_proposal:
        return _held(due, HoldReason.SUBSTITUTION_OPEN)
    for line in due.lines:
        title = line.listing.product.name
        if line.todays_fen is None:
            return _held(due, HoldReason.NOT_FOR_SALE, title=title)
        if line.is_over_ceiling:
            prices = {"price_fen": line.todays_fen, "ceiling_fen": line.price_fen}
            return _held(due, HoldReason.OVER_CEILING, title=title, **prices)
    return None


def _held(due: Due, reason: HoldReason, **detail: Any) -> Outcome:
    return Outcome(due, WindowState.HELD, ChangeEvent.HOLD, reason, {"hold": reason.value, **detail})


def _drafts(session: Session, due: Sequence[Due]) -> dict[int, Draft]:
    """The order of each window, by its id. The approval of the standing order covers them in the order of their days,
    as far as it goes; what is beyond it waits for an approval of its own, and so does what a budget has to bear."""
    left = {
        one.standing.id: (
            (one.standing.approved_fen or 0) - one.standing.used_fen,
            (one.standing.approved_windows or 0) - one.standing.used_windows,
        )
        for one in due
    }
    budgeted = budgeted_years(session, {one.standing.buyer_unit_id for one in due})
    drafts = {}
    for one in due:
        fen, windows = left[one.standing.id]
        year = budget_year(one.window.deliver_on, today())
        has_budget = (one.standing.buyer_unit_id, year) in budgeted
        is_covered = windows > 0 and fen >= one.total_fen and not has_budget
        if is_covered:
            left[one.standing.id] = (fen - one.total_fen, windows - 1)
        drafts[one.window.id] = _draft(one, is_covered=is_covered)
    return drafts


def _draft(due: Due, *, is_covered: bool) -> Draft:
    window, standing, approval = due.window, due.standing, None
    if is_covered and standing.approved_by is not None and standing.approved_at is not None:
        approval = Approval(standing.approved_by, standing.approved_at)
    slot = f"{clock_words(window.slot_from_min)}-{clock_words(window.slot_to_min)}"
    return Draft(
        actor=Actor(
            user_id=standing.ordered_by,
            name=due.orderer_name,
            organisation_id=standing.buyer_unit_id,
            organisation_kind=OrganisationKind.BUYER_UNIT,
            region_code=standing.buyer_unit.county_code,
        ),
        kind=OrderKind.CANTEEN,
        idempotency_key=due.key,
        lines=[(line.listing.public_no, line.quantity) for line in due.lines],
        prices={
            line.listing.public_no: line.price_fen for line in due.lines if line.price_rule is PriceRule.FIXED
        },
        delivery=Delivery(
            recipient_name=standing.recipient_name,
            recipient_phone=standing.recipient_phone,
            address=standing.address,
            note=f"{slot} {standing.note}".strip()[:MAX_NOTE],
        ),
        deliver_on=window.deliver_on,
        approval=approval,
    )


def _outcome(due: Due, answer: Placed | DomainError) -> Outcome:
    if isinstance(answer, Placed):
        detail = {"order": answer.order_no, "total_fen": answer.total_fen}
        return Outcome(due, WindowState.ORDERED, ChangeEvent.ORDER, detail=detail)
    told = {name: value for name, value in answer.params.items() if isinstance(value, str | int)}
    return _held(due, HOLD_OF.get(answer.code, HoldReason.REFUSED), code=answer.code, **told)


def _write(
    session: Session,
    outcomes: Sequence[Outcome],
    drafts: Mapping[int, Draft],
    answers: Mapping[int, Placed | DomainError],
) -> None:
    """What became of the windows: their state and history, the orders they have, what is used of approvals, and the
    units that are no longer promised."""
    at = now()
    by_end: dict[tuple[WindowState, HoldReason | None], list[int]] = {}
    for one in outcomes:
        by_end.setdefault((one.state, one.hold), []).append(one.due.window.id)
    _link_orders(
        session, [one.due for one in outcomes if one.state is WindowState.ORDERED], drafts, answers, at
    )
    for (state, hold), ids in by_end.items():
        session.execute(
            update(DeliveryWindow)
            .where(DeliveryWindow.id.in_(ids))
            .values(state=state, hold_reason=hold)
            .execution_options(synchronize_session=False)
        )
    session.execute(
        insert(StandingChange),
        [
            {
                "standing_order_id": one.due.standing.id,
                "window_id": one.due.window.id,
                "event": one.event,
                "actor_user_id": None,
                "actor_name": SYSTEM.name,
                "reason": "",
                "detail": dict(one.detail or {}),
                "at": at,
            }
            for one in outcomes
        ],
    )
    gone = [one.due for one in outcomes if one.state in (WindowState.SKIPPED, WindowState.LAPSED)]
    lines = {due.window.id: list(due.lines) for due in gone}
    book_units(session, difference({}, units_of([due.window for due in gone], lines)))
    session.expire_all()


def _link_orders(
    session: Session,
    ordered: Sequence[Due],
    drafts: Mapping[int, Draft],
    answers: Mapping[int, Placed | DomainError],
    at: datetime,
) -> None:
    if not ordered:
        return
    columns = ("window_id", "standing_order_id", "order_id", "total_fen", "is_covered", "made_at")
    links = []
    for due in ordered:
        answer = answers[due.window.id]
        if isinstance(answer, Placed):
            covered = drafts[due.window.id].approval is not None
            links.append((due.window.id, due.standing.id, answer.order_id, answer.total_fen, covered, at))
    rows = Rows(session)
    rows.add(WindowOrder, columns, links)
    rows.write()
    used = select(WindowOrder).where(
        WindowOrder.standing_order_id == StandingOrder.id, WindowOrder.is_covered.is_(True)
    )
    total = used.with_only_columns(func.coalesce(func.sum(WindowOrder.total_fen), 0))
    session.execute(
        update(StandingOrder)
        .where(StandingOrder.id.in_({due.standing.id for due in ordered}))
        .values(
            used_fen=total.scalar_subquery(),
            used_windows=used.with_only_columns(func.count()).scalar_subquery(),
        )
        .execution_options(synchronize_session=False)
    )
