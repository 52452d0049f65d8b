"""The prices of grain that rents are indexed to: recorded by county or platform with their source, read by year."""

from __future__ import annotations

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import today
from marketplace.core.errors import Forbidden, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.mechanisms.land_transfer.models import MOST_GRAIN_FEN_PER_KG, GrainPrice
from marketplace.registry.models import Region, RegionLevel

FIRST_YEAR = 2014
LEVELS = (6, 4, 2)  # a price of the county goes before one of the city or of the province


def may_record_prices(actor: Actor) -> bool:
    """Whether the actor records prices: a county for itself, the platform for every place. Cooperatives, who pay the
    rent, do not."""
    return actor.can(Permission.RECORD_STATUS) or actor.can(Permission.MANAGE_USERS)


def record_grain_price(
    session: Session, actor: Actor, *, region_code: str, year: int, fen_per_kg: int, source: str
) -> GrainPrice:
    """Record what a kilogram of unhusked rice costs in a county, city or the province in `year`, in fen.

    A further price of the same place and year corrects it for the rents recorded from now on. Raises Refused (field
    named) for a year, price or source that cannot be; Forbidden for another county's.
    """
    if not may_record_prices(actor):
        raise Forbidden
    if not actor.can(Permission.MANAGE_USERS) and region_code != actor.county_code:
        raise Forbidden
    region = session.get(Region, region_code)
    if region is None or region.level not in (
        RegionLevel.COUNTY,
        RegionLevel.PREFECTURE,
        RegionLevel.PROVINCE,
    ):
        raise Refused("unknown_region", N_("请选择县、市或全省"), field="region_code")
    if not FIRST_YEAR <= year <= today().year:
        raise Refused("year", N_("年份须在 2014 年到今年之间"), field="year")
    if not 0 < fen_per_kg <= MOST_GRAIN_FEN_PER_KG:
        message = N_("价格超出了合理范围，请核对单位是否为元/千克")
        raise Refused("price", message, field="fen_per_kg")
    source = source.strip()
    if not 0 < len(source) <= 200:
        raise Refused("source", N_("请写明价格出自哪份文件或公告"), field="source")
    price = GrainPrice(
        region_code=region_code,
        year=year,
        version=_versions(session, region_code, year) + 1,
        fen_per_kg=fen_per_kg,
        source=source,
        recorded_by=actor.user_id,
    )
    session.add(price)
    session.flush()
    record_trail(
        session,
        actor,
        "linkage.record_grain_price",
        subject=("region", region_code),
        year=year,
        price=format_yuan(fen_per_kg),
        version=price.version,
    )
    return price


def _versions(session: Session, region_code: str, year: int) -> int:
    same = (GrainPrice.region_code == region_code, GrainPrice.year == year)
    return session.scalar(select(func.max(GrainPrice.version)).where(*same)) or 0


def grain_price_for(session: Session, parcel_no: str, year: int) -> GrainPrice:
    """The price for a parcel in `year`: of its county, else its city, else the province, the last version.

    A parcel's code begins with its county. Raises Refused, saying what is to be recorded, when there is none.
    """
    codes = [parcel_no[:length] for length in LEVELS]
    query = select(GrainPrice).where(GrainPrice.region_code.in_(codes), GrainPrice.year == year)
    found = session.scalars(
        query.order_by(func.length(GrainPrice.region_code).desc(), GrainPrice.version.desc()).limit(1)
    ).first()
    if found is not None:
        return found
    county = session.get(Region, codes[0])
    raise Refused(
        "no_grain_price",
        N_("%(place)s %(year)s 年的稻谷价格还没有登记，请县里先登记价格和来源，再记这一年的租金"),
        field="starts_on",
        place=county.name if county else codes[0],
        year=year,
    )


def grain_prices(actor: Actor) -> Select[GrainPrice]:
    """The prices that hold, the latest year first: for a county or cooperative its own and those above it."""
    newer = (
        select(GrainPrice.region_code, GrainPrice.year, func.max(GrainPrice.version).label("version"))
        .group_by(GrainPrice.region_code, GrainPrice.year)
        .subquery()
    )
    last = and_(
        newer.c.region_code == GrainPrice.region_code,
        newer.c.year == GrainPrice.year,
        newer.c.version == GrainPrice.version,
    )
    query = (
        select(GrainPrice)
        .join(newer, last)
        .options(joinedload(GrainPrice.region))
        .order_by(GrainPrice.year.desc(), GrainPrice.region_code)
    )
    county = actor.county_code
    if county is None:
        return query
    return query.where(or_(*(GrainPrice.region_code == county[:length] for length in LEVELS)))
