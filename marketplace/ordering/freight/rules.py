"""Writing a freight sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.freight.models import FreightRate, FreightSheet
from marketplace.registry.models import Cooperative, Region

MOST_FEN = 100_000
MOST_DAYS = 60
MOST_RATES = 40


@dataclass(frozen=True)
class Rate:
    """One row of a sheet: see `FreightRate`."""

    zone_code: str
    first_fen: int
    further_fen: int
    days_from: int
    days_to: int


def write_freight_sheet(
    session: Session, actor: Actor, *, rates: Sequence[Rate], free_from_fen: int | None
) -> FreightSheet:
    """Let a sheet hold for orders placed from now on; those placed before keep theirs.

    Raises Refused for a zone that is no place or named twice, for sums and days that cannot be, and for a sheet without
    a row; Conflict when somebody else wrote one at the same moment.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id is None:
        raise NotFound
    _check(session, rates, free_from_fen)
    last = session.scalar(
        select(func.max(FreightSheet.version)).where(FreightSheet.cooperative_id == actor.cooperative_id)
    )
    sheet = FreightSheet(
        cooperative_id=actor.cooperative_id,
        version=(last or 0) + 1,
        free_from_fen=free_from_fen,
        created_by=actor.user_id,
        rates=[FreightRate(**vars(rate)) for rate in rates],
    )
    try:
        with session.begin_nested():
            session.add(sheet)
    except IntegrityError as error:
        raise Conflict("freight_written", N_("刚刚有同事改了运费，请刷新后核对")) from error
    number = session.scalar(select(Cooperative.public_no).where(Cooperative.id == actor.cooperative_id)) or ""
    record_trail(
        session,
        actor,
        "ordering.write_freight",
        subject=("cooperative", number),
        cooperative_id=actor.cooperative_id,
        version=sheet.version,
    )
    return sheet


def _check(session: Session, rates: Sequence[Rate], free_from_fen: int | None) -> None:
    if not 1 <= len(rates) <= MOST_RATES:
        raise Refused("no_rates", N_("请至少填写一个地区的运费，最多 %(most)s 个"), most=MOST_RATES)
    if free_from_fen is not None and free_from_fen <= 0:
        raise Refused("free_from", N_("包邮金额须大于 0；不设包邮请留空"), field="free_from")
    zones = [rate.zone_code for rate in rates]
    twice = next((zone for zone in zones if zones.count(zone) > 1), None)
    if twice is not None:
        raise Refused("zone_twice", N_("同一地区只能填一行，请合并"))
    known = set(session.scalars(select(Region.code).where(Region.code.in_(zones))))
    if any(zone and (zone not in known or len(zone) > 6) for zone in zones):
        raise Refused("zone_unknown", N_("有一行的地区不存在，请重新选择"))
    for rate in rates:
        if not (0 <= rate.first_fen <= MOST_FEN and 0 <= rate.further_fen <= MOST_FEN):
            raise Refused("freight_fen", N_("运费须在 0 到 1000 元之间"))
        if not 1 <= rate.days_from <= rate.days_to <= MOST_DAYS:
            raise Refused("freight_days", N_("送达天数须在 1 到 60 天之间，且先小后大"))
