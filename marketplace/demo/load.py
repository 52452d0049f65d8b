"""Loading the demo: everything is planned first, then the year is played day by day through the real rules.

One transaction for all of it: a load that is broken off leaves nothing behind, and one into a database that holds
accounts already is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from random import Random

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core import clock, ids
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.demo.accounts import shared_hashes
from marketplace.demo.aftersales import Aftersales
from marketplace.demo.agreements import Fields
from marketplace.demo.bank import Bank
from marketplace.demo.carriage import Carriers
from marketplace.demo.certified import Certified
from marketplace.demo.collecting import Collecting
from marketplace.demo.content import FURTHER_TERMS, demo_cooperatives
from marketplace.demo.entry import Seller, apply_for, case_of, pass_on, plan_entry
from marketplace.demo.findings import Findings
from marketplace.demo.founding import load_facts, open_offices, register_canteens, register_staff
from marketplace.demo.goods import Good, goods_of, sellers_of
from marketplace.demo.groups import Groups
from marketplace.demo.harvest import Harvest, plan_lots
from marketplace.demo.households import (
    end_eligibility,
    plan_households,
    propose_elsewhere,
    unbound_households,
    upload_with_mistakes,
)
from marketplace.demo.inboxes import fill_inboxes
from marketplace.demo.invoicing import Invoicing
from marketplace.demo.kitchen import set_up_kitchen
from marketplace.demo.labour import Labour
from marketplace.demo.pay_day import PayDay
from marketplace.demo.plan import plan_orders
from marketplace.demo.praise import Praise
from marketplace.demo.prices import Prices, set_policy
from marketplace.demo.property_income import Assets, Stakes
from marketplace.demo.quotas import Quotas
from marketplace.demo.recognised import Recognised
from marketplace.demo.reconciling import compare_yesterday
from marketplace.demo.regular import Regular
from marketplace.demo.requests import Requests
from marketplace.demo.scale import SCALES
from marketplace.demo.shop import Shop
from marketplace.demo.stories import Stories
from marketplace.demo.timeline import at_hour
from marketplace.demo.trade import Trade
from marketplace.demo.trust import Trust
from marketplace.demo.vouchers import UnionVouchers
from marketplace.demo.world import BEFORE_DAYS, Tools, World
from marketplace.demo.year_end import YearEnd
from marketplace.identity.models import User
from marketplace.linkage.models import Mechanism
from marketplace.payments.charges import collect_charges
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.freight import pass_freight_on
from marketplace.payments.notices import apply_notices
from marketplace.payments.settlement import settle_lines
from marketplace.payments.vouchers.counter import set_off_vouchers
from marketplace.payments.vouchers.rules import close_lapsed_batches
from marketplace.registry.models import Region
from marketplace.registry.reviews.rules import file_objection

ENTRY_DAY, HOUSEHOLDS_DAY, AGREEMENTS_DAY = -88, -64, -48
GUARANTEES_DAY, GUARANTEES_EVERY = -10, 28  # how often what fell due is looked after
WITHDRAWN = 20  # of so many goods one is taken off sale at the end of the year
APPLICANTS = (
    ("山苍子", "把野生山苍子驯化成片，蒸馏精油"),
    ("竹荪", "在毛竹林下种竹荪，农闲时就近务工"),
    ("中蜂", "在阔叶林里放养土蜂，一年只割一次蜜"),
)
Tell = Callable[[str], None]


def load_demo(
    session: Session, tools: Tools, *, scale: str, seed: int, tell: Tell = lambda _line: None
) -> World:
    """Make the demo of a scale (see SCALES) from a seed; `tell` hears how far it is. Does not commit.

    Raises Refused when the database holds accounts already.
    """
    if session.scalar(select(User.id).limit(1)) is not None:
        raise Refused("not_empty", N_("数据库里已有账号，演示数据只能装入空的数据库"))
    random = Random(seed)  # noqa: S311 - a demo wants the same numbers again
    shared = Tools(**{**vars(tools), "passwords": shared_hashes(tools.passwords)})
    world = World(session, shared, SCALES[scale], random)
    with ids.drawn_by(_numbers(seed)):
        with clock.set_to(at_hour(world.day(-BEFORE_DAYS), 8)):
            load_facts(world)
            tell("places, policies and categories")
            _plan(world)
        world.timeline.play(_month_by_month(tell))
        set_policy(world, compare_yesterday(world))
        fill_inboxes(world)
    return world


def _numbers(seed: int) -> ids.Draw:
    """A stream of random bits for each purpose, so that the order in which tables are written does not matter."""
    streams: dict[str, Random] = {}

    def draw(purpose: str, count: int) -> int:
        if purpose not in streams:
            streams[purpose] = Random(f"{seed} {purpose}")  # noqa: S311 - public numbers of a demo
        return streams[purpose].getrandbits(count)

    return draw


def _month_by_month(tell: Tell) -> Callable[[date], None]:
    told: list[tuple[int, int]] = []

    def hear(day: date) -> None:
        if (day.year, day.month) not in told:
            told.append((day.year, day.month))
            tell(f"{day:%Y-%m}")

    return hear


def _plan(world: World) -> None:
    """Plan the whole of it; nothing happens before the timeline is played."""
    sellers = sellers_of(world)
    goods = goods_of(world, sellers)
    applicants = _applicants(world, sellers)
    counties = list(dict.fromkeys(seller.county_code for seller in sellers))
    codes = [code for county in counties for code in _codes_in(county, [*sellers, *applicants])]
    open_offices(world, codes)
    pilots = [county for county in counties if world.session.get_one(Region, county).is_pilot]
    canteens = register_canteens(world, pilots)
    staff = register_staff(world, pilots)
    sold = goods[: len(goods) - len(goods) // WITHDRAWN]
    orders = plan_orders(world, sold)
    fields = {seller.place: _plan_seller(world, seller, goods) for seller in sellers}
    labour = {seller.place: _plan_labour(world, seller) for seller in sellers if _hires(seller)}
    trusts = {seller.place: _plan_trust(world, seller, goods) for seller in sellers}
    shop = Shop(world, goods)
    shop.plan()
    shop.plan_changes(sold[3::9], goods[len(sold) :])
    Certified(world, sold).plan()
    Recognised(world, sold).plan()
    Stories(world, sellers, sold).plan()
    harvest = Harvest(world, fields, labour, trusts)
    harvest.plan(plan_lots(world, goods, orders))
    aftersales = Aftersales(world, sellers, canteens, staff)
    Carriers(world, sellers, staff).plan()
    trade = Trade(world, sellers, canteens, staff, aftersales.call_off)
    trade.plan(orders)
    aftersales.plan()
    for seller in sellers:
        YearEnd(world, seller, fields[seller.place]).plan()
    PayDay(world, sellers).plan()
    Quotas(world, canteens).plan()
    Findings(world, sellers).plan()
    Praise(world, canteens).plan()
    Prices(world, goods).plan()
    Requests(world, sold, canteens).plan()
    Regular(world, sellers, canteens).plan()
    Groups(world, staff, sold).plan()
    UnionVouchers(world, canteens[0], sellers[0], sold, staff).plan()
    Invoicing(world, sellers[0], canteens).plan()
    Collecting(world, sellers).plan()
    _plan_sweeps(world, Bank(world, trade.unpaid_parts, sellers[0], canteens[0].unit))
    _plan_desks(world, sellers, applicants, shop, harvest, trade)
    world.timeline.at(at_hour(world.last_on, 17, 30), partial(set_up_kitchen, world, canteens[0]))


def _applicants(world: World, sellers: Sequence[Seller]) -> list[Seller]:
    """Cooperatives of the first one's township that have applied and are not admitted yet."""
    villages = sellers[0].villages
    township = world.session.get_one(Region, villages[0].code[:9]).name
    return [
        Seller(
            name=f"{township}{trade}专业合作社",
            story=f"{township}的农户自愿联合起来，{story}。",
            place=len(sellers) + place,
            villages=[villages[place % len(villages)]],
        )
        for place, (trade, story) in enumerate(APPLICANTS)
    ]


