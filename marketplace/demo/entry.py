"""How cooperatives come to sell: application, village, township, public notice, county. Some are still on their way."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import partial

from sqlalchemy import select

from marketplace.demo.papers import keep_paper
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role, User
from marketplace.registry.cooperatives.rules import (
    add_cooperative_member,
    apply_cooperative,
    record_five_ones,
    submit_application,
)
from marketplace.registry.identifiers import make_uscc
from marketplace.registry.models import Cooperative, FiveOnesItem, Household, MemberRole, Region
from marketplace.registry.reviews.models import Decision, ReviewCase
from marketplace.registry.reviews.rules import close_notices, decide_step

FIVE_ONES = {
    FiveOnesItem.LEADING_ORGANISATION: (
        "合作社章程与成员名册",
        "依法登记的农民专业合作社，章程经成员大会通过。",
    ),
    FiveOnesItem.LEADING_INDUSTRY: ("产业基地情况说明", "围绕本村的主导产业统一供种、统一技术、统一销售。"),
    FiveOnesItem.LEADING_PERSON: ("带头人基本情况", "由懂技术、会经营的返乡能人牵头。"),
    FiveOnesItem.LINKAGE_MECHANISM: ("利益联结办法", "订单收购有保底价，土地租金每年兑付，账目公开。"),
    FiveOnesItem.SUPPORT_TEAM: ("帮扶服务队名单", "驻村工作队和县农技站定点指导。"),
}
MEMBERS = (
    (MemberRole.LEADING_CADRE, "村党支部书记", "无"),
    (MemberRole.CAPABLE_LEADER, "理事长", ""),
    (MemberRole.PARTY_MEMBER, "监事", ""),
    (MemberRole.VILLAGER, "社员代表", ""),
    (MemberRole.REGISTERED_HOUSEHOLD, "社员代表", ""),
)
WAY = (12, 9, 6)  # the levels that decide, from the village up


@dataclass
class Seller:
    """A cooperative of the demo: what is written about it, where it is, its people, its row once it has applied."""

    name: str
    story: str
    place: int
    villages: list[Region]
    households_wanted: int = 0
    key: str = ""
    manager: User | None = None
    clerk: User | None = None
    row: Cooperative | None = None
    households: list[Household] = field(default_factory=list)

    @property
    def home(self) -> Region:
        """The village it is registered in."""
        return self.villages[0]

    @property
    def county_code(self) -> str:
        """Its county."""
        return self.home.code[:6]

    @property
    def cooperative(self) -> Cooperative:
        """Its row."""
        assert self.row is not None
        return self.row

    @property
    def acting(self) -> Actor:
        """Its manager as an actor."""
        assert self.manager is not None
        return actor_of(self.manager)

    @property
    def clerking(self) -> Actor:
        """Its clerk as an actor."""
        assert self.clerk is not None
        return actor_of(self.clerk)


def plan_entry(world: World, seller: Seller, on: date) -> None:
    """Plan the whole way to admission, eleven days from the day `on`."""
    offset = (on - world.first_on).days
    world.timeline.at(at_hour(on, 9, 10), partial(apply_for, world, seller))
    world.timeline.once("notices", at_hour(world.day(offset + 10), 0, 30), partial(end_notices, world))
    for days, level in zip((1, 2, 10), WAY, strict=True):
        world.timeline.at(at_hour(world.day(offset + days), 15), partial(pass_on, world, seller, level))


def apply_for(world: World, seller: Seller) -> ReviewCase:
    """Open the manager's account, fill in the application and submit it."""
    people = world.people
    suffix = "" if seller.place == 0 else f".{seller.place + 1:02d}"
    leader = people.name(is_male=True)
    seller.manager = world.account(f"coop{suffix}", leader)
    seller.row = apply_cooperative(
        world.session,
        seller.acting,
        world.tools.data_key,
        name=seller.name,
        uscc=make_uscc(seller.county_code, 100 + seller.place),
        county_code=seller.county_code,
        village_code=seller.home.code,
        legal_person=leader,
        phone=people.phone(),
        bank_account=people.bank_account(),
        story=seller.story,
    )
    for role, position, related_party in MEMBERS:
        name = leader if role is MemberRole.CAPABLE_LEADER else people.name()
        add_cooperative_member(
            world.session,
            seller.acting,
            seller.row,
            role=role,
            name=name,
            position=position,
            related_party=related_party,
        )
    for item, (title, note) in FIVE_ONES.items():
        file = keep_paper(world, seller.acting, title)
        record_five_ones(world.session, seller.acting, seller.row, item=item, note=note, file=file)
    seller.clerk = world.account(
        f"clerk{suffix}", people.name(), Role.COOPERATIVE_CLERK, organisation=seller.row.organisation
    )
    return submit_application(world.session, seller.acting, seller.row)


def pass_on(world: World, seller: Seller, level: int) -> ReviewCase:
    """Let the reviewer of a level (digits of its code) pass the application on."""
    case = case_of(world, seller)
    reviewer = actor_of(world.officials[seller.home.code[:level]])
    comment = {12: "情况属实，同意上报。", 9: "材料齐全，同意公示。", 6: "公示无异议，准予入驻。"}[level]
    return decide_step(
        world.session, reviewer, case, decision=Decision.PASS, comment=comment, outcomes=world.tools.outcomes
    )


def case_of(world: World, seller: Seller) -> ReviewCase:
    """The latest round of a cooperative's review."""
    query = (
        select(ReviewCase)
        .where(ReviewCase.cooperative_id == seller.cooperative.id)
        .order_by(ReviewCase.id.desc())
    )
    return world.session.scalars(query.limit(1)).one()


def end_notices(world: World) -> None:
    """What the job does: pass on what has been on notice long enough."""
    close_notices(world.session, outcomes=world.tools.outcomes)
