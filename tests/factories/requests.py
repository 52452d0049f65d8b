"""Requests of a canteen and offers on them, made by the rules.

`ask()` is what a unit wants: ten kilograms of camellia oil at no more than 110.00 yuan a kilogram, offers until three
days after the clock's start, delivered in the week after; anything else by name.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.ids import random_key
from marketplace.identity.actors import Actor
from marketplace.ordering.terms import STATUTORY_TERMS
from marketplace.procurement.requests.facts import Wanted
from marketplace.procurement.requests.models import Offer, PurchaseRequest, Supply
from marketplace.procurement.requests.offering import make_offer
from marketplace.procurement.requests.rules import open_request, post_request
from marketplace.procurement.requests.supplies import Ready, post_supply
from tests.factories.registry import VILLAGE, actor_at
from tests.factories.trade import CategoryFactory, Offer as OnSale

MASS_G = 10_000
CEILING = 11_000
DAYS_OPEN = 3


def ask(**changes: Any) -> Wanted:
    """What a unit wants."""
    said = {
        "title": "食堂用山茶油",
        "category_code": CategoryFactory().code,
        "specification": "500 克瓶装，冷榨",
        "mass_g": MASS_G,
        "deliver_from": today() + timedelta(days=7),
        "deliver_until": today() + timedelta(days=14),
        "county_code": None,
        "ceiling_fen_per_kg": CEILING,
        "min_linkage_bp": 1_000,
        "min_households": None,
        "deadline_at": now() + timedelta(days=DAYS_OPEN),
        "terms": STATUTORY_TERMS,
    }
    return Wanted(**{**said, **changes})


def published(session: Session, orderer: Actor, **changes: Any) -> PurchaseRequest:
    """A request that takes offers."""
    request = post_request(session, orderer, wanted=ask(**changes), idempotency_key=random_key())
    return open_request(session, orderer, request)


def offered(
    session: Session,
    request: PurchaseRequest,
    on_sale: OnSale,
    *,
    units: int = 20,
    unit_price_fen: int = 5_000,
    deliver_on: date | None = None,
    actor: Actor | None = None,
    note: str = "",
    key: str | None = None,
) -> Offer:
    """An offer of the cooperative behind `on_sale`: ten kilograms at 100.00 yuan a kilogram unless said otherwise."""
    return make_offer(
        session,
        actor or actor_at(on_sale.cooperative),
        request,
        listing=on_sale.listing,
        units=units,
        unit_price_fen=unit_price_fen,
        deliver_on=deliver_on or request.current.deliver_from,
        note=note,
        idempotency_key=key or random_key(),
    )


def ready(**changes: Any) -> Ready:
    """What a cooperative says will be ready: fifty kilograms at 100.00 yuan, in a week."""
    said = {
        "commodity": "山茶油",
        "category_code": CategoryFactory().code,
        "mass_g": 50_000,
        "ask_fen_per_kg": 10_000,
        "ready_from": today() + timedelta(days=5),
        "ready_until": today() + timedelta(days=20),
        "village_code": VILLAGE,
    }
    return Ready(**{**said, **changes})


def supplied(session: Session, actor: Actor, **changes: Any) -> Supply:
    """A supply on the board."""
    return post_supply(session, actor, ready=ready(**changes), idempotency_key=random_key())
