"""Which supplies fit which requests, and why: one statement for both directions.

A pair needs the same goods (the one's category is the other's or above it, or the request's words name the commodity)
and days on which both can. What else fits raises its score: enough grams, an asking price within the ceiling, and the
county that is preferred, or else the unit's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from marketplace.catalog.models import Category
from marketplace.core.clock import now
from marketplace.core.labels import N_, LabelledEnum
from marketplace.procurement.requests.models import (
    PurchaseRequest,
    RequestState,
    RequestVersion,
    Supply,
)
from marketplace.procurement.requests.queries import IS_CURRENT, standing_supply
from marketplace.registry.models import BuyerUnit, Cooperative, CooperativeState

SUGGESTIONS = 6
WANTED, SUPPLIED = aliased(Category), aliased(Category)


class Reason(LabelledEnum):
    """Why a supply and a request fit."""

    CATEGORY = "category", N_("同一类别")
    WORDS = "words", N_("品名相同")
    WINDOW = "window", N_("供货期合适")
    QUANTITY = "quantity", N_("数量足够")
    PRICE = "price", N_("价格在最高价以内")
    COUNTY = "county", N_("产地优先")


POINTS = {
    Reason.CATEGORY: 30,
    Reason.WORDS: 30,
    Reason.WINDOW: 10,
    Reason.QUANTITY: 10,
    Reason.PRICE: 15,
    Reason.COUNTY: 15,
}


@dataclass(frozen=True)
class Match:
    """A supply and a request that fit, and why."""

    request: PurchaseRequest
    supply: Supply
    score: int
    reasons: tuple[Reason, ...]


def matches_of_request(session: Session, request: PurchaseRequest) -> list[Match]:
    """The supplies that fit a request best."""
    return _matches(session, _pairs().where(PurchaseRequest.id == request.id))


def matches_of_cooperative(session: Session, cooperative_id: int) -> list[Match]:
    """The open requests that fit a cooperative's supplies best."""
    taking = (PurchaseRequest.state == RequestState.OPEN, RequestVersion.deadline_at > now())
    return _matches(session, _pairs().where(Supply.cooperative_id == cooperative_id, *taking))


def _matches(session: Session, pairs: Select[Any]) -> list[Match]:
    rows = session.execute(pairs.limit(SUGGESTIONS)).unique().all()
    return [
        Match(row[0], row[1], row.score, tuple(reason for reason in Reason if getattr(row, reason.value)))
        for row in rows
    ]


def _pairs() -> Select[Any]:
    """Pairs that fit, the best first, with a column for each reason and the score."""
    fits = _conditions()
    reasons = {reason: case((condition, 1), else_=0) for reason, condition in fits.items()}
    score = reduce(add, (reasons[reason] * POINTS[reason] for reason in Reason))
    return (
        select(
            PurchaseRequest,
            Supply,
            *(column.label(reason.value) for reason, column in reasons.items()),
            score.label("score"),
        )
        .join(RequestVersion, IS_CURRENT)
        .join(BuyerUnit, BuyerUnit.id == PurchaseRequest.buyer_unit_id)
        .join(WANTED, WANTED.code == RequestVersion.category_code)
        .join(Supply, standing_supply())
        .join(SUPPLIED, SUPPLIED.code == Supply.category_code)
        .join(Cooperative, Cooperative.id == Supply.cooperative_id)
        .where(
            or_(fits[Reason.CATEGORY], fits[Reason.WORDS]),
            fits[Reason.WINDOW],
            Cooperative.state == CooperativeState.ADMITTED,
        )
        .order_by(score.desc(), Supply.ask_fen_per_kg, PurchaseRequest.id, Supply.id)
        .options(joinedload(PurchaseRequest.current), joinedload(Supply.cooperative))
    )


def _conditions() -> dict[Reason, ColumnElement[bool]]:
    version = RequestVersion
    return {
        Reason.CATEGORY: or_(
            WANTED.path == SUPPLIED.path,
            SUPPLIED.path.startswith(WANTED.path + "/"),
            WANTED.path.startswith(SUPPLIED.path + "/"),
        ),
        Reason.WORDS: or_(
            func.replace(version.title, Supply.commodity, "") != version.title,
            func.replace(version.specification, Supply.commodity, "") != version.specification,
        ),
        Reason.WINDOW: and_(
            Supply.ready_from <= version.deliver_until, Supply.ready_until >= version.deliver_from
        ),
        Reason.QUANTITY: Supply.mass_g >= version.mass_g,
        Reason.PRICE: Supply.ask_fen_per_kg <= version.ceiling_fen_per_kg,
        Reason.COUNTY: Cooperative.county_code == func.coalesce(version.county_code, BuyerUnit.county_code),
    }
