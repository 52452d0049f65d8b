"""The main job, end to end, in browsers: a cooperative enrols households from a roster and lists a certified product, a
cadre and a school buy it, the goods are accepted and paid, the ledger credits the households to the fen, and an
auditor follows the money both ways. Once at a desk in Chinese, once on a phone in English.

Arranged beforehand is only what the journey does not play: places, policies, a category with its floor, an admitted
cooperative, a school, and the people's accounts (a household's own account is opened by its village clerk).
"""

from __future__ import annotations

import socket

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from config import Settings
from marketplace.catalog.models import LinkageFloor
from marketplace.core.clock import today
from marketplace.identity.models import Role, User
from marketplace.payments.models import GatewayNotice, NoticeOutcome
from marketplace.payments.stripe_emulator.server import EmulatorServer
from marketplace.registry.models import UnitKind
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import (
    NEXT_VILLAGE,
    VILLAGE,
    BuyerUnitFactory,
    CooperativeFactory,
    RegionFactory,
    beneficiary_policy,
    user_of,
)
from tests.factories.reviews import default_steps
from tests.factories.trade import CategoryFactory
from tests.journeys import buyers, cooperative, story, village, watchers
from tests.journeys.conftest import DESK, PHONE, OpenPage, paid_on_line
from tests.journeys.people import Person, Theatre, Words

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SCHOOL = "乐安县实验小学食堂"


@pytest.fixture
def settings(settings: Settings, door: socket.socket, provider: EmulatorServer) -> Settings:
    return paid_on_line(settings, door, provider)


@pytest.fixture
def people(session: Session, app: Flask) -> dict[str, User]:
    """Everybody with an account, and the ground they stand on."""
    for code in (VILLAGE, NEXT_VILLAGE):
        RegionFactory(code=code)
    beneficiary_policy()
    default_steps()
    CategoryFactory(code="fruit", name_zh="果业", name_en="Fruit")
    navel = CategoryFactory(
        code="navel-orange",
        parent_code="fruit",
        path="fruit/navel-orange",
        name_zh="脐橙",
        name_en="Navel oranges",
        needs_certificate=True,
    )
    floor = {"region_code": "36", "year": today().year, "min_bp": story.FLOOR_BP}
    session.add(LinkageFloor(category_code=navel.code, **floor))
    growers = CooperativeFactory(name="乐安县鳌溪脐橙专业合作社")
    school = BuyerUnitFactory(name=SCHOOL, kind=UnitKind.SCHOOL)
    found = {
        "manager": user_of(growers),
        "clerk": official_with(Role.VILLAGE_REVIEWER),
        "reviewer": official_with(Role.COUNTY_REVIEWER),
        "cadre": UserFactory(granted=(Role.STAFF_BUYER,)),
        "orderer": user_of(school, Role.UNIT_ORDERER, Role.UNIT_APPROVER),
        "approver": user_of(school, Role.UNIT_APPROVER),
        "receiver": user_of(school, Role.UNIT_RECEIVER),
        "payer": user_of(school, Role.UNIT_PAYER),
        "operator": official_with(Role.OPERATOR),
        "auditor": official_with(Role.AUDITOR),
    }
    session.commit()
    assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0
    return found


def play_the_main_job(theatre: Theatre, logins: dict[str, str]) -> None:
    """Every scene, in the order of the days it takes."""
    manager = theatre.sign_in("manager", logins["manager"])
    cooperative.take_in_a_roster(manager)
    household = enrol(theatre, logins)
    grow(manager)
    offer(theatre, logins, manager)
    sell_to_the_cadre(theatre, logins, manager)
    sell_to_the_school(theatre, logins, manager)
    village.see_income(household)
    auditor = theatre.sign_in("auditor", logins["auditor"])
    watchers.trace_both_ways(auditor)


