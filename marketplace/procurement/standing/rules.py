"""A standing order as a whole: opened by the unit, approved by another of its people, confirmed by the cooperative;
paused, resumed and ended. What is done to a single delivery is `windows.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from marketplace.catalog.queries import listings_by_nos
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.rules import Delivery, check_delivery, required_reason
from marketplace.ordering.wishes import MAX_LINES, check_quantity, require_for_sale
from marketplace.procurement.approvals.queries import standing_ahead
from marketplace.procurement.approvals.standing import Bar
from marketplace.procurement.standing.capacity import book_units, difference, units_of
from marketplace.procurement.standing.closures import closed_days
from marketplace.procurement.standing.models import (
    ChangeEvent,
    DeliveryWindow,
    PriceRule,
    StandingChange,
    StandingLine,
    StandingOrder,
    StandingState,
    WindowState,
)
from marketplace.procurement.standing.queries import RUNNING, lines_of, spans_of, windows_of
from marketplace.procurement.standing.schedule import MINUTES_OF_DAY, Schedule, cutoff_of, instant_of
from marketplace.registry.models import BuyerUnit, Cooperative

MAX_SPAN_DAYS = 731  # two years, a leap day among them
MAX_NAME = 60
MAX_PRICE_FEN = 100_000_000
MAX_CUTOFF_DAYS = 30
MAX_CAPACITY = 1_000_000  # units a day
MAX_WEEKS = 8
NO_REASON = N_("请写明原因")
NO_LINE = N_("请至少为一种商品填写数量")
CHOOSE = N_("请从列表中选择商品")


@dataclass(frozen=True)
class LineWish:
    """Units of a listing in every delivery: at a fixed price, or at the listing's with a ceiling (fen a unit)."""

    listing_no: str
    quantity: int
    price_rule: PriceRule
    price_fen: int


@dataclass(frozen=True)
class Slot:
    """The time of the day of a delivery, in minutes after local midnight."""

    from_min: int
    to_min: int


@dataclass(frozen=True)
class Plan:
    """What a unit wants: lines, days, slot, and the cut-off: a time of the day `cutoff_days` before each window."""

    name: str
    lines: Sequence[LineWish]
    schedule: Schedule
    slot: Slot
    cutoff_days: int
    cutoff_min: int
    skips_public_holidays: bool = True
    delivery: Delivery = field(default_factory=lambda: Delivery("", "", ""))


