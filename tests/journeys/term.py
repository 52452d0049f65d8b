"""The ground of the term's journey: a school, two cooperatives with camellia oil, and what every amount must come to.

The days are those of the spring term of 2026. The amounts are counted here by hand, without the marketplace's own
functions; what is typed stands beside what it means.
"""

from __future__ import annotations

from datetime import date, datetime, time

from sqlalchemy.orm import Session

from marketplace.core import clock
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.linkage.models import Mechanism
from marketplace.linkage.rules import sign_agreement
from marketplace.registry.models import BuyerUnit, Cooperative, UnitKind
from tests.factories.identity import official_with
from tests.factories.linkage import CONTRACT_TERMS, weigh
from tests.factories.quota import quota_rule
from tests.factories.registry import (
    VILLAGE,
    BuyerUnitFactory,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    beneficiary_policy,
    user_of,
)
from tests.factories.trade import Offer, offer
from tests.journeys.story import half_up

SCHOOL = "乐安县第二小学食堂"
SELLER, RIVAL = "乐安县鳌溪油茶专业合作社", "乐安县公溪油茶专业合作社"
PRODUCT, UNIT = "山茶油", "瓶"
HEADS = ("刘长根", "黄细妹", "吴金水", "曾桂英", "胡水生")
SIGNER = "何秋云"
LINKAGE_BP = 1_000

LAST_AUTUMN = date(2025, 10, 20)
FIRST_DAY = date(2026, 3, 2)  # a Monday
AWARDED_ON = date(2026, 3, 6)  # offers were open until the evening before
DELIVERED_ON = date(2026, 3, 11)
DUE_ON = date(2026, 4, 10)  # 30 days from the passed inspection
PAID_ON = date(2026, 4, 20)
DAYS_LATE = 10
PLANNED = (date(2026, 5, 12), date(2026, 5, 14), date(2026, 5, 19), date(2026, 5, 21))
EXCURSION, EXAMS = PLANNED[:2]  # the two that are skipped
LAST_LOOK = date(2026, 5, 18)  # past the last moment of the other two
CUTOFF_DAYS = 5

TITLE, WANTED_KG, CEILING_YUAN = "春季学期用山茶油", "105", "110"
ASKED, PRICE_FEN, RIVAL_PRICE_FEN = 210, 5_000, 5_200
REJECTED = 10
INVOICE_NO = "26360000000012345678"
REMARK = "油色清亮，送货准时。"
STANDING, EACH = "下半学期的油", 24
BASE_FEN, RESERVE_BP = 24_000_000, 1_500


# --- the same money, counted by hand ---

ORDERED_FEN = ASKED * PRICE_FEN
REJECTED_FEN = REJECTED * PRICE_FEN
NET_FEN = 1_000_000
assert NET_FEN == ORDERED_FEN - REJECTED_FEN
ACCEPTED = ASKED - REJECTED
INTEREST_FEN = 5_000  # 1,000,000 fen, 10 days, 5 per 10,000 a day
EACH_FEN = EACH * PRICE_FEN
POOL_FEN = half_up(NET_FEN * LINKAGE_BP, 10_000)
RESERVE_FEN = half_up(BASE_FEN * RESERVE_BP, 10_000)
PERCENT, DONE = "4.17%", "27.78%"  # 10,000 of 240,000 yuan, and of the 36,000 that are reserved
assert (half_up(NET_FEN * 10_000, BASE_FEN), half_up(NET_FEN * 10_000, RESERVE_FEN)) == (417, 2_778)


# --- the ground ---


def at(day: date, hour: int = 10) -> datetime:
    """An hour of a day in China."""
    return datetime.combine(day, time(hour), clock.SHANGHAI)


def lay_ground(session: Session) -> dict[str, User]:
    """What the term finds: last autumn's oil of five households, the rule of quotas; returns who has an account."""
    RegionFactory(code=VILLAGE)
    beneficiary_policy()
    quota_rule()
    with clock.set_to(at(LAST_AUTUMN)):
        seller, rival = CooperativeFactory(name=SELLER), CooperativeFactory(name=RIVAL)
        manager = user_of(seller)
        _press_oil(session, seller, manager)
        offer(session, rival, units=300)
    school: BuyerUnit = BuyerUnitFactory(name=SCHOOL, kind=UnitKind.SCHOOL)
    users = {
        "manager": manager,
        "rival": user_of(rival),
        "orderer": user_of(school, Role.UNIT_ORDERER),
        "approver": user_of(school, Role.UNIT_APPROVER),
        "receiver": user_of(school, Role.UNIT_RECEIVER),
        "payer": user_of(school, Role.UNIT_PAYER),
        "operator": official_with(Role.OPERATOR),
    }
    session.flush()
    return users


def _press_oil(session: Session, seller: Cooperative, manager: User) -> Offer:
    """A contract with each household, and a slip of each in the lot that is for sale."""
    on_sale = offer(session, seller, units=0)
    on_sale.lot.harvested_on = clock.today()
    for place, head in enumerate(HEADS, 1):
        household = EnrolmentFactory(cooperative=seller, household__head_name=head).household
        agreement = sign_agreement(
            session,
            actor_of(manager),
            household=household,
            mechanism=Mechanism.CONTRACT_FARMING,
            valid_from=clock.today(),
            valid_to=None,
            terms=dict(CONTRACT_TERMS),
        )
        weigh(
            session,
            agreement,
            on_sale.lot,
            slip_no=f"GB-10{place:02d}",
            net_g=60_000 + 1_305 * place,
            weighed_on=clock.today(),
            signatures=(head, SIGNER),
        )
    return on_sale
