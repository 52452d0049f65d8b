"""The ground of the year's journey: ten households, what last year left behind, and what every amount must come to.

Two of the households let land; last year's rents were only partly earned by sales, so that closing the year tops them
up. The amounts are counted here by hand, without the marketplace's own functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.orm import Session

from marketplace.core import clock
from marketplace.core.clock import today
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role, User
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.linkage.rules import sign_agreement
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.payouts.account_numbers import make_account_number
from marketplace.payments.payouts.account_rules import record_account
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative, Household
from tests.factories.identity import UserFactory, official_with
from tests.factories.linkage import (
    CONTRACT_TERMS,
    LotFactory,
    PeriodFactory,
    lease_terms,
    pay_rent,
    weigh,
    work_terms,
)
from tests.factories.registry import (
    KEY,
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    beneficiary_policy,
    user_of,
    user_of_household,
)
from tests.factories.trade import offer, sell
from tests.journeys.story import half_up, largest_remainder

HEADS = (
    "刘长根",
    "黄细妹",
    "吴金水",
    "曾桂英",
    "胡水生",
    "邱招娣",
    "谢福生",
    "温玉兰",
    "钟有财",
    "廖春香",
)
FIRST, SECOND = HEADS[:2]
WORKING = HEADS[:4]  # two people of each may work
SIGNER = "何秋云"
PRODUCT, COMMODITY = "山茶油", "油茶籽"
LOT_NO, LAST_LOT_NO = "油茶籽-新", "油茶籽-旧"
PRICE_FEN, CONTRACT_BP, LEASE_BP = 5_000, 800, 250
RENT_FEN_PER_MU, AREAS_CMU = 68_000, {FIRST: 500, SECOND: 327}
LAST_SLIPS_G = {FIRST: 40_500, SECOND: 33_305}
FLOOR_AND_PREMIUM_FEN = 850
SOLD_LAST_YEAR, BOUGHT, RETURNED = 60, 10, 3
BANK = "江西农商银行乐安支行"
THIS_YEAR = today().replace(month=1, day=1)
NEXT_YEAR = THIS_YEAR.replace(year=THIS_YEAR.year + 1)
LAST_YEAR = THIS_YEAR.replace(year=THIS_YEAR.year - 1)
LAST_DAY = LAST_YEAR.replace(month=12, day=31)
JULY = THIS_YEAR.replace(month=7)


@dataclass(frozen=True)
class Slip:
    """A weigh slip of this year, as it lies on the pile."""

    household: str
    net_kg: str


SLIPS = tuple(Slip(head, f"{40 + 7 * place}.{place}") for place, head in enumerate(HEADS))
FIRST_SLIP_NO, LAST_SLIP_NO = "GB-0101", "GB-0110"


# --- the same money, counted by hand ---


def rents_fen() -> dict[str, int]:
    """A whole year's rent of each household: area x rate x days, rounded half up once."""
    days = (THIS_YEAR - LAST_YEAR).days
    return {head: half_up(area * RENT_FEN_PER_MU * days, 100 * 365) for head, area in AREAS_CMU.items()}


def half_rents_fen() -> dict[str, int]:
    """This year's rents so far: its first half."""
    days = (JULY - THIS_YEAR).days
    return {head: half_up(area * RENT_FEN_PER_MU * days, 100 * 365) for head, area in AREAS_CMU.items()}


def pools_fen(units: int) -> dict[str, int]:
    """The linkage money of a line, by mechanism."""
    rates = {"contract": CONTRACT_BP, "lease": LEASE_BP}
    return largest_remainder(half_up(units * PRICE_FEN * sum(rates.values()), 10_000), rates)


def deliveries_fen() -> dict[str, int]:
    """What each household's slip of last year is worth."""
    return {head: half_up(grams * FLOOR_AND_PREMIUM_FEN, 1_000) for head, grams in LAST_SLIPS_G.items()}


def income_fen() -> dict[str, int]:
    """What last year's sale brought the first household, by mechanism."""
    pools = pools_fen(SOLD_LAST_YEAR)
    return {
        "contract": largest_remainder(pools["contract"], deliveries_fen())[FIRST],
        "lease": largest_remainder(pools["lease"], rents_fen())[FIRST],
    }


def top_ups_fen() -> dict[str, int]:
    """What closing last year adds: the rent less what the sales of the year brought for the land."""
    rents = rents_fen()
    credited = largest_remainder(pools_fen(SOLD_LAST_YEAR)["lease"], rents)
    return {head: rents[head] - credited[head] for head in rents}


# --- the ground ---


@dataclass
class Ground:
    """Who has an account, and what the pages are asked about."""

    users: dict[str, User]
    households: dict[str, Household]


