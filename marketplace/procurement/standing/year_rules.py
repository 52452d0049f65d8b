"""The year of a unit: its terms and holidays. A holiday skips the deliveries it falls on that can still be changed."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.procurement.standing.holding import call_off, lock
from marketplace.procurement.standing.models import (
    DeliveryWindow,
    SpanKind,
    StandingOrder,
    UnitSpan,
    WindowState,
)
from marketplace.procurement.standing.plans import MAX_SPAN_DAYS
from marketplace.procurement.standing.queries import RUNNING, windows_of
from marketplace.registry.models import BuyerUnit

MAX_SPANS = 100


def add_span(
    session: Session, actor: Actor, *, kind: SpanKind, name: str, starts_on: date, ends_on: date
) -> int:
    """Add a term or a holiday of the actor's unit, both days included; returns how many deliveries a holiday skipped.

    Deliveries of standing orders opened from now on keep to it. Raises Refused for days that cannot be, Conflict for a
    stretch that is there already.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    unit = _unit_of(session, actor)
    name = name.strip()
    if not 1 <= len(name) <= 40:
        raise Refused("name", N_("请写一个名称，最多 %(most)s 个字"), field="name", most=40)
    if ends_on < starts_on:
        raise Refused("until_before_from", N_("结束日期早于开始日期"), field="ends_on")
    if (ends_on - starts_on).days >= MAX_SPAN_DAYS:
        raise Refused("span_long", N_("一段最多两年，请分开填写"), field="ends_on")
    own = list(session.scalars(select(UnitSpan).where(UnitSpan.buyer_unit_id == unit.id)))
    if len(own) >= MAX_SPANS:
        raise Refused("too_many_spans", N_("最多登记 %(most)s 段，请先删去过去的"), most=MAX_SPANS)
    if any(span.kind is kind and span.starts_on == starts_on for span in own):
        raise Conflict("span_known", N_("这一天开始的一段已经登记过了"), field="starts_on")
    session.add(
        UnitSpan(
            buyer_unit_id=unit.id,
            kind=kind,
            name=name,
            starts_on=starts_on,
            ends_on=ends_on,
            added_by=actor.user_id,
        )
    )
    skipped = _skip_in(session, actor, name, starts_on, ends_on) if kind is SpanKind.HOLIDAY else 0
    days = {"starts_on": starts_on.isoformat(), "ends_on": ends_on.isoformat()}
    _note(session, actor, "standing.add_span", note=name, **days)
    return skipped


def _skip_in(session: Session, actor: Actor, name: str, starts_on: date, ends_on: date) -> int:
    query = select(StandingOrder).where(
        StandingOrder.buyer_unit_id == actor.buyer_unit_id, StandingOrder.state.in_(RUNNING)
    )
    skipped = 0
    for standing in session.scalars(query.order_by(StandingOrder.id)).unique().all():
        lock(session, standing)
        inside = windows_of(standing).where(
            DeliveryWindow.deliver_on.between(starts_on, ends_on),
            DeliveryWindow.state == WindowState.PLANNED,
            DeliveryWindow.cutoff_at > now(),
        )
        windows = list(session.scalars(inside))
        call_off(session, actor, standing, windows, name)
        skipped += len(windows)
    return skipped


def remove_span(session: Session, actor: Actor, span_id: int) -> None:
    """Take a term or a holiday out again; what it has skipped stays skipped. Raises NotFound."""
    actor.require(Permission.ORDER_FOR_UNIT)
    span = session.scalar(
        select(UnitSpan).where(UnitSpan.id == span_id, UnitSpan.buyer_unit_id == actor.buyer_unit_id)
    )
    if span is None:
        raise NotFound
    session.delete(span)
    days = {"starts_on": span.starts_on.isoformat(), "ends_on": span.ends_on.isoformat()}
    _note(session, actor, "standing.remove_span", note=span.name, **days)


def _unit_of(session: Session, actor: Actor) -> BuyerUnit:
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    if unit is None:
        raise Forbidden
    return unit


def _note(session: Session, actor: Actor, action: str, *, note: str, starts_on: str, ends_on: str) -> None:
    subject = ("buyer_unit", _unit_of(session, actor).public_no)
    record_trail(session, actor, action, subject=subject, note=note, starts_on=starts_on, ends_on=ends_on)
    session.flush()
