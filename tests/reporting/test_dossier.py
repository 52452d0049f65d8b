"""The household dossier: every fact of one household, three facts side by side, and nobody else's."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.files import FileStore
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.linkage.evidence import add_charge
from marketplace.linkage.models import ChargeKind, IncomeClass, Mechanism
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Household
from marketplace.reporting import dossier
from marketplace.reporting.dossier import DossierScope, DossierSection, section_counts
from marketplace.reporting.dossier_facts import Facts, overview_of
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import official_with
from tests.factories.linkage import (
    ContractFactory,
    EntitlementFactory,
    LeaseFactory,
    PeriodFactory,
    pay_rent,
    weigh,
)
from tests.factories.refunds import refunded
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    actor_at,
    beneficiary_policy,
    user_of_household,
)
from tests.factories.trade import offer, sell
from tests.payments.payout_world import PayoutWorld, row

TERMS = {Mechanism.CONTRACT_FARMING: 1_000, Mechanism.LAND_TRANSFER: 500}


class Life:
    """A household with a contract and a lease: 10.00 for produce of which 5.00 was taken back, 5.00 for land of which
    2.50 was taken back, a guarantee of 165.00, a charge of 3.00, and what it was then owed paid out."""

    def __init__(self, session: Session, clock: HeldClock, files: FileStore) -> None:
        self.session = session
        beneficiary_policy()
        self.enrolment = EnrolmentFactory(cooperative=CooperativeFactory())
        self.cooperative, self.household = self.enrolment.cooperative, self.enrolment.household
        self.offered = offer(session, self.cooperative, terms=TERMS)
        contract, lease = ContractFactory(enrolment=self.enrolment), LeaseFactory(enrolment=self.enrolment)
        self.period = PeriodFactory(cooperative=self.cooperative)
        evidence = weigh(session, contract, self.offered.lot, slip_no="GB-001", net_g=20_000)
        pay_rent(session, lease)
        order = sell(session, self.offered, units=2)
        settle_lines(session)
        refunded(session, order, 1)
        clock.advance(days=30)
        post_due_guarantees(session)
        add_charge(
            session,
            evidence,
            contract,
            kind=ChargeKind.ADVANCE_REPAID,
            amount_fen=300,
            charged_on=today(),
            inputs={},
        )
        self.pay_out(files)
        self.user = user_of_household(self.household)
        session.flush()

    def pay_out(self, files: FileStore) -> None:
        manager, clerk = actor_at(self.cooperative), actor_at(self.cooperative, Role.COOPERATIVE_CLERK)
        payers = PayoutWorld(self.session, self.cooperative, manager, clerk, [self.household])
        payers.account(self.household)
        batch = payers.sent(files)
        payers.answer(files, batch, row(payers.payouts(batch)[0]))

    @property
    def url(self) -> str:
        return f"/households/{self.household.public_no}/dossier"


@pytest.fixture
def life(session: Session, clock: HeldClock, files: FileStore) -> Life:
    return Life(session, clock, files)


def test_the_three_facts_stand_apart(session: Session, life: Life) -> None:
    facts = overview_of(session, DossierScope(life.household))
    produce = Facts(entitled=17_000, direct=500, guaranteed=16_500, charged=300, reversed=500)
    land = Facts(entitled=150_000, allocated=250, reversed=250)
    assert facts.by_mechanism == {
        (2026, Mechanism.CONTRACT_FARMING): produce,
        (2026, Mechanism.LAND_TRANSFER): land,
    }
    assert facts.by_class == {IncomeClass.OPERATING: produce, IncomeClass.PROPERTY: land}
    assert facts.total == Facts(
        entitled=167_000,
        direct=500,
        allocated=250,
        guaranteed=16_500,
        charged=300,
        reversed=750,
        paid_out=17_250,
    )
    assert facts.by_year == {2026: facts.total}
    assert (facts.under_way_fen, facts.owed_fen) == (0, 0)


def test_each_section_counts_its_rows(session: Session, life: Life) -> None:
    counts = section_counts(session, DossierScope(life.household))
    assert {section.value: count for section, count in counts.items()} == {
        "enrolments": 1,
        "status": 1,
        "agreements": 2,
        "evidence": 2,
        "entitlements": 2,
        "direct": 1,
        "allocated": 1,
        "reversals": 2,
        "additions": 0,
        "guarantees": 1,
        "charges": 1,
        "payouts": 1,
    }


def test_years_begin_in_china(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    clock.set_to(
        clock.now.replace(month=12, day=31, hour=16, minute=30)
    )  # half past midnight of the new year
    sell(session, offered, units=1)
    settle_lines(session)
    facts = overview_of(session, DossierScope(contract.household))
    assert {year: one.direct for year, one in facts.by_year.items()} == {2027: 500, 2026: 0}
    assert list(facts.by_year) == [2027, 2026]


def test_a_cooperative_reads_what_concerns_itself(session: Session, life: Life, client: MarketClient) -> None:
    second = EnrolmentFactory(household=life.household, cooperative=CooperativeFactory())
    facts = overview_of(session, DossierScope(life.household, second.cooperative.id))
    assert (facts.total, facts.owed_fen) == (Facts(), 0)
    client.sign_in(session.get_one(User, actor_at(second.cooperative).user_id))
    page = client.get(life.url)
    assert page.status_code == 200
    assert "您看到的只是与本合作社有关的内容" in page.text
    assert "172.50" not in page.text
    assert life.cooperative.name not in client.get(f"{life.url}/enrolments").text
    for section in DossierSection:
        if section not in (DossierSection.ENROLMENTS, DossierSection.STATUS):
            assert "这一部分还没有记录" in client.get(f"{life.url}/{section.value}").text
    assert life.cooperative.name not in client.get(f"{life.url}.print").text


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("enrolments", "油茶专业合作社"),
        ("status", "建档立卡"),
        ("agreements", "土地流转"),
        ("evidence", "2026"),
        ("entitlements", "1,500.00"),
        ("direct", "10.00"),
        ("allocated", "5.00"),
        ("reversals", "买方退款"),
        ("additions", "这一部分还没有记录"),
        ("guarantees", "165.00"),
        ("charges", "归还预付款"),
        ("payouts", "172.50"),
    ],
)
def test_every_section_opens_by_its_address(
    session: Session, life: Life, client: MarketClient, section: str, said: str
) -> None:
    client.sign_in(life.user)
    page = client.get(f"{life.url}/{section}")
    assert page.status_code == 200
    assert said in page.text


def test_the_household_reads_and_prints_its_dossier(
    session: Session, life: Life, client: MarketClient
) -> None:
    client.sign_in(life.user)
    page = client.get("/my/dossier", follow_redirects=True)
    assert page.status_code == 200
    for said in ("1,670.00", "5.00", "2.50", "172.50", "经营性收入", "财产性收入", life.household.head_name):
        assert said in page.text
    printed = client.get(f"{life.url}.print")
    assert printed.status_code == 200
    for said in ("归还预付款", "买方退款", "保底补足", "172.50", "户主签字"):
        assert said in printed.text
    assert client.get(f"{life.url}/nonsense").status_code == 404


@pytest.mark.parametrize(
    "role", [Role.VILLAGE_REVIEWER, Role.TOWNSHIP_REVIEWER, Role.COUNTY_REVIEWER, Role.AUDITOR]
)
def test_officials_of_the_region_read_it_and_others_do_not(
    session: Session, life: Life, client: MarketClient, role: Role
) -> None:
    client.sign_in(official_with(role))
    for address in (life.url, f"{life.url}/direct", f"{life.url}.print"):
        assert client.get(address).status_code == 200
    client.sign_in(official_with(role, "360827100001" if role is Role.VILLAGE_REVIEWER else "360827"))
    for address in (life.url, f"{life.url}/direct", f"{life.url}.print"):
        assert client.get(address).status_code == 404


def test_another_household_s_dossier_is_not_found_and_logged(
    session: Session, life: Life, client: MarketClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.sign_in(user_of_household(EnrolmentFactory().household))
    for address in (life.url, f"{life.url}/payouts", f"{life.url}.print", "/households/H-0000000000/dossier"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert life.household.head_name not in answer.text
        said = capsys.readouterr().out
        assert "not_found" in said
        assert address in said


def test_buyers_have_no_business_here(app: Flask, life: Life, client: MarketClient) -> None:
    client.sign_in(official_with(Role.SUPERVISOR))
    assert client.get(life.url).status_code == 403
    assert app.test_client().get(life.url).status_code == 302


def test_no_page_sends_a_query_per_row(
    session: Session, life: Life, client: MarketClient, page_statements: Listening
) -> None:
    client.sign_in(official_with(Role.AUDITOR))
    addresses = [life.url, f"{life.url}.print", *(f"{life.url}/{one.value}" for one in DossierSection)]

    def sent() -> list[int]:
        counts = []
        for address in addresses:
            with page_statements() as statements:
                assert client.get(address).status_code == 200
            counts.append(len(statements))
        return counts

    sent()
    few = sent()
    for number in range(3):
        contract = ContractFactory(enrolment=life.enrolment)
        weigh(session, contract, life.offered.lot, slip_no=f"GB-{number + 2:03d}", net_g=5_000)
    order = sell(session, life.offered, units=3, key="another-order-of-goods")
    settle_lines(session)
    refunded(session, order, 1, key="another-refund")
    refunded(session, order, 1, key="a-third-refund")
    assert sent() == few


def test_the_dossier_is_linked_where_one_looks_for_it(
    session: Session, life: Life, client: MarketClient
) -> None:
    link, slips = f'href="{life.url}"', f'href="/households/{life.household.public_no}/slips"'
    client.sign_in(life.user)
    mine = client.get("/my/income").text
    assert link in mine
    assert slips in mine
    client.sign_in(official_with(Role.AUDITOR))
    credit = session.scalars(
        dossier.section_query(DossierScope(life.household), DossierSection.DIRECT)
    ).first()
    for address in (f"/households/{life.household.public_no}", f"/audit/credits/{credit.public_no}"):
        page = client.get(address).text
        assert link in page
        assert slips in page
    assert link in client.get("/households").text


def test_a_household_without_anything_is_told_what_comes(
    session: Session, clock: HeldClock, client: MarketClient
) -> None:
    household: Household = EnrolmentFactory().household
    client.sign_in(user_of_household(household))
    page = client.get("/my/dossier", follow_redirects=True)
    assert "还没有凭据、入账和发放" in page.text
    assert actor_of(official_with(Role.AUDITOR)).user_id is not None
    assert overview_of(session, DossierScope(household)).by_year == {}
    assert date(2026, 6, 1) == today()