def open_standing_order(
    session: Session, actor: Actor, *, cooperative: Cooperative, plan: Plan, idempotency_key: str
) -> StandingOrder:
    """Ask for regular deliveries of a cooperative; waits for the unit's approver.

    The same key of the same person gives the first one. Raises Refused for a plan that cannot be, Conflict for a
    listing that is not for sale; then nothing is kept.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    known = select(StandingOrder).where(
        StandingOrder.ordered_by == actor.user_id, StandingOrder.idempotency_key == idempotency_key
    )
    first = session.scalar(known)
    if first is not None:
        return first
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    if unit is None:
        raise Forbidden
    windows = planned_windows(session, unit, plan)
    standing = StandingOrder(
        buyer_unit=unit,
        cooperative=cooperative,
        name=plan.name.strip(),
        ordered_by=actor.user_id,
        idempotency_key=idempotency_key,
        weekdays=plan.schedule.mask,
        every_weeks=plan.schedule.every_weeks,
        starts_on=plan.schedule.starts_on,
        ends_on=plan.schedule.ends_on,
        skips_public_holidays=plan.skips_public_holidays,
        slot_from_min=plan.slot.from_min,
        slot_to_min=plan.slot.to_min,
        cutoff_days=plan.cutoff_days,
        cutoff_min=plan.cutoff_min,
        recipient_name=plan.delivery.recipient_name.strip(),
        recipient_phone=plan.delivery.recipient_phone.strip(),
        address=plan.delivery.address.strip(),
        note=plan.delivery.note.strip(),
        lines=_lines(session, cooperative, plan.lines),
    )
    session.add(standing)
    session.flush()
    rows = [{"standing_order_id": standing.id, "state": WindowState.PLANNED, **one} for one in windows]
    session.execute(insert(DeliveryWindow), rows)
    note_change(session, actor, standing, ChangeEvent.OPEN, detail={"windows": len(rows)})
    return standing


def planned_windows(session: Session, unit: BuyerUnit, plan: Plan) -> list[dict[str, Any]]:
    """The windows of a plan as rows: its days on which the unit is open and whose cut-off is still to come.

    Raises Refused naming the field for a plan that cannot be.
    """
    _check_plan(plan)
    closed = closed_days(spans_of(session, unit.id), skips_public_holidays=plan.skips_public_holidays)
    rows = []
    for day in plan.schedule.days(closed):
        cutoff_at = cutoff_of(day, days_before=plan.cutoff_days, minute=plan.cutoff_min)
        if cutoff_at > now():
            rows.append(
                {
                    "planned_on": day,
                    "deliver_on": day,
                    "slot_from_min": plan.slot.from_min,
                    "slot_to_min": plan.slot.to_min,
                    "cutoff_at": cutoff_at,
                    "starts_at": instant_of(day, plan.slot.from_min),
                }
            )
    if not rows:
        raise Refused(
            "no_window", N_("这段时间里没有一次送货，请检查星期、起止日期、学期和假期"), field="ends_on"
        )
    return rows


def _check_plan(plan: Plan) -> None:
    schedule = plan.schedule
    if not 1 <= len(plan.name.strip()) <= MAX_NAME:
        raise Refused("name", N_("请写一个名称，最多 %(most)s 个字"), field="name", most=MAX_NAME)
    if not schedule.weekdays or not schedule.weekdays <= set(range(7)):
        raise Refused("no_weekday", N_("请至少选一个星期几"), field="weekdays")
    if not 1 <= schedule.every_weeks <= MAX_WEEKS:
        raise Refused("every_weeks", N_("间隔须在 1 到 %(most)s 周之间"), field="every_weeks", most=MAX_WEEKS)
    if schedule.starts_on < today():
        raise Refused("starts_past", N_("开始日期已过，请从今天或以后开始"), field="starts_on")
    if schedule.ends_on < schedule.starts_on:
        raise Refused("until_before_from", N_("结束日期早于开始日期"), field="ends_on")
    if (schedule.ends_on - schedule.starts_on).days >= MAX_SPAN_DAYS:
        raise Refused("span_long", N_("一张长期订单最多两年，请分开填写"), field="ends_on")
    check_slot(plan.slot, cutoff_days=plan.cutoff_days, cutoff_min=plan.cutoff_min)
    check_delivery(plan.delivery)


def check_slot(slot: Slot, *, cutoff_days: int, cutoff_min: int) -> None:
    """Raise Refused unless the slot is a stretch of one day and the cut-off comes before it."""
    if not 0 <= slot.from_min < slot.to_min <= MINUTES_OF_DAY:
        raise Refused("slot", N_("送货时段的开始须早于结束"), field="slot_to")
    if not 0 <= cutoff_days <= MAX_CUTOFF_DAYS or not 0 <= cutoff_min < MINUTES_OF_DAY:
        raise Refused(
            "cutoff",
            N_("截止时间须在送货当天到前 %(most)s 天之间"),
            field="cutoff_days",
            most=MAX_CUTOFF_DAYS,
        )
    if cutoff_days == 0 and cutoff_min > slot.from_min:
        raise Refused("cutoff_late", N_("截止时间须早于送货时段"), field="cutoff_time")


def _lines(session: Session, cooperative: Cooperative, wishes: Sequence[LineWish]) -> list[StandingLine]:
    if not wishes:
        raise Refused("no_line", NO_LINE, field="lines")
    if len(wishes) > MAX_LINES:
        raise Refused("too_many_lines", N_("一张订单最多 %(most)s 种商品，请分开下单"), most=MAX_LINES)
    numbers = [wish.listing_no for wish in wishes]
    listings = {one.public_no: one for one in listings_by_nos(session, numbers)}
    if len(set(numbers)) < len(numbers):
        raise Refused("listing_twice", N_("同一种商品只能填写一行"), field="lines")
    lines = []
    for wish in wishes:
        listing = listings.get(wish.listing_no)
        if listing is None or listing.cooperative_id != cooperative.id:
            raise Conflict("listing_gone", N_("有商品已不存在，请重新选择"))
        require_for_sale(listing)
        check_quantity(wish.quantity)
        if not 1 <= wish.price_fen <= MAX_PRICE_FEN:
            raise Refused("price", N_("“%(title)s”的单价须大于零"), field="lines", title=listing.product.name)
        lines.append(
            StandingLine(
                listing=listing,
                quantity=wish.quantity,
                price_rule=wish.price_rule,
                price_fen=wish.price_fen,
            )
        )
    return lines


def approve_standing(
    session: Session, actor: Actor, standing: StandingOrder, *, up_to_fen: int, up_to_windows: int
) -> StandingOrder:
    """Approve a standing order once: up to so many deliveries of together so many fen are ordered without asking again.

    Who may take the last step of an order of that sum may approve it. Raises Forbidden for whoever opened it, is not
    named for that step or has too low a limit; Refused for a limit that is none, Conflict when it does not wait.
    """
    _require_approver(actor, standing)
    if up_to_fen < 1:
        raise Refused("limit_fen", N_("批准金额须大于零"), field="up_to")
    if up_to_windows < 1:
        raise Refused("limit_windows", N_("批准次数须大于零"), field="up_to_windows")
    _require_reach(session, actor, up_to_fen)
    approved = {
        "approved_by": actor.user_id,
        "approved_at": now(),
        "approved_fen": up_to_fen,
        "approved_windows": up_to_windows,
    }
    _move(session, standing, StandingState.AWAITING_APPROVAL, StandingState.AWAITING_CONFIRMATION, **approved)
    detail = {"limit_fen": up_to_fen, "windows": up_to_windows}
    note_change(session, actor, standing, ChangeEvent.APPROVE, detail=detail)
    return standing


def reject_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """Turn a standing order down. Raises Refused without a reason."""
    _require_approver(actor, standing)
    note = required_reason(reason, N_("请写明不通过的原因"))
    _move(session, standing, StandingState.AWAITING_APPROVAL, StandingState.REJECTED)
    note_change(session, actor, standing, ChangeEvent.REJECT, note)
    return standing


def _require_approver(actor: Actor, standing: StandingOrder) -> None:
    actor.require(Permission.APPROVE_ORDERS)
    if standing.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    if standing.ordered_by == actor.user_id:
        raise Forbidden("own_standing_order", N_("填写人不能审批自己的长期订单，请由另一位审批人办理"))


def _require_reach(session: Session, actor: Actor, amount_fen: int) -> None:
    """Raise Forbidden unless the actor may take the last step of the unit's chain for that sum."""
    steps = standing_ahead(session, actor, amount_fen).steps
    own = next((one for one in steps[-1].approvers if one.user_id == actor.user_id), None) if steps else None
    if own is None or not own.covers(amount_fen):
        bar = Bar.NOT_NAMED if own is None else Bar.OVER_LIMIT
        raise Forbidden(bar.value, bar.label)


