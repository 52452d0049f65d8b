"""Households: registered by the county, by a cooperative, or brought by a roster; enrolled; asked, and answering."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from sqlalchemy import select

from marketplace.core import clock
from marketplace.demo import rosters
from marketplace.demo.entry import Seller
from marketplace.demo.people import Home
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.linkage.models import Agreement
from marketplace.registry.models import (
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdStatusKind,
    Region,
    RosterImport,
)
from marketplace.registry.roster.checking import check_roster
from marketplace.registry.roster.rules import confirm_roster, take_roster, upload_roster
from marketplace.registry.rules import (
    acknowledge_enrolment,
    decline_enrolment,
    enrol_household,
    record_status,
    register_household,
)

REGISTERED_ON = date(2015, 6, 1)
EXITED_ON = date(2019, 12, 31)
AT_RISK_ON = date(2021, 7, 1)
STATUS_WORD = {HouseholdStatusKind.EXITED: "脱贫户", HouseholdStatusKind.AT_RISK: "边缘易致贫户"}
SINCE = {HouseholdStatusKind.EXITED: EXITED_ON, HouseholdStatusKind.AT_RISK: AT_RISK_ON}
VOUCHING = (
    "户主不会用手机，入户当面念过条款，本人同意",
    "户主在外务工，电话确认后由村里代为办理",
    "老人独居，帮扶干部陪同到村部当面确认",
)
UNANSWERED = 14  # of so many households one has not been asked yet


@dataclass(frozen=True)
class Case:
    """A household to be, with its village and what it is since when."""

    home: Home
    village: Region
    status: HouseholdStatusKind

    @property
    def since(self) -> date:
        """The first day of its present status."""
        return SINCE[self.status]


def cases_for(world: World, seller: Seller, count: int) -> list[Case]:
    """So many households of the cooperative's villages."""
    return [
        Case(
            world.people.home(seller.county_code),
            seller.villages[place % len(seller.villages)],
            HouseholdStatusKind.AT_RISK if place % 7 == 3 else HouseholdStatusKind.EXITED,
        )
        for place in range(count)
    ]


def take_in(world: World, seller: Seller, cases: list[Case]) -> None:
    """Bring these households into the register and enrol them: by XLSX, by CSV, or one by one."""
    if seller.place == 0:
        _by_roster(world, seller, cases, rosters.as_xlsx, "农户名册.xlsx")
    elif seller.place == 1:
        _by_roster(world, seller, cases, rosters.as_gbk_csv, "农户名册（办公室旧电脑导出）.csv")
    else:
        for case in cases:
            _one_by_one(world, seller, case)
    numbers = [case.home.registry_no for case in cases]
    query = select(Household).where(Household.registry_no.in_(numbers)).order_by(Household.registry_no)
    seller.households = list(world.session.scalars(query))


def _by_roster(
    world: World, seller: Seller, cases: list[Case], write: rosters.Writer, file_name: str
) -> None:
    lines = [line for case in cases for line in _lines_of(world, case)]
    roster = _checked(world, seller, write(lines), file_name)
    confirm_roster(world.session, seller.clerking, roster)
    take_roster(world.session, roster)


def _lines_of(world: World, case: Case) -> list[rosters.Row]:
    return rosters.rows_of(
        case.home,
        case.village,
        status=STATUS_WORD[case.status],
        valid_from=case.since,
        phone=world.people.phone(),
    )


def _checked(world: World, seller: Seller, content: bytes, file_name: str) -> RosterImport:
    files, data_key = world.tools.files, world.tools.data_key
    roster = upload_roster(world.session, seller.clerking, files, content=content, file_name=file_name)
    while check_roster(world.session, data_key, files, roster):
        pass
    return roster


def upload_with_mistakes(world: World, seller: Seller, count: int) -> None:
    """Leave a checked roster with findings for the cooperative to mend."""
    cases = cases_for(world, seller, count)
    lines = [line for case in cases for line in _lines_of(world, case)]
    _checked(world, seller, rosters.as_xlsx(rosters.with_mistakes(lines)), "新增农户名册（待核对）.xlsx")


