"""Keeping addresses: adding, changing, removing, and which one is the default."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.addresses.models import SavedAddress
from marketplace.registry.models import Region, RegionLevel

MOST = 20
LENGTHS = {"recipient_name": 60, "recipient_phone": 20, "address": 200}


@dataclass(frozen=True)
class Place:
    """Who receives where; `region_code` is a county of the province, None outside of it."""

    recipient_name: str
    recipient_phone: str
    address: str
    region_code: str | None


def save_address(
    session: Session,
    actor: Actor,
    place: Place,
    *,
    is_default: bool = False,
    instead: SavedAddress | None = None,
) -> SavedAddress:
    """Keep an address, or let it take the place of one of the actor's (`instead`). The first is the default.

    Raises Refused for a missing or overlong item, a region that is no county, and when there are 20 already; NotFound
    for somebody else's address.
    """
    actor.require(Permission.BUY_PERSONALLY)
    if actor.user_id is None or (instead is not None and instead.user_id != actor.user_id):
        raise NotFound
    _check(session, place)
    own = select(func.count()).where(SavedAddress.user_id == actor.user_id)
    count = session.scalar(own) or 0
    if instead is None and count >= MOST:
        raise Refused("too_many_addresses", N_("最多保存 %(most)s 个地址，请先删去不用的"), most=MOST)
    kept = instead or SavedAddress(user_id=actor.user_id)
    for name in LENGTHS:
        setattr(kept, name, getattr(place, name).strip())
    kept.region_code = place.region_code
    session.add(kept)
    session.flush()
    if is_default or count == 0:
        make_default(session, actor, kept)
    return kept


def _check(session: Session, place: Place) -> None:
    for name, most in LENGTHS.items():
        text = getattr(place, name).strip()
        if not text:
            raise Refused("delivery_missing", N_("请写明收货人、联系电话和收货地址"), field=name)
        if len(text) > most:
            raise Refused("delivery_long", N_("这一项最多 %(most)s 个字"), field=name, most=most)
    if place.region_code is not None:
        county = session.get(Region, place.region_code)
        if county is None or county.level is not RegionLevel.COUNTY:
            raise Refused("region", N_("请选择收货地区"), field="region")


def make_default(session: Session, actor: Actor, address: SavedAddress) -> SavedAddress:
    """Let one of the actor's addresses be the one that checkouts begin with."""
    if address.user_id != actor.user_id:
        raise NotFound
    others = update(SavedAddress).where(SavedAddress.user_id == actor.user_id, SavedAddress.is_default)
    session.execute(others.values(is_default=False))
    address.is_default = True
    session.flush()
    return address


def remove_address(session: Session, actor: Actor, address: SavedAddress) -> None:
    """Forget one of the actor's addresses; the newest of the others becomes the default when it was. What was ordered
    before keeps where it went."""
    if address.user_id != actor.user_id:
        raise NotFound
    was_default = address.is_default
    session.delete(address)
    session.flush()
    newest = (
        select(SavedAddress).where(SavedAddress.user_id == actor.user_id).order_by(SavedAddress.id.desc())
    )
    following = session.scalar(newest.limit(1))
    if was_default and following is not None:
        make_default(session, actor, following)