def confirm_standing(
    session: Session, actor: Actor, standing: StandingOrder, *, capacity: Mapping[int, int]
) -> StandingOrder:
    """The cooperative promises every window of a standing order.

    `capacity` is, by listing id, how many units a day it can deliver by standing orders. Raises Conflict when a day is
    overbooked or the order does not wait; then nothing is promised.
    """
    require_supplier(actor, standing)
    lock(session, standing)
    for line in standing.lines:
        if not line.quantity <= capacity.get(line.listing_id, 0) <= MAX_CAPACITY:
            raise Refused(
                "capacity",
                N_("“%(title)s”每天的供货能力须不少于每次 %(units)s 件"),
                field="capacity",
                title=line.listing.product.name,
                units=line.quantity,
            )
    _move(session, standing, StandingState.AWAITING_CONFIRMATION, StandingState.ACTIVE)
    windows = list(session.scalars(windows_of(standing).where(DeliveryWindow.state == WindowState.PLANNED)))
    missed = [one for one in windows if one.cutoff_at <= now()]
    for one in missed:
        one.state = WindowState.LAPSED
        keep_change(session, actor, standing, ChangeEvent.LAPSE, window=one)
    coming = [one for one in windows if one.cutoff_at > now()]
    own = {line.listing_id: capacity[line.listing_id] for line in standing.lines}
    book_units(session, units_of(coming, lines_of(session, coming)), capacity=own)
    detail = {"windows": len(coming)}
    note_change(session, actor, standing, ChangeEvent.CONFIRM, detail=detail)
    return standing


def decline_standing(
    session: Session, actor: Actor, standing: StandingOrder, *, reason: str
) -> StandingOrder:
    """The cooperative does not take a standing order on. Raises Refused without a reason."""
    require_supplier(actor, standing)
    note = required_reason(reason, N_("请写明无法供货的原因"))
    _move(session, standing, StandingState.AWAITING_CONFIRMATION, StandingState.DECLINED)
    note_change(session, actor, standing, ChangeEvent.DECLINE, note)
    return standing


def pause_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """Stop the deliveries whose cut-off is to come, until it is resumed; each is skipped as its cut-off passes."""
    require_orderer(actor, standing)
    note = required_reason(reason, NO_REASON)
    _move(session, standing, StandingState.ACTIVE, StandingState.PAUSED, paused_at=now())
    note_change(session, actor, standing, ChangeEvent.PAUSE, note)
    return standing


