"""What is there before anybody trades: facts, the platform, government bodies with their people, buyers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial

from sqlalchemy import select

from marketplace.catalog.loading import load_categories
from marketplace.core import clock
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import OrganisationKind, Role, User
from marketplace.identity.rules import open_organisation
from marketplace.linkage.mechanisms.land_transfer.grain import record_grain_price
from marketplace.ordering.terms import load_payment_policies
from marketplace.procurement.quota.policy import load_quota_rules
from marketplace.registry.buyer_units.rules import register_buyer_unit
from marketplace.registry.identifiers import make_uscc
from marketplace.registry.models import BuyerUnit, Region, UnitKind
from marketplace.registry.offices.rules import register_office
from marketplace.registry.rules import load_policies, load_regions

PROVINCE = "36"
GRAIN_FEN = (258, 262)  # a kilogram, year by year
REVIEWERS = {12: Role.VILLAGE_REVIEWER, 9: Role.TOWNSHIP_REVIEWER, 6: Role.COUNTY_REVIEWER}
REVIEWER_LOGINS = {12: "village", 9: "township", 6: "county"}
COUNTY = 6
COLLEAGUE = "county2"  # what needs two people needs a second one in the county
COUNTY_OFFICE = "农业农村局"
TOWNSHIP_OFFICE = "人民政府"
UNITS = (
    ("示范中学食堂", UnitKind.SCHOOL, "12"),
    ("机关服务中心食堂", UnitKind.OFFICE, "11"),
    ("中心医院职工食堂", UnitKind.HOSPITAL, "12"),
    ("第二示范小学食堂", UnitKind.SCHOOL, "12"),
    ("公共服务局食堂", UnitKind.OFFICE, "11"),
    ("实验幼儿园食堂", UnitKind.SCHOOL, "12"),
    ("水务公司职工食堂", UnitKind.ENTERPRISE, "91"),
)
DUTIES = {
    "orderer": Role.UNIT_ORDERER,
    "approver": Role.UNIT_APPROVER,
    "receiver": Role.UNIT_RECEIVER,
    "payer": Role.UNIT_PAYER,
}


@dataclass(frozen=True)
class Canteen:
    """A buyer unit and its people by duty."""

    unit: BuyerUnit
    people: dict[str, User]

    def acting(self, duty: str) -> Actor:
        """The person of a duty as an actor."""
        return actor_of(self.people[duty])


def load_facts(world: World) -> None:
    """Places, policies, categories; the platform with its operator; the province with auditor and supervisor."""
    load_regions(world.session)
    load_policies(world.session)
    load_categories(world.session)
    load_quota_rules(world.session)
    load_payment_policies(world.session)
    platform = open_organisation(
        world.session, kind=OrganisationKind.PLATFORM, name="赣品助农平台（演示）", region_code=PROVINCE
    )
    world.operator = world.account("operator", world.people.name(), Role.OPERATOR, organisation=platform)
    _record_grain_prices(world)
    province = register_office(
        world.session, world.operating, name="江西省乡村振兴工作专班", region_code=PROVINCE
    )
    world.account("auditor", world.people.name(), Role.AUDITOR, organisation=province)
    world.account("supervisor", world.people.name(), Role.SUPERVISOR, organisation=province)


def _record_grain_prices(world: World) -> None:
    """What a kilogram of rice is worth in the province, for the years of the demo, each in its own year."""
    for place, year in enumerate(range(clock.today().year, world.last_on.year + 1)):
        at = max(clock.now(), at_hour(date(year, 1, 4), 9))
        world.timeline.at(at, partial(_record_grain_price, world, GRAIN_FEN[place % len(GRAIN_FEN)]))


def _record_grain_price(world: World, fen_per_kg: int) -> None:
    year = clock.today().year
    record_grain_price(
        world.session,
        world.operating,
        region_code=PROVINCE,
        year=year,
        fen_per_kg=fen_per_kg,
        source=f"国家发展改革委公布的 {year} 年中晚籼稻最低收购价",
    )


def open_offices(world: World, codes: list[str]) -> None:
    """A government body with one reviewer at each of these places (county, township or village), in this order.

    The first of each level gets the named account.
    """
    names = dict(world.session.execute(select(Region.code, Region.name).where(Region.code.in_(codes))).all())
    counted: dict[int, int] = {}
    for code in codes:
        level = len(code)
        counted[level] = counted.get(level, 0) + 1
        suffix = {6: COUNTY_OFFICE, 9: TOWNSHIP_OFFICE}.get(level, "")
        world.offices[code] = register_office(
            world.session, world.operating, name=names[code] + suffix, region_code=code
        )
        login = REVIEWER_LOGINS[level] + (f".{counted[level]:02d}" if counted[level] > 1 else "")
        world.officials[code] = world.account(
            login, world.people.name(), REVIEWERS[level], organisation=world.offices[code]
        )
        if level == COUNTY and counted[level] == 1:
            world.colleagues[code] = world.account(
                COLLEAGUE, world.people.name(), REVIEWERS[level], organisation=world.offices[code]
            )


def register_canteens(world: World, county_codes: list[str]) -> list[Canteen]:
    """The buyer units of the scale, the four duties of each held by four people; those of the first are named."""
    return [
        _canteen(world, place, county_codes[place % len(county_codes)]) for place in range(world.scale.units)
    ]


def _canteen(world: World, place: int, county_code: str) -> Canteen:
    suffix, kind, prefix = UNITS[place % len(UNITS)]
    county = world.session.get_one(Region, county_code)
    contact = world.people.name()
    unit = register_buyer_unit(
        world.session,
        world.operating,
        name=county.name + suffix,
        kind=kind,
        uscc=make_uscc(county_code, 500 + place, prefix=prefix),
        county_code=county_code,
        address=f"{county.name}城区演示路 {place + 1} 号",
        contact_name=contact,
        contact_phone=world.people.phone(),
    )
    people = {
        duty: world.account(
            duty if place == 0 else f"{duty}.{place + 1:02d}",
            contact if duty == "orderer" else world.people.name(),
            role,
            organisation=unit.organisation,
        )
        for duty, role in DUTIES.items()
    }
    return Canteen(unit, people)


def register_staff(world: World, county_codes: list[str]) -> list[User]:
    """Cadres who buy for themselves, the named one first; every second has opened the account through an office."""
    return [
        world.account(
            "staff" if place == 0 else f"staff.{place + 1:02d}",
            world.people.name(),
            Role.STAFF_BUYER,
            organisation=world.offices[county_codes[place % len(county_codes)]] if place % 2 == 0 else None,
        )
        for place in range(world.scale.staff)
    ]