def _codes_in(county_code: str, sellers: Sequence[Seller]) -> list[str]:
    """The county and every township and village of it where a cooperative works, each once."""
    villages = [
        village.code
        for seller in sellers
        for village in seller.villages
        if village.code.startswith(county_code)
    ]
    return list(dict.fromkeys([county_code, *(code[:9] for code in villages), *villages]))


def _plan_seller(world: World, seller: Seller, goods: Sequence[Good]) -> Fields:
    """Entry, households, agreements, stakes and assets; returns its agreements over produce and land to be."""
    is_whole = world.scale.cooperatives == len(demo_cooperatives())
    count = seller.households_wanted if is_whole else world.scale.households // world.scale.cooperatives
    with_account = world.scale.households_with_account // world.scale.cooperatives + (seller.place == 0)
    plan_entry(world, seller, world.day(ENTRY_DAY + seller.place))
    plan_households(world, seller, world.day(HOUSEHOLDS_DAY + seller.place), count, with_account)
    fields = Fields(world, seller, [good for good in goods if good.seller is seller])
    signed_on = world.day(AGREEMENTS_DAY + seller.place)
    fields.plan(signed_on)
    Stakes(world, seller).plan(signed_on)
    Assets(world, seller).plan(signed_on)
    return fields


def _hires(seller: Seller) -> bool:
    return Mechanism.EMPLOYMENT in FURTHER_TERMS.get(seller.key, {})


