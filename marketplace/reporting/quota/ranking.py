"""The units of a place by how far they are with their quota, for finance departments. One statement a page of units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, false, func, select
from sqlalchemy.orm import Session, aliased

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.procurement.quota.models import QuotaCover, QuotaFiling, ReservedQuotaRule
from marketplace.procurement.quota.queries import rules_for
from marketplace.registry.models import BuyerUnit, Region
from marketplace.reporting.quota.counting import Scopes, counted_by_filer
from marketplace.reporting.quota.pace import Pace, days_of

FILER = aliased(BuyerUnit, name="filer")


class Standing(LabelledEnum):
    """What a unit has filed for a year."""

    FILED = "filed", N_("已申报")
    LATE = "late", N_("逾期申报")
    WAITING = "waiting", N_("已报待确认")
    NOT_FILED = "not_filed", N_("未申报")
    SHARED = "shared", N_("合用食堂，由代表单位申报")


class Sorting(LabelledEnum):
    """How the ranking may be sorted."""

    BEST = "best", N_("比例从高到低")
    LAST = "last", N_("比例从低到高")
    RESERVE = "reserve", N_("预留金额")
    NAME = "name", N_("单位名称")


@dataclass(frozen=True)
class RankedUnit:
    """One unit of the ranking; money in fen. A unit that another files for has no figures of its own."""

    unit_no: str
    name: str
    county: str
    standing: Standing
    filer: str
    base_fen: int | None
    reserve_bp: int | None
    reserve_fen: int | None
    counted_fen: int
    pace: Pace | None


@dataclass(frozen=True)
class Summary:
    """The whole of a ranking: units by standing, how many are behind, and sums in fen."""

    units: dict[Standing, int]
    behind: int
    base_fen: int
    reserve_fen: int
    counted_fen: int
    days_elapsed: int
    days_in_year: int

    @property
    def pace(self) -> Pace | None:
        """All filed quotas as if they were one; None when none is filed."""
        if not self.base_fen:
            return None
        return Pace(self.base_fen, self.reserve_fen, self.counted_fen, self.days_elapsed, self.days_in_year)


def within(actor: Actor) -> ColumnElement[bool]:
    """Whether a BuyerUnit lies in the jurisdiction of the actor's office."""
    if not actor.region_code:
        return false()
    return BuyerUnit.county_code.startswith(actor.region_code[:6], autoescape=True)


def counties_within(session: Session, actor: Actor) -> list[Region]:
    """The counties of the jurisdiction that have units."""
    codes = select(BuyerUnit.county_code).where(within(actor))
    return list(session.scalars(select(Region).where(Region.code.in_(codes)).order_by(Region.code)))


def unit_within(session: Session, actor: Actor, unit_no: str) -> BuyerUnit:
    """A unit of the jurisdiction. Raises NotFound."""
    unit = session.scalar(select(BuyerUnit).where(within(actor), BuyerUnit.public_no == unit_no))
    if unit is None:
        raise NotFound
    return unit


def _standing() -> ColumnElement[str]:
    return case(
        (and_(QuotaCover.filer_id.is_not(None), QuotaCover.filer_id != BuyerUnit.id), Standing.SHARED.value),
        (and_(QuotaFiling.id.is_not(None), QuotaFiling.is_late), Standing.LATE.value),
        (QuotaFiling.id.is_not(None), Standing.FILED.value),
        (QuotaCover.unit_id.is_not(None), Standing.WAITING.value),
        else_=Standing.NOT_FILED.value,
    )


def scopes_of(session: Session, actor: Actor, year: int) -> Scopes:
    """What rules restrict, for filings of a year and for units of the jurisdiction that have none; in three
    statements."""
    query = select(ReservedQuotaRule.id, ReservedQuotaRule.category_codes).where(
        ReservedQuotaRule.year <= year
    )
    by_rule = {rule: codes for rule, codes in session.execute(query) if codes}
    if not by_rule:
        return Scopes()
    counties = session.scalars(select(BuyerUnit.county_code).where(within(actor)).distinct()).all()
    rules = rules_for(session, counties, year)
    by_county = {code: one.rule.category_codes for code, one in rules.items() if one.rule.category_codes}
    return Scopes(by_rule, by_county)


