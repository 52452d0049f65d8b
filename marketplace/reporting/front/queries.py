"""Figures of counties and goods just sold, as anybody may see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, distinct, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingVersion
from marketplace.core.clock import now
from marketplace.linkage.models import Mechanism
from marketplace.ordering.models import OrderLine
from marketplace.payments.models import Credit, LinkagePool, Settlement
from marketplace.registry.models import (
    Cooperative,
    CooperativeState,
    Enrolment,
    EnrolmentState,
    Region,
    RegionLevel,
)
from marketplace.reporting.front.suppression import SMALLEST_SHOWN, withheld

YEAR = timedelta(days=365)
LOOKED_THROUGH = 60  # settled lines, newest first, among which those to show are found


@dataclass(frozen=True)
class CountyFigures:
    """A county: its cooperatives, the households linked with them, and what its goods brought in twelve months.

    `households` and `linked_fen` are None where they are withheld. Sums in fen.
    """

    county: Region
    cooperatives: int
    households: int | None
    sales_fen: int
    linked_fen: int | None


@dataclass(frozen=True)
class Totals:
    """The sums over all counties; None where they are withheld."""

    cooperatives: int
    households: int | None
    sales_fen: int
    linked_fen: int | None


def county_figures(session: Session) -> tuple[list[CountyFigures], Totals]:
    """The counties with an admitted cooperative, and their sums. A fixed number of statements.

    Sales are the net value of lines settled in the last twelve months, before later refunds; `linked_fen` is the part
    of it that the linkage terms give to households.
    """
    cooperatives = _by_county(
        session,
        select(Cooperative.county_code, func.count())
        .where(Cooperative.state == CooperativeState.ADMITTED)
        .group_by(Cooperative.county_code),
    )
    households = _by_county(
        session,
        select(Cooperative.county_code, func.count(distinct(Enrolment.household_id)))
        .join(Cooperative, Cooperative.id == Enrolment.cooperative_id)
        .where(Enrolment.state == EnrolmentState.ACKNOWLEDGED)
        .group_by(Cooperative.county_code),
    )
    money = {
        code: (int(sales), int(linked))
        for code, sales, linked in session.execute(
            select(Cooperative.county_code, func.sum(Settlement.net_fen), func.sum(Settlement.pool_fen))
            .join(Cooperative, Cooperative.id == Settlement.cooperative_id)
            .where(Settlement.settled_at >= now() - YEAR)
            .group_by(Cooperative.county_code)
        )
    }
    codes = set(cooperatives) | set(households) | set(money)
    places = session.scalars(
        select(Region).where(Region.code.in_(codes), Region.level == RegionLevel.COUNTY).order_by(Region.code)
    )
    hidden = withheld(households)
    figures = [
        CountyFigures(
            county=place,
            cooperatives=cooperatives.get(place.code, 0),
            households=None if place.code in hidden else households.get(place.code, 0),
            sales_fen=money.get(place.code, (0, 0))[0],
            linked_fen=None if place.code in hidden else money.get(place.code, (0, 0))[1],
        )
        for place in places
    ]
    return figures, _totals(figures, households, money)


def _by_county(session: Session, query: Select[tuple[str, int]]) -> dict[str, int]:
    return dict(session.execute(query).all())


def _totals(
    figures: Iterable[CountyFigures], households: Mapping[str, int], money: Mapping[str, tuple[int, int]]
) -> Totals:
    reached = sum(households.values())
    shown = reached == 0 or reached >= SMALLEST_SHOWN
    return Totals(
        cooperatives=sum(row.cooperatives for row in figures),
        households=reached if shown else None,
        sales_fen=sum(sales for sales, _ in money.values()),
        linked_fen=sum(linked for _, linked in money.values()) if shown else None,
    )


@dataclass(frozen=True)
class SoldLine:
    """Goods just settled and where the money went: to how many households, by which mechanisms. Sums in fen."""

    listing_no: str
    title: str
    cooperative: str
    county: str
    settled_at: datetime
    net_fen: int
    linked_fen: int
    households: int
    mechanisms: tuple[tuple[Mechanism, int], ...]


def recently_sold(session: Session, *, most: int) -> list[SoldLine]:
    """The newest settled lines that reached at least five households, each product once, at most `most`."""
    newest = (
        select(
            Settlement.line_id,
            Listing.public_no,
            OrderLine.title,
            Cooperative.name,
            Region.name.label("county"),
            Settlement.settled_at,
            Settlement.net_fen,
            Settlement.pool_fen,
        )
        .join(OrderLine, OrderLine.id == Settlement.line_id)
        .join(ListingVersion, ListingVersion.id == OrderLine.listing_version_id)
        .join(Listing, Listing.id == ListingVersion.listing_id)
        .join(Cooperative, Cooperative.id == Settlement.cooperative_id)
        .join(Region, Region.code == Cooperative.county_code)
        .order_by(Settlement.line_id.desc())
        .limit(LOOKED_THROUGH)
    )
    rows = session.execute(newest).all()
    line_ids = [row.line_id for row in rows]
    reached = dict(
        session.execute(
            select(Credit.line_id, func.count(distinct(Credit.household_id)))
            .where(Credit.line_id.in_(line_ids))
            .group_by(Credit.line_id)
        ).all()
    )
    wide = [row for row in rows if reached.get(row.line_id, 0) >= SMALLEST_SHOWN]
    each_once = {row.public_no: row for row in reversed(wide)}
    chosen = sorted(each_once.values(), key=lambda row: -row.line_id)[:most]
    shares = _shares(session, [row.line_id for row in chosen])
    return [
        SoldLine(
            listing_no=row.public_no,
            title=row.title,
            cooperative=row.name,
            county=row.county,
            settled_at=row.settled_at,
            net_fen=row.net_fen,
            linked_fen=row.pool_fen,
            households=reached[row.line_id],
            mechanisms=tuple(shares.get(row.line_id, ())),
        )
        for row in chosen
    ]


def _shares(session: Session, line_ids: list[int]) -> dict[int, list[tuple[Mechanism, int]]]:
    shares: dict[int, list[tuple[Mechanism, int]]] = {}
    for line_id, mechanism, fen in session.execute(
        select(LinkagePool.line_id, LinkagePool.mechanism, func.sum(LinkagePool.pool_fen))
        .where(LinkagePool.line_id.in_(line_ids))
        .group_by(LinkagePool.line_id, LinkagePool.mechanism)
        .order_by(LinkagePool.mechanism)
    ):
        shares.setdefault(line_id, []).append((mechanism, int(fen)))
    return shares
