"""Sums of canteens' purchases for quotas, set-based: what counts in a year, what is on the way, what never counts.

What counts is said by `payments/counted.py`; a rule may restrict it to branches of the category tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
)

from marketplace.catalog.models import Category, Listing, ListingVersion, Product
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.ordering.models import Order, OrderKind, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.counted import completed_within, is_counted, refunded_by_line, year_span
from marketplace.procurement.quota.models import QuotaCover, QuotaFiling
from marketplace.registry.models import BuyerUnit

GONE = (PartState.CANCELLED, PartState.RETURNED)
FEWEST_BUYERS = 5  # a sum over fewer people would tell what one of them bought


@dataclass(frozen=True)
class Scopes:
    """The branches of the category tree that count, where a rule restricts them: by the rule that a quota was filed
    under, and for a unit without a filing in force by its county, whose rule would be the one."""

    by_rule: Mapping[int, Collection[str]] = field(default_factory=dict)
    by_county: Mapping[str, Collection[str]] = field(default_factory=dict)


class Missing(LabelledEnum):
    """What a canteen's order still lacks before it counts."""

    ACCEPTANCE = "acceptance", N_("待验收")
    PAYMENT = "payment", N_("待付款")
    EVALUATION = "evaluation", N_("待评价")


REFUNDED = refunded_by_line()
NET_FEN = OrderLine.net_fen - cast(func.coalesce(REFUNDED.c.refunded_fen, 0), BigInteger)


def completed_in(year: int) -> ColumnElement[bool]:
    """Whether the last of acceptance, payment and evaluation of an OrderPart fell into a year of China's calendar."""
    return completed_within(*year_span(year))


def canteen_lines(*columns: Any) -> Select[Any]:
    """Order lines of canteens, as these columns; NET_FEN is their value less what was given back."""
    return _lines(*columns).where(Order.kind == OrderKind.CANTEEN)


def _lines(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(OrderLine)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .outerjoin(REFUNDED, REFUNDED.c.line_id == OrderLine.id)
    )


def in_scope(codes: Collection[str]) -> ColumnElement[bool]:
    """Whether an OrderLine's goods are in one of these branches of the category tree."""
    path = literal("/") + Category.path + "/"
    branches = (path.contains(f"/{code}/", autoescape=True) for code in codes)
    goods = (
        select(ListingVersion.id)
        .join(Listing, Listing.id == ListingVersion.listing_id)
        .join(Product, Product.id == Listing.product_id)
        .join(Category, Category.code == Product.category_code)
        .where(or_(*branches))
    )
    return OrderLine.listing_version_id.in_(goods)


def counted_by_filer(year: int, scopes: Scopes) -> Subquery:
    """filer_id and counted_fen of a year, a shared canteen under its representative, within `scopes`."""
    filer = func.coalesce(QuotaCover.filer_id, Order.buyer_unit_id).label("filer_id")
    query = (
        canteen_lines(filer, func.sum(NET_FEN).label("counted_fen"))
        .outerjoin(QuotaCover, and_(QuotaCover.unit_id == Order.buyer_unit_id, QuotaCover.year == year))
        .where(is_counted(), completed_in(year))
        .group_by(filer)
    )
    if scopes.by_rule or scopes.by_county:
        query = query.outerjoin(QuotaFiling, QuotaFiling.id == QuotaCover.filing_id)
        query = query.join(BuyerUnit, BuyerUnit.id == filer).where(_within(scopes))
    return query.subquery()


def _within(scopes: Scopes) -> ColumnElement[bool]:
    """Whether an OrderLine is within the scope of the filing of its unit, or of the county of its filer without one."""
    filed, county = QuotaFiling.rule_id, BuyerUnit.county_code
    restricted = or_(filed.in_(scopes.by_rule), and_(filed.is_(None), county.in_(scopes.by_county)))
    of_rules = (and_(filed == rule, in_scope(codes)) for rule, codes in scopes.by_rule.items())
    alike: dict[tuple[str, ...], list[str]] = {}
    for code, codes in scopes.by_county.items():
        alike.setdefault(tuple(codes), []).append(code)
    of_counties = (
        and_(filed.is_(None), county.in_(counties), in_scope(codes)) for codes, counties in alike.items()
    )
    return or_(~func.coalesce(restricted, false()), *of_rules, *of_counties)


def counted_of(unit_ids: Collection[int], year: int, codes: Collection[str], *columns: Any) -> Select[Any]:
    """The lines that count for these units in a year, as these columns."""
    query = canteen_lines(*columns).where(Order.buyer_unit_id.in_(unit_ids), is_counted(), completed_in(year))
    return query.where(in_scope(codes)) if codes else query


def counted_lines_of(unit_ids: Collection[int], year: int, codes: Collection[str]) -> Select[Any]:
    """(line, part, order, net fen) of everything that counts for these units in a year, the latest first; what was
    given back whole does not."""
    columns = (OrderLine, OrderPart, Order, NET_FEN.label("kept_fen"))
    query = counted_of(unit_ids, year, codes, *columns).where(NET_FEN > 0)
    return query.order_by(OrderPart.evaluated_at.desc(), OrderLine.id.desc())


def missing_of() -> ColumnElement[str]:
    """What an OrderPart that does not count yet lacks first."""
    return case(
        (OrderPart.accepted_at.is_(None), Missing.ACCEPTANCE.value),
        (OrderPart.paid_at.is_(None), Missing.PAYMENT.value),
        else_=Missing.EVALUATION.value,
    )


def pending_lines_of(unit_ids: Collection[int], codes: Collection[str], *columns: Any) -> Select[Any]:
    """Lines of these units that are ordered and do not count yet, as these columns."""
    query = canteen_lines(*columns).where(
        Order.buyer_unit_id.in_(unit_ids), OrderPart.state.not_in(GONE), ~is_counted()
    )
    return query.where(in_scope(codes)) if codes else query


def _bought_in(year: int) -> Select[Any]:
    """Sum in fen and number of buyers of whatever was ordered in a year and not called off."""
    since, until = year_span(year)
    columns = (func.coalesce(func.sum(NET_FEN), 0), func.count(Order.buyer_user_id.distinct()))
    return _lines(*columns).where(
        Order.placed_at >= since, Order.placed_at < until, OrderPart.state.not_in(GONE)
    )


def union_purchases_of(unit_ids: Collection[int], year: int) -> Select[Any]:
    """What the unions of these units ordered in a year: fen and number of buyers. It never counts."""
    return _bought_in(year).where(Order.kind == OrderKind.UNION, Order.buyer_unit_id.in_(unit_ids))


def personal_purchases_of(unit_ids: Collection[int], year: int) -> Select[Any]:
    """What people of these units ordered for themselves in a year: fen and number of buyers. It never counts."""
    people = select(User.id).where(User.organisation_id.in_(unit_ids))
    return _bought_in(year).where(Order.kind == OrderKind.PERSONAL, Order.buyer_user_id.in_(people))