def resume_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """Go on with the deliveries whose cut-off is still to come; those of the pause are skipped."""
    require_orderer(actor, standing)
    note = required_reason(reason, NO_REASON)
    lock(session, standing)
    paused_at = standing.paused_at
    _move(session, standing, StandingState.PAUSED, StandingState.ACTIVE, paused_at=None)
    in_pause = windows_of(standing).where(
        DeliveryWindow.state == WindowState.PLANNED,
        DeliveryWindow.cutoff_at >= paused_at,
        DeliveryWindow.cutoff_at <= now(),
    )
    call_off(session, actor, standing, list(session.scalars(in_pause)), note)
    note_change(session, actor, standing, ChangeEvent.RESUME, note)
    return standing


def end_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """End a standing order for good: what has not passed its cut-off, or is held, is called off.

    Raises Refused without a reason, Conflict when it is over already.
    """
    require_orderer(actor, standing)
    note = required_reason(reason, NO_REASON)
    lock(session, standing)
    if standing.state not in (
        StandingState.AWAITING_APPROVAL,
        StandingState.AWAITING_CONFIRMATION,
        *RUNNING,
    ):
        raise Conflict("standing_over", N_("这张长期订单已经结束"))
    coming = DeliveryWindow.state == WindowState.PLANNED
    if standing.state in RUNNING:  # what has passed its cut-off is on its way
        coming = (coming & (DeliveryWindow.cutoff_at > now())) | (DeliveryWindow.state == WindowState.HELD)
    call_off(session, actor, standing, list(session.scalars(windows_of(standing).where(coming))), note)
    _move(session, standing, standing.state, StandingState.ENDED, paused_at=None)
    note_change(session, actor, standing, ChangeEvent.END, note)
    return standing


def call_off(
    session: Session, actor: Actor, standing: StandingOrder, windows: Sequence[DeliveryWindow], note: str
) -> None:
    """Skip windows and give their promised units back. The standing order is locked."""
    lines = lines_of(session, windows)
    if standing.state in RUNNING:
        book_units(session, difference({}, units_of(windows, lines)))
    for window in windows:
        window.state, window.hold_reason = WindowState.SKIPPED, None
        keep_change(session, actor, standing, ChangeEvent.SKIP, note, window=window)
    session.flush()


def require_orderer(actor: Actor, standing: StandingOrder) -> None:
    """Raise NotFound unless the standing order is of the actor's unit, Forbidden unless the actor orders for it."""
    if standing.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    actor.require(Permission.ORDER_FOR_UNIT)


def require_supplier(actor: Actor, standing: StandingOrder) -> None:
    """Raise NotFound unless the standing order is one with the actor's cooperative."""
    if standing.cooperative_id != actor.cooperative_id or standing.approved_by is None:
        raise NotFound
    actor.require(Permission.FULFIL_ORDERS)


def lock(session: Session, standing: StandingOrder) -> None:
    """Let nobody else, and not the job, touch the standing order and its windows until the end of the transaction."""
    session.refresh(standing, with_for_update={"of": StandingOrder})


def _move(
    session: Session, standing: StandingOrder, source: StandingState, target: StandingState, **values: Any
) -> None:
    """Move a standing order. Raises Conflict when it is not where it was thought to be."""
    session.flush()
    statement = (
        update(StandingOrder)
        .where(StandingOrder.id == standing.id, StandingOrder.state == source)
        .values(state=target, **values)
        .execution_options(synchronize_session=False)
    )
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        raise Conflict("moved_meanwhile", N_("长期订单刚刚已被处理，请刷新后再看"))
    session.refresh(standing)


def note_change(
    session: Session,
    actor: Actor,
    standing: StandingOrder,
    event: ChangeEvent,
    reason: str = "",
    *,
    window: DeliveryWindow | None = None,
    detail: dict[str, Any] | None = None,
) -> StandingChange:
    """Write who did what and why, into the history of the standing order and the trail."""
    change = keep_change(session, actor, standing, event, reason, window=window, detail=detail)
    record_trail(
        session,
        actor,
        f"standing.{event.value}",
        subject=("standing_order", standing.public_no),
        cooperative_id=standing.cooperative_id,
        buyer_unit_id=standing.buyer_unit_id,
        day=window.planned_on.isoformat() if window else None,
        reason=reason or None,
    )
    session.flush()
    return change


def keep_change(
    session: Session,
    actor: Actor,
    standing: StandingOrder,
    event: ChangeEvent,
    reason: str = "",
    *,
    window: DeliveryWindow | None = None,
    detail: dict[str, Any] | None = None,
) -> StandingChange:
    """The row of the history alone, for changes that come in numbers."""
    change = StandingChange(
        standing_order_id=standing.id,
        window_id=window.id if window else None,
        event=event,
        actor_user_id=actor.user_id,
        actor_name=actor.name,
        reason=reason,
        detail=detail or {},
    )
    session.add(change)
    return change