def _plan_labour(world: World, seller: Seller) -> Labour:
    labour = Labour(world, seller)
    labour.plan(world.day(AGREEMENTS_DAY + seller.place))
    return labour


def _plan_trust(world: World, seller: Seller, goods: Sequence[Good]) -> Trust:
    trust = Trust(world, seller, [good for good in goods if good.seller is seller])
    trust.plan(world.day(AGREEMENTS_DAY + seller.place))
    return trust


def _plan_sweeps(world: World, bank: Bank) -> None:
    """What the jobs and the cashier do: one evening soon after something was accepted, paid or recorded, every Monday,
    and every four weeks for what fell due."""

    def sweep() -> None:
        bank.bill()
        set_off_vouchers(world.session)
        close_lapsed_batches(world.session)
        while (
            settle_lines(world.session) or distribute_pools(world.session) or pass_freight_on(world.session)
        ):
            pass

    def guarantee() -> None:
        sweep()
        post_due_guarantees(world.session)
        collect_charges(world.session)

    world.sweep = sweep
    monday = world.first_on + timedelta(days=-world.first_on.weekday() % 7)
    world.timeline.weekly(monday, bank.import_week, hour=9, minute=40)
    for day in range(GUARANTEES_DAY, (world.last_on - world.first_on).days, GUARANTEES_EVERY):
        world.timeline.at(at_hour(world.day(day), 20), guarantee)
    world.timeline.at(world.present, guarantee)


def _plan_desks(
    world: World,
    sellers: Sequence[Seller],
    applicants: Sequence[Seller],
    shop: Shop,
    harvest: Harvest,
    trade: Trade,
) -> None:
    """What waits for somebody today beyond the orders that plan.py holds back."""
    first, last_on, at = sellers[0], world.last_on, world.timeline.at
    own = [good for good in shop.goods if good.seller is first]
    neighbour = next((one for one in sellers[1:] if one.county_code == first.county_code), None)
    for applicant, levels in zip(applicants, ((), (12,), (12, 9)), strict=True):
        applied_on = last_on - timedelta(days=4)
        at(at_hour(applied_on, 10), partial(apply_for, world, applicant))
        for days, level in enumerate(levels, start=1):
            at(at_hour(applied_on + timedelta(days=days), 11), partial(pass_on, world, applicant, level))
    at(at_hour(last_on, 11), partial(_object, world, applicants[-1]))
    at(at_hour(last_on, 15), partial(_ask_neighbours, world, first, neighbour))
    at(at_hour(last_on, 16), partial(upload_with_mistakes, world, first, 4))
    at(at_hour(last_on, 16, 20), partial(harvest.open_empty_lot, own[0]))
    at(at_hour(last_on, 10, 30), partial(shop.add_sample, own[0]))
    certified = [good for good in own if good.content.is_certified]
    if certified:
        at(at_hour(last_on - timedelta(days=2), 10), partial(shop.add_renewal, certified[0]))
    at(at_hour(last_on - timedelta(days=20), 9), partial(_end_eligibility, world, first))
    stray = partial(
        trade.hear_of,
        "checkout.session.completed",
        "cs_test_demo_stray",
        reference="Y-DEMOSTRAY1",
        amount_fen=5_000,
    )
    at(at_hour(last_on, 12), stray)
    at(at_hour(last_on, 12, 1), partial(apply_notices, world.session))


def _object(world: World, applicant: Seller) -> None:
    file_objection(
        world.session,
        case_of(world, applicant),
        text="公示的基地里有一块是我家承包的山场，没有人来和我谈过，请核实。",
        contact="匿名村民",
    )


def _ask_neighbours(world: World, first: Seller, neighbour: Seller | None) -> None:
    if neighbour is not None:
        asked = [household for household in first.households if household.id not in world.gone]
        propose_elsewhere(world, neighbour, asked[:3])


def _end_eligibility(world: World, seller: Seller) -> None:
    free = unbound_households(world, seller)
    if free:
        end_eligibility(world, free[0])
