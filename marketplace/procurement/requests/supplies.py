"""What a cooperative says will be ready: posted, and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import Category, Product, ProductLot
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.models import Lot
from marketplace.procurement.requests.facts import (
    MAX_DAYS_AHEAD,
    MAX_FEN_PER_KG,
    MAX_MASS_G,
    public_words,
)
from marketplace.procurement.requests.models import Supply
from marketplace.registry.cooperatives.queries import admitted_cooperative_of
from marketplace.registry.models import Region, RegionLevel

MAX_COMMODITY = 60
MAX_NOTE = 300


@dataclass(frozen=True)
class Ready:
    """What will be ready: grams of a commodity between two days, at fen per kilogram, from a village.

    `product` and `lot` are the cooperative's own, where it names them; a lot says which village.
    """

    commodity: str
    category_code: str
    mass_g: int
    ask_fen_per_kg: int
    ready_from: date
    ready_until: date
    village_code: str
    product: Product | None = None
    lot: Lot | None = None
    note: str = ""


def post_supply(session: Session, actor: Actor, *, ready: Ready, idempotency_key: str) -> Supply:
    """Tell buyers what will be ready. The same key of the same person gives the first post.

    Raises Refused before the cooperative is admitted and for what cannot be, NotFound for another's product or lot.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    cooperative = admitted_cooperative_of(session, actor)
    first = _supply_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    commodity = public_words(ready.commodity, most=MAX_COMMODITY, field="commodity")
    if not commodity:
        raise Refused("words_missing", N_("请填写这一项"), field="commodity")
    _check_ready(ready)
    _check_places(session, actor, ready)
    supply = Supply(
        cooperative_id=cooperative.id,
        category_code=ready.product.category_code if ready.product else ready.category_code,
        commodity=commodity,
        product_id=ready.product.id if ready.product else None,
        lot_id=ready.lot.id if ready.lot else None,
        village_code=ready.lot.village_code if ready.lot else ready.village_code,
        mass_g=ready.mass_g,
        ask_fen_per_kg=ready.ask_fen_per_kg,
        ready_from=ready.ready_from,
        ready_until=ready.ready_until,
        note=public_words(ready.note, most=MAX_NOTE, field="note"),
        posted_by=actor.user_id,
        idempotency_key=idempotency_key,
    )
    try:
        with session.begin_nested():
            session.add(supply)
    except IntegrityError:  # the same submission came twice at the same moment, and the other one was first
        first = _supply_under_key(session, actor, idempotency_key)
        if first is None:
            raise
        return first
    _note(session, actor, "procurement.post_supply", supply)
    return supply


def _supply_under_key(session: Session, actor: Actor, key: str) -> Supply | None:
    query = select(Supply).where(Supply.posted_by == actor.user_id, Supply.idempotency_key == key)
    return session.scalar(query)


def _check_ready(ready: Ready) -> None:
    if not 0 < ready.mass_g <= MAX_MASS_G:
        raise Refused("mass", N_("数量须大于 0，且不超过 1000 吨"), field="mass")
    if not 0 < ready.ask_fen_per_kg <= MAX_FEN_PER_KG:
        raise Refused("ask", N_("单价须大于 0，且不超过每千克 10 万元"), field="ask")
    if ready.ready_until < ready.ready_from:
        raise Refused("window", N_("供货期的最后一天不能早于第一天"), field="ready_until")
    if ready.ready_until < today():
        raise Refused("window_past", N_("供货期已经过去，请填写以后的日期"), field="ready_until")
    if (ready.ready_until - today()).days > MAX_DAYS_AHEAD:
        raise Refused("window_far", N_("供货期须在两年以内"), field="ready_until")


def _check_places(session: Session, actor: Actor, ready: Ready) -> None:
    """Raise NotFound for what is another cooperative's, Refused for what does not belong together."""
    for own in (ready.product, ready.lot):
        if own is not None and own.cooperative_id != actor.cooperative_id:
            raise NotFound
    if ready.product is None and session.get(Category, ready.category_code) is None:
        raise Refused("category", N_("请选择商品类别"), field="category_code")
    if ready.lot is None:
        village = session.get(Region, ready.village_code)
        if village is None or village.level is not RegionLevel.VILLAGE:
            raise Refused("village", N_("请选择出产的村"), field="village_code")
    elif ready.product is not None:
        sold_as = session.scalar(select(ProductLot.product_id).where(ProductLot.lot_id == ready.lot.id))
        if sold_as not in (None, ready.product.id):
            raise Refused("lot_elsewhere", N_("这个批次属于另一个产品"), field="lot")


def withdraw_supply(session: Session, actor: Actor, supply: Supply) -> Supply:
    """Take a post back. Raises NotFound for another cooperative's, Conflict when it was taken back."""
    actor.require(Permission.MANAGE_LISTINGS)
    if supply.cooperative_id != actor.cooperative_id:
        raise NotFound
    session.refresh(supply, ["withdrawn_at"], with_for_update={"of": Supply})
    if supply.withdrawn_at is not None:
        raise Conflict("supply_withdrawn", N_("这条供应已经撤下"))
    supply.withdrawn_at = now()
    _note(session, actor, "procurement.withdraw_supply", supply)
    return supply


def _note(session: Session, actor: Actor, action: str, supply: Supply) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("supply", supply.public_no),
        cooperative_id=supply.cooperative_id,
    )
    session.flush()