def lay_ground(session: Session) -> Ground:
    """Everything the journey finds when it begins; last year's part with the clock set to last year."""
    RegionFactory(code=VILLAGE)
    beneficiary_policy()
    cooperative = CooperativeFactory(name="乐安县鳌溪油茶专业合作社")
    manager, clerk = user_of(cooperative), user_of(cooperative, Role.COOPERATIVE_CLERK)
    manager.display_name, clerk.display_name = "罗春生", SIGNER
    households = {head: _household(cooperative, head) for head in HEADS}
    with clock.set_to(_noon(LAST_YEAR)):
        agreements = _agree(session, actor_of(manager), households)
    _live_last_year(session, cooperative, agreements)
    PeriodFactory(
        cooperative=cooperative,
        starts_on=THIS_YEAR,
        ends_on=NEXT_YEAR,
        previous_ends_on=THIS_YEAR,
    )
    for head in AREAS_CMU:
        lease = agreements[head, Mechanism.LAND_TRANSFER]
        pay_rent(session, lease, starts_on=THIS_YEAR, ends_on=JULY)
    for place, head in enumerate((FIRST, SECOND)):
        _open_account(session, actor_of(clerk), households[head], place + 1)
    LotFactory(cooperative=cooperative, lot_no=LOT_NO, commodity=COMMODITY, harvested_on=today())
    users = {
        "manager": manager,
        "clerk": clerk,
        "household": user_of_household(households[FIRST]),
        "cadre": UserFactory(granted=(Role.STAFF_BUYER,), display_name="周小梅"),
        "auditor": official_with(Role.AUDITOR),
    }
    session.flush()
    return Ground(users, households)


def _household(cooperative: Cooperative, head: str) -> Household:
    enrolment = EnrolmentFactory(cooperative=cooperative, household__head_name=head)
    household: Household = enrolment.household
    return household


def _agree(
    session: Session, manager: Actor, households: dict[str, Household]
) -> dict[tuple[str, Mechanism], Agreement]:
    """Contracts with all, work with four, land of two."""
    terms: dict[tuple[str, Mechanism], dict[str, Any]] = {}
    for head in HEADS:
        terms[head, Mechanism.CONTRACT_FARMING] = dict(CONTRACT_TERMS)
    for head in WORKING:
        terms[head, Mechanism.EMPLOYMENT] = work_terms(*households[head].members)
    for place, (head, area) in enumerate(AREAS_CMU.items(), 1):
        land = lease_terms(place, area_cmu=area, rate_fen_per_mu=RENT_FEN_PER_MU)
        terms[head, Mechanism.LAND_TRANSFER] = land
    return {
        (head, mechanism): sign_agreement(
            session,
            manager,
            household=households[head],
            mechanism=mechanism,
            valid_from=LAST_YEAR,
            valid_to=None,
            terms=one,
        )
        for (head, mechanism), one in terms.items()
    }


def _live_last_year(
    session: Session, cooperative: Cooperative, agreements: dict[tuple[str, Mechanism], Agreement]
) -> None:
    """Slips and a sale in spring, topped up in summer; the rents in December, for which money has waited."""
    with clock.set_to(_noon(LAST_YEAR.replace(month=3))):
        PeriodFactory(cooperative=cooperative, starts_on=LAST_YEAR, ends_on=THIS_YEAR)
        rates = {Mechanism.CONTRACT_FARMING: CONTRACT_BP, Mechanism.LAND_TRANSFER: LEASE_BP}
        offered = offer(session, cooperative, units=0, terms=rates)
        offered.lot.lot_no, offered.lot.harvested_on = LAST_LOT_NO, clock.today()
        for place, (head, grams) in enumerate(LAST_SLIPS_G.items(), 1):
            weigh(
                session,
                agreements[head, Mechanism.CONTRACT_FARMING],
                offered.lot,
                slip_no=f"GB-000{place}",
                net_g=grams,
                weighed_on=clock.today(),
                signatures=(head, SIGNER),
            )
        sell(session, offered, SOLD_LAST_YEAR, key="last-year-s-only-order")
        settle_lines(session)
    with clock.set_to(_noon(LAST_YEAR.replace(month=6))):  # past the days in which a slip must be paid
        post_due_guarantees(session)
    with clock.set_to(_noon(LAST_DAY)):
        for head in AREAS_CMU:
            pay_rent(
                session,
                agreements[head, Mechanism.LAND_TRANSFER],
                starts_on=LAST_YEAR,
                ends_on=THIS_YEAR,
            )
        distribute_pools(session)


def _open_account(session: Session, clerk: Actor, household: Household, serial: int) -> None:
    record_account(
        session,
        clerk,
        KEY,
        household,
        account_number=make_account_number(serial),
        holder_name=household.head_name,
        bank_name=BANK,
        valid_from=today(),
    )


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
