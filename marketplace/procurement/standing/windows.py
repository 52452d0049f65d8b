"""Rules for one delivery of a standing order that leave the others alone: it is skipped or changed, answered when it is
held, declined by the cooperative, or filled with a substitute that the unit agrees to.

A window can be changed until its cut-off; what is held, until it begins. Every rule locks the standing order first, as
the job does, so that a window is either changed or ordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.rules import required_reason
from marketplace.ordering.wishes import check_quantity, require_for_sale
from marketplace.procurement.standing.capacity import Units, book_units, difference, units_of
from marketplace.procurement.standing.holding import (
    NO_REASON,
    drop_proposals,
    lock,
    note_change,
    require_orderer,
    require_supplier,
)
from marketplace.procurement.standing.models import (
    ChangedLine,
    ChangeEvent,
    DeliveryWindow,
    HoldReason,
    PriceRule,
    StandingState,
    Substitution,
    SubstitutionState,
    WindowState,
)
from marketplace.procurement.standing.plans import Slot, check_slot
from marketplace.procurement.standing.queries import RUNNING, PlannedLine, lines_of
from marketplace.procurement.standing.schedule import clock_words, cutoff_of, instant_of

LIVE = (StandingState.AWAITING_APPROVAL, StandingState.AWAITING_CONFIRMATION, *RUNNING)
IN_DELIVERY = N_("这一次送货里已经有这种商品")
Lines = Sequence[PlannedLine]


def skip_window(session: Session, actor: Actor, window: DeliveryWindow, *, reason: str) -> DeliveryWindow:
    """Do without one delivery. Raises Conflict after its cut-off, or when it is skipped already."""
    require_orderer(actor, window.standing)
    note = required_reason(reason, NO_REASON)
    _lock(session, window)
    if window.state is WindowState.SKIPPED:
        raise Conflict("skipped_already", N_("这一次已经跳过了"))
    _require_open(window, WindowState.PLANNED, WindowState.HELD)
    _book(session, window, difference({}, _units(session, window)))
    window.state, window.hold_reason = WindowState.SKIPPED, None
    drop_proposals(session, [window])
    note_change(session, actor, window.standing, ChangeEvent.SKIP, note, window=window)
    return window


def restore_window(session: Session, actor: Actor, window: DeliveryWindow, *, reason: str) -> DeliveryWindow:
    """Take a skipped delivery after all. Raises Conflict after its cut-off, or when the cooperative is booked out."""
    require_orderer(actor, window.standing)
    note = required_reason(reason, NO_REASON)
    _lock(session, window)
    _require_open(window, WindowState.SKIPPED)
    _require_free_day(session, window, window.deliver_on)
    _book(session, window, _units(session, window))
    window.state = WindowState.PLANNED
    note_change(session, actor, window.standing, ChangeEvent.RESTORE, note, window=window)
    return window


def change_window(
    session: Session,
    actor: Actor,
    window: DeliveryWindow,
    *,
    quantities: Mapping[int, int],
    deliver_on: date,
    slot: Slot,
    reason: str,
) -> DeliveryWindow:
    """Change one delivery: units by listing id (zero leaves a line out), its day and its slot.

    Raises Refused for what cannot be or changes nothing, Conflict after the cut-off, on a day that has a delivery
    already, or when the cooperative is booked out; then nothing is changed.
    """
    require_orderer(actor, window.standing)
    note = required_reason(reason, NO_REASON)
    _lock(session, window)
    _require_open(window, WindowState.PLANNED)
    before = lines_of(session, [window])[window.id]
    after = _with_quantities(before, quantities)
    stays = (window.deliver_on, window.slot_from_min, window.slot_to_min)
    moves = stays != (deliver_on, slot.from_min, slot.to_min)
    if not moves and after == before:
        raise Refused("nothing_changed", N_("没有任何改动"))
    detail, promised = _told(window, before), units_of([window], {window.id: before})
    if moves:
        _move_to(session, window, deliver_on, slot)
    _book(session, window, difference(units_of([window], {window.id: after}), promised))
    drop_proposals(session, [window], keeping=[line.listing.id for line in after])
    _write(session, actor, window, ChangeEvent.CHANGE, note, None if after == before else after, detail)
    return window


def answer_hold(
    session: Session,
    actor: Actor,
    window: DeliveryWindow,
    *,
    quantities: Mapping[int, int],
    accepts_prices: bool,
    reason: str,
) -> DeliveryWindow:
    """Let a held delivery be ordered after all: with other quantities, or at today's prices where they are over the
    ceiling; ordered by the next run of the job, which may hold it again.

    Raises Conflict when it is not held or its window has begun.
    """
    require_orderer(actor, window.standing)
    note = required_reason(reason, NO_REASON)
    _lock(session, window)
    _require_open(window, WindowState.HELD)
    before = lines_of(session, [window])[window.id]
    after = _with_quantities(before, quantities)
    if accepts_prices:
        after = [replace(one, price_fen=max(one.price_fen, one.todays_fen or 0)) for one in after]
    promised = units_of([window], {window.id: before})
    _book(session, window, difference(units_of([window], {window.id: after}), promised))
    drop_proposals(session, [window], keeping=[line.listing.id for line in after])
    detail = _told(window, before)
    window.state, window.hold_reason = WindowState.PLANNED, None
    _write(session, actor, window, ChangeEvent.ANSWER, note, None if after == before else after, detail)
    return window


def decline_window(session: Session, actor: Actor, window: DeliveryWindow, *, reason: str) -> DeliveryWindow:
    """The cooperative cannot fill one delivery that is not ordered yet; it knows that better than the cut-off."""
    require_supplier(actor, window.standing)
    note = required_reason(reason, N_("请写明无法供货的原因"))
    _lock(session, window)
    _require_unordered(window)
    _book(session, window, difference({}, _units(session, window)))
    window.state, window.hold_reason = WindowState.DECLINED, None
    drop_proposals(session, [window])
    note_change(session, actor, window.standing, ChangeEvent.DECLINE_WINDOW, note, window=window)
    return window


def propose_substitute(
    session: Session,
    actor: Actor,
    window: DeliveryWindow,
    *,
    listing: Listing,
    substitute: Listing,
    quantity: int,
    unit_price_fen: int,
    reason: str,
) -> Substitution:
    """The cooperative offers another of its listings for one line of one delivery, not dearer than the line.

    Nothing of the delivery is ordered until the unit has answered. Raises Refused for a dearer one or one that the
    delivery has already, Conflict when one is proposed for the line or the delivery is ordered.
    """
    require_supplier(actor, window.standing)
    note = required_reason(reason, NO_REASON)
    _lock(session, window)
    _require_unordered(window)
    lines = {line.listing.id: line for line in lines_of(session, [window])[window.id]}
    line = lines.get(listing.id)
    if line is None or substitute.cooperative_id != window.standing.cooperative_id:
        raise NotFound
    if substitute.id in lines:
        raise Refused("in_delivery", IN_DELIVERY, field="substitute")
    require_for_sale(substitute)
    check_quantity(quantity)
    most = line.price_fen if line.todays_fen is None else min(line.price_fen, line.todays_fen)
    if not 1 <= unit_price_fen <= most or unit_price_fen * quantity > most * line.quantity:
        raise Refused("dearer", N_("替代品的单价和总价都不能高于原商品"), field="unit_price")
    if _proposals(session, window, listing):
        raise Conflict("proposed_already", N_("这种商品已经提出了替代品，请等采购单位答复"))
    proposed = Substitution(
        window_id=window.id,
        listing_id=listing.id,
        substitute_id=substitute.id,
        quantity=quantity,
        unit_price_fen=unit_price_fen,
        reason=note,
        proposed_by=actor.user_id,
    )
    session.add(proposed)
    note_change(session, actor, window.standing, ChangeEvent.PROPOSE, note, window=window)
    return proposed


def answer_substitute(
    session: Session, actor: Actor, proposed: Substitution, *, consents: bool, reason: str = ""
) -> Substitution:
    """The unit takes a substitute for one delivery, at the proposed price, or does not.

    Raises Conflict when it is answered already or the delivery has begun or gone another way.
    """
    window = proposed.window
    require_orderer(actor, window.standing)
    note = reason.strip() if consents else required_reason(reason, NO_REASON)
    _lock(session, window)
    _require_unordered(window)
    target = SubstitutionState.CONSENTED if consents else SubstitutionState.REFUSED
    statement = (
        update(Substitution)
        .where(Substitution.id == proposed.id, Substitution.state == SubstitutionState.PROPOSED)
        .values(state=target, decided_by=actor.user_id, decided_at=now())
        .execution_options(synchronize_session=False)
    )
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        raise Conflict("answered_already", N_("这个替代品已经答复过了"))
    session.refresh(proposed)
    if window.hold_reason is HoldReason.SUBSTITUTION_OPEN or (consents and window.state is WindowState.HELD):
        window.state, window.hold_reason = WindowState.PLANNED, None
    event = ChangeEvent.CONSENT if consents else ChangeEvent.REFUSE
    lines = _substituted(session, window, proposed) if consents else None
    _write(session, actor, window, event, note, lines, {})
    return proposed


def _substituted(session: Session, window: DeliveryWindow, proposed: Substitution) -> list[PlannedLine]:
    """The lines of a window with the substitute in place; what is promised follows. Whoever proposes can deliver.

    Raises Conflict when the substitute has come in for another line meanwhile.
    """
    before = lines_of(session, [window])[window.id]
    if any(line.listing.id == proposed.substitute_id for line in before):
        raise Conflict("in_delivery", IN_DELIVERY)
    other = PlannedLine(proposed.substitute, proposed.quantity, PriceRule.FIXED, proposed.unit_price_fen)
    after = [other if line.listing.id == proposed.listing_id else line for line in before]
    gone = difference({}, units_of([window], {window.id: [one for one in before if one not in after]}))
    _book(session, window, gone)
    _book(session, window, units_of([window], {window.id: [other]}), makes_room=True)
    return after


def is_changeable(window: DeliveryWindow) -> bool:
    """Whether the unit can still change the delivery."""
    if window.standing.state not in LIVE:
        return False
    return window.state in (WindowState.PLANNED, WindowState.SKIPPED) and window.cutoff_at > now()


def is_answerable(window: DeliveryWindow) -> bool:
    """Whether a delivery that is not ordered yet can still be held, declined or substituted."""
    if window.standing.state not in LIVE or window.starts_at <= now():
        return False
    return window.state in (WindowState.PLANNED, WindowState.HELD)


def _lock(session: Session, window: DeliveryWindow) -> None:
    """The window as it is now, with nobody else at it. Raises Conflict when its standing order is over."""
    session.flush()
    lock(session, window.standing)
    session.refresh(window)
    if window.standing.state not in LIVE:
        raise Conflict("standing_over", N_("这张长期订单已经结束"))


def _require_open(window: DeliveryWindow, *states: WindowState) -> None:
    """Raise Conflict unless the window is in one of `states` and can still be changed."""
    until = window.starts_at if window.state is WindowState.HELD else window.cutoff_at
    if window.state not in states:
        raise Conflict("window_state", N_("这一次送货现在是“%(state)s”，不能这样改"), state=window.state)
    if until <= now():
        raise Conflict("window_closed", N_("这一次送货已过截止时间，不能再改"))


def _require_unordered(window: DeliveryWindow) -> None:
    if window.state not in (WindowState.PLANNED, WindowState.HELD):
        raise Conflict("window_state", N_("这一次送货现在是“%(state)s”，不能这样改"), state=window.state)
    if window.starts_at <= now():
        raise Conflict("window_closed", N_("这一次送货已过截止时间，不能再改"))


def _with_quantities(lines: Lines, quantities: Mapping[int, int]) -> list[PlannedLine]:
    """The lines with new quantities by listing id; zero leaves a line out."""
    after = []
    for line in lines:
        quantity = quantities.get(line.listing.id, line.quantity)
        if quantity:
            check_quantity(quantity)
            after.append(replace(line, quantity=quantity))
    if not after:
        raise Refused("no_line", N_("请至少留下一种商品；这一次都不要，请改用“跳过这一次”"), field="lines")
    return after


def _move_to(session: Session, window: DeliveryWindow, deliver_on: date, slot: Slot) -> None:
    """Put a window on another day or slot; its cut-off moves with it."""
    standing = window.standing
    check_slot(slot, cutoff_days=standing.cutoff_days, cutoff_min=standing.cutoff_min)
    if not standing.starts_on <= deliver_on <= standing.ends_on:
        raise Refused("outside_span", N_("日期须在长期订单的起止日期之内"), field="deliver_on")
    cutoff_at = cutoff_of(deliver_on, days_before=standing.cutoff_days, minute=standing.cutoff_min)
    if cutoff_at <= now():
        raise Conflict("window_closed", N_("改到的日期已过截止时间，请选晚一些的日期"), field="deliver_on")
    _require_free_day(session, window, deliver_on)
    window.deliver_on, window.cutoff_at = deliver_on, cutoff_at
    window.slot_from_min, window.slot_to_min = slot.from_min, slot.to_min
    window.starts_at = instant_of(deliver_on, slot.from_min)


def _require_free_day(session: Session, window: DeliveryWindow, day: date) -> None:
    taken = select(DeliveryWindow.id).where(
        DeliveryWindow.standing_order_id == window.standing_order_id,
        DeliveryWindow.id != window.id,
        DeliveryWindow.deliver_on == day,
        DeliveryWindow.state.in_((WindowState.PLANNED, WindowState.HELD, WindowState.ORDERED)),
    )
    if session.scalar(taken.limit(1)) is not None:
        raise Conflict("day_taken", N_("这一天已经有一次送货"), field="deliver_on")


def _units(session: Session, window: DeliveryWindow) -> Units:
    return units_of([window], lines_of(session, [window]))


def _book(session: Session, window: DeliveryWindow, units: Units, *, makes_room: bool = False) -> None:
    """Promise units where the cooperative has confirmed; before that nothing is promised."""
    if window.standing.state in RUNNING:
        book_units(session, units, makes_room=makes_room)


def _write(
    session: Session,
    actor: Actor,
    window: DeliveryWindow,
    event: ChangeEvent,
    note: str,
    lines: Lines | None,
    detail: dict[str, Any],
) -> None:
    """The change in the history and, where it brings other lines, those lines."""
    change = note_change(session, actor, window.standing, event, note, window=window, detail=detail)
    if lines is not None:
        session.add_all(
            ChangedLine(
                change_id=change.id,
                listing_id=line.listing.id,
                quantity=line.quantity,
                price_rule=line.price_rule,
                price_fen=line.price_fen,
            )
            for line in lines
        )
        window.lines_change_id = change.id
    session.flush()


def _told(window: DeliveryWindow, lines: Lines) -> dict[str, Any]:
    """What a window was before a change, for its history."""
    slot = f"{clock_words(window.slot_from_min)}-{clock_words(window.slot_to_min)}"
    units = " ".join(f"{line.listing.public_no}×{line.quantity}" for line in lines)
    return {"day": window.deliver_on.isoformat(), "slot": slot, "lines": units}


def _proposals(session: Session, window: DeliveryWindow, listing: Listing) -> bool:
    query = select(Substitution.id).where(
        Substitution.window_id == window.id,
        Substitution.listing_id == listing.id,
        Substitution.state == SubstitutionState.PROPOSED,
    )
    return session.scalar(query.limit(1)) is not None