def _one_by_one(world: World, seller: Seller, case: Case) -> None:
    """The county registers it as of 2015 and states what became of it; the cooperative proposes to take it in."""
    county = actor_of(world.officials[seller.county_code])
    household = register_household(
        world.session,
        county,
        world.tools.data_key,
        registry_no=case.home.registry_no,
        head_name=case.home.head_name,
        village_code=case.village.code,
        members=case.home.members,
        status=HouseholdStatusKind.REGISTERED,
        valid_from=REGISTERED_ON,
        reason="建档立卡系统数据移交登记",
        phone=world.people.phone(),
    )
    record_status(
        world.session,
        county,
        household,
        status=case.status,
        valid_from=case.since,
        reason="年度动态管理认定结果",
    )
    enrol_household(world.session, seller.clerking, household=household, enrolled_on=clock.today())


def open_accounts(world: World, seller: Seller, count: int) -> None:
    """Give the first households an account of their own; the very first is the named one."""
    for place, household in enumerate(seller.households[:count]):
        is_named = seller.place == 0 and place == 0
        login = "household" if is_named else f"household.{seller.place + 1}{place + 1:02d}"
        household.user_id = world.account(login, household.head_name, Role.HOUSEHOLD).id
    world.session.flush()


def answer_proposals(world: World, seller: Seller) -> None:
    """Each household says what it wants, or its village clerk says so for it; a few are left for later."""
    query = select(Enrolment).where(
        Enrolment.cooperative_id == seller.cooperative.id, Enrolment.state == EnrolmentState.PROPOSED
    )
    for place, enrolment in enumerate(world.session.scalars(query.order_by(Enrolment.id)).unique().all()):
        user_id = enrolment.household.user_id
        if user_id is not None:
            acknowledge_enrolment(world.session, actor_of(world.session.get_one(User, user_id)), enrolment)
            continue
        clerk = actor_of(world.officials[enrolment.household.village_code])
        if place % 29 == 20:
            decline_enrolment(world.session, clerk, enrolment, reason="户主已与其他合作社签约，不愿再加入")
        elif place % UNANSWERED != UNANSWERED - 1:
            acknowledge_enrolment(world.session, clerk, enrolment, reason=world.random.choice(VOUCHING))


def propose_elsewhere(world: World, seller: Seller, households: list[Household]) -> None:
    """A second cooperative of the county asks households of another one; they have not answered yet."""
    for household in households:
        enrol_household(world.session, seller.clerking, household=household, enrolled_on=clock.today())


def end_eligibility(world: World, household: Household) -> None:
    """The county finds that a household does not meet the conditions any more."""
    record_status(
        world.session,
        actor_of(world.officials[household.county_code]),
        household,
        status=HouseholdStatusKind.INELIGIBLE,
        valid_from=clock.today() - timedelta(days=3),
        reason="核查发现家庭有经营性资产，不再符合条件",
    )


def acknowledged(world: World, seller: Seller) -> list[Household]:
    """The households that take part in a cooperative."""
    query = (
        select(Household)
        .join(Enrolment, Enrolment.household_id == Household.id)
        .where(
            Enrolment.cooperative_id == seller.cooperative.id, Enrolment.state == EnrolmentState.ACKNOWLEDGED
        )
        .order_by(Household.registry_no)
    )
    return list(world.session.scalars(query))


def unbound_households(world: World, seller: Seller) -> list[Household]:
    """Those of them that have signed no agreement."""
    signed = select(Agreement.household_id).where(Agreement.cooperative_id == seller.cooperative.id)
    bound = set(world.session.scalars(signed))
    return [household for household in acknowledged(world, seller) if household.id not in bound]


def plan_households(world: World, seller: Seller, on: date, count: int, with_account: int) -> None:
    """Plan the weeks in which the cooperative takes its households in, beginning on the day `on`."""
    cases = cases_for(world, seller, count)
    world.timeline.at(at_hour(on, 10), partial(take_in, world, seller, cases))
    world.timeline.at(at_hour(on, 16), partial(open_accounts, world, seller, with_account))
    world.timeline.at(at_hour(on + timedelta(days=2), 15), partial(answer_proposals, world, seller))