def ranking_of(
    session: Session,
    actor: Actor,
    year: int,
    *,
    county_code: str = "",
    standing: Standing | None = None,
    sort: Sorting = Sorting.BEST,
) -> Select[Any]:
    """The units of the actor's jurisdiction with what they filed for a year and what counts; see `read_row`."""
    counted = counted_by_filer(year, scopes_of(session, actor, year))
    own = QuotaCover.filer_id == BuyerUnit.id
    counted_fen = func.coalesce(counted.c.counted_fen, 0)
    state = _standing()
    columns: tuple[Any, ...] = (
        BuyerUnit.public_no.label("unit_no"),
        BuyerUnit.name.label("name"),
        Region.full_name.label("county"),
        state.label("standing"),
        FILER.name.label("filer"),
        QuotaFiling.base_fen.label("base_fen"),
        QuotaFiling.reserve_bp.label("reserve_bp"),
        QuotaFiling.reserve_fen.label("reserve_fen"),
        counted_fen.label("counted_fen"),
    )
    query = (
        select(*columns)
        .join(Region, Region.code == BuyerUnit.county_code)
        .outerjoin(QuotaCover, and_(QuotaCover.unit_id == BuyerUnit.id, QuotaCover.year == year))
        .outerjoin(QuotaFiling, and_(QuotaFiling.id == QuotaCover.filing_id, own))
        .outerjoin(FILER, FILER.id == QuotaCover.filer_id)
        .outerjoin(counted, counted.c.filer_id == BuyerUnit.id)
        .where(within(actor))
    )
    if county_code:
        query = query.where(BuyerUnit.county_code == county_code)
    if standing is not None:
        query = query.where(state == standing.value)
    share = counted_fen * 10_000 / QuotaFiling.base_fen
    unfiled = case((QuotaFiling.base_fen.is_(None), 1), else_=0)
    keys: dict[Sorting, tuple[Any, ...]] = {
        Sorting.BEST: (unfiled, share.desc()),
        Sorting.LAST: (unfiled.desc(), share),
        Sorting.RESERVE: (unfiled, QuotaFiling.reserve_fen.desc()),
        Sorting.NAME: (BuyerUnit.name,),
    }
    return query.order_by(*keys[sort], BuyerUnit.id)


def read_row(row: Any, year: int) -> RankedUnit:
    """One row of `ranking_of`."""
    elapsed, in_year = days_of(year, today())
    counted = int(row.counted_fen)
    pace = Pace(row.base_fen, row.reserve_fen, counted, elapsed, in_year) if row.base_fen else None
    state = Standing(row.standing)
    return RankedUnit(
        unit_no=row.unit_no,
        name=row.name,
        county=row.county,
        standing=state,
        filer=row.filer if state is Standing.SHARED else "",
        base_fen=row.base_fen,
        reserve_bp=row.reserve_bp,
        reserve_fen=row.reserve_fen,
        counted_fen=counted,
        pace=pace,
    )


def summary_of(session: Session, ranked: Select[Any], year: int) -> Summary:
    """The sums over a whole ranking, in one statement."""
    elapsed, in_year = days_of(year, today())
    rows = ranked.order_by(None).subquery()
    filed = rows.c.base_fen.is_not(None)
    is_behind = and_(filed, rows.c.counted_fen * in_year < rows.c.reserve_fen * elapsed)
    query = select(
        rows.c.standing,
        func.count(),
        func.sum(case((is_behind, 1), else_=0)),
        func.coalesce(func.sum(rows.c.base_fen), 0),
        func.coalesce(func.sum(rows.c.reserve_fen), 0),
        func.sum(case((filed, rows.c.counted_fen), else_=0)),
    ).group_by(rows.c.standing)
    found = session.execute(query).all()
    units = dict.fromkeys(Standing, 0) | {Standing(row[0]): int(row[1]) for row in found}
    behind, base, reserve, counted = (sum(int(row[place]) for row in found) for place in range(2, 6))
    return Summary(units, behind, base, reserve, counted, elapsed, in_year)
