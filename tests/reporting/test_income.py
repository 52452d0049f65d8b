"""A household's income: to the fen, by mechanism and month, the buyer told as a kind and a county only."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.identity.rules import issue_token
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.ordering.models import OrderKind
from marketplace.payments.models import Credit, Payment
from marketplace.payments.rules import apply_payment, bill_accepted_parts
from marketplace.payments.settlement import settle_lines
from marketplace.procurement.rules import approve_order
from marketplace.registry.models import Cooperative, Enrolment
from marketplace.registry.queries import household_of
from marketplace.reporting import income
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory, LeaseFactory, PeriodFactory
from tests.factories.registry import (
    BuyerUnitFactory,
    CooperativeFactory,
    EnrolmentFactory,
    actor_at,
    user_of,
    user_of_household,
)
from tests.factories.trade import buy, deliver, offer, sell


@pytest.fixture
def earner(session: Session, clock: HeldClock) -> User:
    """The account of a household credited 5.00 in June by a cadre and 10.00 in July by a canteen."""
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    sell(session, offered, units=1)
    settle_lines(session)
    clock.set_to(datetime(2026, 7, 1, 2, tzinfo=UTC))
    unit = BuyerUnitFactory(name="乐安县实验小学食堂")
    orderer, approver = actor_at(unit, Role.UNIT_ORDERER), actor_at(unit, Role.UNIT_APPROVER)
    order = buy(session, orderer, (offered, 2), kind=OrderKind.CANTEEN)
    approve_order(session, approver, order)
    deliver(session, order.parts[0], actor_at(unit, Role.UNIT_RECEIVER))
    bill_accepted_parts(session)
    payment = session.scalars(select(Payment).where(Payment.part_id == order.parts[0].id)).one()
    apply_payment(session, payment, paid_at=clock.now)
    settle_lines(session)
    return user_of_household(contract.household)


def household_id(session: Session, user: User) -> int:
    found = household_of(session, actor_of(user))
    assert found is not None
    return found.id


def test_months_follow_the_calendar_of_china(session: Session, earner: User) -> None:
    months = income.months_of(session, household_id(session, earner))
    assert [(row.year, row.month, row.mechanism, row.amount_fen) for row in months] == [
        (2026, 7, Mechanism.CONTRACT_FARMING, 1_000),
        (2026, 6, Mechanism.CONTRACT_FARMING, 500),
    ]
    assert income.by_mechanism(months) == {Mechanism.CONTRACT_FARMING: 1_500}
    assert income.by_attribution(session, household_id(session, earner)) == {Attribution.DIRECT: 1_500}


def test_the_page_tells_the_buyer_as_kind_and_county_only(
    client: MarketClient, session: Session, earner: User
) -> None:
    client.sign_in(earner)
    page = client.get("/my/income")
    assert page.status_code == 200
    assert "15.00" in page.text
    assert "机关食堂 · 乐安县" in page.text
    assert "实验小学" not in page.text


def test_the_statement_holds_the_days_asked_for(client: MarketClient, session: Session, earner: User) -> None:
    client.sign_in(earner)
    june = client.get("/my/statement?since=2026-06-01&until=2026-06-30")
    assert june.status_code == 200
    assert 'href="/my/income" aria-current="true"' in june.text
    assert "5.00" in june.text
    assert "15.00" not in june.text
    assert client.get("/my/statement?since=nonsense").status_code == 200


def test_the_api_gives_the_same_sums(client: MarketClient, session: Session, earner: User) -> None:
    _token, secret = issue_token(session, actor_of(earner), name="phone")
    asked = client.get(
        "/api/v1/statements/mine?since=2026-06-01&until=2026-07-31&limit=1",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert asked.status_code == 200
    assert (asked.json["credited_fen"], len(asked.json["items"])) == (1_500, 1)
    assert asked.json["items"][0]["buyer_kind"] == "office"
    following = client.get(
        f"/api/v1/statements/mine?since=2026-06-01&until=2026-07-31&after={asked.json['next']}",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert [item["amount_fen"] for item in following.json["items"]] == [500]
    assert following.json["next"] is None


def test_a_household_sees_no_other_household(client: MarketClient, session: Session, earner: User) -> None:
    other = EnrolmentFactory().household
    client.sign_in(earner)
    assert client.get(f"/households/{other.public_no}/income").status_code == 403
    assert client.get("/households/H-0000000000/income").status_code == 403


def test_an_auditor_of_the_county_may_read_it(client: MarketClient, session: Session, earner: User) -> None:
    household = household_of(session, actor_of(earner))
    assert household is not None
    client.sign_in(official_with(Role.AUDITOR))
    assert client.get(f"/households/{household.public_no}/income").status_code == 200
    client.sign_in(official_with(Role.AUDITOR, "360827"))
    assert client.get(f"/households/{household.public_no}/income").status_code == 404
    assert client.get(f"/api/v1/statements/{household.public_no}").status_code == 404


def test_the_desk_begins_with_the_income_of_the_year(client: MarketClient, earner: User) -> None:
    client.sign_in(earner)
    page = client.get("/desk").text
    assert all(words in page for words in ("今年入账", "累计入账", "15.00"))


def test_orders_under_way_are_counted_by_goods_and_state(session: Session, clock: HeldClock) -> None:
    offered = offer(session, cooperative := CooperativeFactory())
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    for key in ("first", "second"):
        order = buy(session, orderer, (offered, 1), kind=OrderKind.CANTEEN, key=key)
    [waiting] = income.pending_lines(session, contract.household_id)
    [part] = order.parts
    assert (waiting.title, waiting.state, waiting.lines) == (part.lines[0].title, part.state, 2)


def test_nothing_yet_is_said_kindly(client: MarketClient, session: Session, clock: HeldClock) -> None:
    client.sign_in(user_of_household(EnrolmentFactory().household))
    assert "还没有入账" in client.get("/my/income").text


def test_a_cooperative_reads_what_came_from_itself_alone(
    client: MarketClient, session: Session, earner: User
) -> None:
    """The household earned 15.00 with the first cooperative, all under contract, and 20.00 of rent with the second."""
    household = household_of(session, actor_of(earner))
    assert household is not None
    first = session.scalars(select(Credit).limit(1)).one().cooperative_id
    second = EnrolmentFactory(household=household, cooperative=CooperativeFactory())
    _earn_rent(session, second)
    asked = "since=2026-01-01&until=2026-12-31"
    pages = [f"/households/{household.public_no}/{page}?{asked}" for page in ("income", "statement")]

    for cooperative_id, own, others in ((first, "15.00", "20.00"), (second.cooperative_id, "20.00", "15.00")):
        client.sign_in(_manager(session, cooperative_id))
        for page in pages:
            shown = client.get(page)
            assert shown.status_code == 200
            assert own in shown.text
            assert others not in shown.text
            assert "35.00" not in shown.text
            assert "只是与本合作社有关的内容" in shown.text
            assert ("土地流转" in shown.text) == (cooperative_id != first)

    client.sign_in(earner)
    everything = [f"/my/{page}?{asked}" for page in ("income", "statement")]
    assert all("35.00" in client.get(page).text for page in everything)
    for official in (Role.AUDITOR, Role.COUNTY_REVIEWER):
        client.sign_in(official_with(official))
        assert all("35.00" in client.get(page).text for page in pages)


def test_the_api_gives_a_cooperative_what_came_from_itself_alone(
    client: MarketClient, session: Session, earner: User
) -> None:
    household = household_of(session, actor_of(earner))
    assert household is not None
    second = EnrolmentFactory(household=household, cooperative=CooperativeFactory())
    _earn_rent(session, second)
    _token, secret = issue_token(
        session, actor_of(_manager(session, second.cooperative_id)), name="a cooperative's own books"
    )
    asked = client.get(
        f"/api/v1/statements/{household.public_no}?since=2026-01-01&until=2026-12-31",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert asked.status_code == 200
    assert (asked.json["credited_fen"], [item["amount_fen"] for item in asked.json["items"]]) == (
        2_000,
        [2_000],
    )
    assert asked.json["by_mechanism"] == [{"mechanism": "land_transfer", "amount_fen": 2_000}]


def test_figures_of_one_cooperative_leave_the_others_out(session: Session, earner: User) -> None:
    household = household_id(session, earner)
    nobody = CooperativeFactory().id
    assert income.months_of(session, household, cooperative_id=nobody) == []
    assert income.by_attribution(session, household, cooperative_id=nobody) == {}
    assert income.entitled_fen(session, household, cooperative_id=nobody) == 0
    assert income.later_changes(session, household, cooperative_id=nobody) == []
    assert income.guarantees_of(session, household, cooperative_id=nobody) == []
    assert income.guaranteed_fen(session, household, cooperative_id=nobody) == 0
    assert session.execute(income.credits_of(household, cooperative_id=nobody)).all() == []
    assert income.pending_lines(session, household, cooperative_id=nobody) == []


def _earn_rent(session: Session, enrolment: Enrolment) -> None:
    """20.00 for a parcel, a fifth of an order of 100.00."""
    cooperative = enrolment.cooperative
    period = PeriodFactory(cooperative=cooperative)
    lease = LeaseFactory(enrolment=enrolment)
    EntitlementFactory(agreement=lease, period=period)
    offered = offer(session, cooperative, terms={Mechanism.LAND_TRANSFER: 2_000})
    sell(session, offered, units=2, key="an-order-of-the-second-cooperative")
    settle_lines(session)


def _manager(session: Session, cooperative_id: int) -> User:
    return user_of(session.get_one(Cooperative, cooperative_id))