def enrol(theatre: Theatre, logins: dict[str, str]) -> Person:
    """One household is vouched for, the other speaks for itself; returns the other."""
    clerk = theatre.sign_in("clerk", logins["clerk"])
    village.vouch_for_the_first(clerk)
    password = village.open_account_of_the_second(clerk)
    clerk.leaves()
    household = village.settle_in(theatre, password)
    village.say_yes(household)
    return household


def grow(manager: Person) -> None:
    """Contracts, the lot and what goes into it, and the rented land."""
    for name in (story.FIRST, story.SECOND):
        cooperative.sign_contract(manager, name)
    cooperative.open_lot(manager)
    for slip in story.SLIPS:
        cooperative.weigh(manager, slip)
    cooperative.rent_land(manager)


def offer(theatre: Theatre, logins: dict[str, str], manager: Person) -> None:
    """The product, its certificate, the listing."""
    cooperative.describe_product(manager)
    reviewer = theatre.sign_in("reviewer", logins["reviewer"])
    village.pass_certificate(reviewer)
    reviewer.leaves()
    cooperative.publish(manager)


def sell_to_the_cadre(theatre: Theatre, logins: dict[str, str], manager: Person) -> None:
    """Three boxes, paid by card before they move."""
    cadre = theatre.sign_in("cadre", logins["cadre"])
    buyers.find_product(cadre)
    buyers.buy_by_card(cadre)
    cooperative.send(manager, manager.words("个人订单"), story.CADRE_SALE)
    buyers.receive_and_accept(cadre)
    cadre.leaves()


def sell_to_the_school(theatre: Theatre, logins: dict[str, str], manager: Person) -> None:
    """Forty boxes at the lower price, approved by another, paid after they were accepted."""
    orderer = theatre.sign_in("orderer", logins["orderer"])
    order_no = buyers.order_for_the_canteen(orderer)
    orderer.leaves()
    approver = theatre.sign_in("approver", logins["approver"])
    buyers.approve(approver, order_no)
    approver.leaves()
    cooperative.send(manager, SCHOOL, story.SCHOOL_SALE)
    receiver = theatre.sign_in("receiver", logins["receiver"])
    buyers.receive_and_accept(receiver)
    receiver.leaves()
    payer = theatre.sign_in("payer", logins["payer"])
    code = buyers.read_remittance_code(payer)
    operator = theatre.sign_in("operator", logins["operator"])
    watchers.import_bank_file(operator, code)
    operator.leaves()
    buyers.see_it_paid(payer)
    payer.leaves()


def play(
    open_page: OpenPage, language: str, size: tuple[int, int], session: Session, people: dict[str, User]
) -> None:
    for user in people.values():
        user.locale = language
    logins = {name: user.login_name for name, user in people.items()}
    session.commit()
    play_the_main_job(Theatre(open_page, Words(language), size), logins)


def books_agree(app: Flask, session: Session) -> None:
    """The provider's signed message was taken in, and the ledger holds together."""
    session.rollback()
    assert NoticeOutcome.QUEUED not in (outcomes := set(session.scalars(select(GatewayNotice.outcome))))
    assert outcomes & {NoticeOutcome.APPLIED, NoticeOutcome.REPEATED}
    session.rollback()
    verified = app.test_cli_runner().invoke(args=["ledger", "verify"])
    assert verified.exit_code == 0, verified.output
    assert "全部相符" in verified.output


@pytest.mark.databases("sqlite", "postgresql")
def test_the_main_job_at_a_desk_in_chinese(
    open_page: OpenPage, app: Flask, session: Session, people: dict[str, User]
) -> None:
    play(open_page, "zh_CN", DESK, session, people)
    books_agree(app, session)


@pytest.mark.databases("sqlite")
def test_the_main_job_on_a_phone_in_english(
    open_page: OpenPage, app: Flask, session: Session, people: dict[str, User]
) -> None:
    play(open_page, "en", PHONE, session, people)
    books_agree(app, session)
