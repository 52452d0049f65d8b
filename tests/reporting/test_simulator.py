"""Trying other linkage rates on past sales: exact to the fen with the rates as they were, and nothing is written."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.identity.models import Role, User
from marketplace.linkage.models import Mechanism
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.models import Credit, LinkagePool, Settlement
from marketplace.payments.settlement import settle_lines
from marketplace.reporting import simulator, simulator_sales
from marketplace.reporting.simulator import Change, check_rates, simulate
from marketplace.reporting.simulator_sales import Question
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory
from tests.factories.linkage import ContractFactory, EntitlementFactory, LeaseFactory, PeriodFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at
from tests.factories.trade import Offer, lot_for, new_version, offer, sell

YEAR = (date(2026, 1, 1), date(2026, 12, 31))
TERMS = {Mechanism.CONTRACT_FARMING: 1_333, Mechanism.LAND_TRANSFER: 777}


class Village:
    """A cooperative with seven households of uneven weights, three of them lessors too, and two sales of two lots."""

    def __init__(self, session: Session, clock: HeldClock) -> None:
        self.cooperative = CooperativeFactory()
        self.offered: Offer = offer(session, self.cooperative, units=5, terms=TERMS)
        second = lot_for(session, self.offered, units=50, harvested_on=date(2026, 5, 2))
        self.period = PeriodFactory(cooperative=self.cooperative)
        self.enrolments = [EnrolmentFactory(cooperative=self.cooperative) for _ in range(7)]
        for number, enrolment in enumerate(self.enrolments):
            lot = self.offered.lot if number % 2 else second
            EntitlementFactory(
                agreement=ContractFactory(enrolment=enrolment), lot=lot, amount_fen=333 + 71 * number
            )
        for enrolment in self.enrolments[:3]:
            self.lease(enrolment, 1_001)
        sell(session, self.offered, units=7)
        settle_lines(session)
        clock.advance(days=1)
        self.lease(self.enrolments[3], 5_000)  # counts for the second sale only
        sell(session, self.offered, units=3, key="the-second-order-of-all")
        settle_lines(session)

    def lease(self, enrolment: object, fen: int) -> None:
        EntitlementFactory(agreement=LeaseFactory(enrolment=enrolment), period=self.period, amount_fen=fen)

    def asked(self, rates: dict[Mechanism, int] | None = None, **other: object) -> Question:
        return Question(self.cooperative.id, *YEAR, rates, **other)  # type: ignore[arg-type]


@pytest.fixture
def village(session: Session, clock: HeldClock) -> Village:
    return Village(session, clock)


def credited(session: Session) -> dict[int, int]:
    query = select(Credit.household_id, func.sum(Credit.amount_fen)).group_by(Credit.household_id)
    return {household_id: int(fen) for household_id, fen in session.execute(query)}


@pytest.mark.parametrize("rates", [None, TERMS], ids=["as they were", "the same typed again"])
def test_unchanged_rates_give_every_household_its_credits_to_the_fen(
    session: Session, village: Village, rates: dict[Mechanism, int] | None
) -> None:
    found = simulate(session, village.asked(rates))
    assert found.lines == 2
    assert {change.household_id: change.after_fen for change in found.changes} == credited(session)
    assert all(change.difference_fen == 0 for change in found.changes)
    assert found.before == found.after
    assert found.after.net_fen == 50_000
    assert found.after.pool_fen == 10_550  # half_up(35000 x 0.211) + half_up(15000 x 0.211)
    assert found.after.waiting_fen == 0


def test_other_rates_move_money_and_sums_stay_exact(session: Session, village: Village) -> None:
    rates = {Mechanism.CONTRACT_FARMING: 500, Mechanism.LAND_TRANSFER: 2_500}
    found = simulate(session, village.asked(rates))
    assert found.after.pools == {Mechanism.CONTRACT_FARMING: 2_500, Mechanism.LAND_TRANSFER: 12_500}
    assert sum(change.after_fen for change in found.changes) == found.after.credited_fen == 15_000
    assert sum(change.before_fen for change in found.changes) == found.before.credited_fen == 10_550
    assert found.after.left_fen == 35_000
    differences = [change.difference_fen for change in found.changes]
    assert differences == sorted(differences)
    lessor, farmer = village.enrolments[0].household_id, village.enrolments[6].household_id
    by_household = {change.household_id: change.difference_fen for change in found.changes}
    assert by_household[lessor] > 0 > by_household[farmer]


def test_a_mechanism_without_any_evidence_waits(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    sell(session, offered, units=1)
    settle_lines(session)
    rates = {Mechanism.CONTRACT_FARMING: 1_000, Mechanism.LAND_TRANSFER: 1_000}
    found = simulate(session, Question(cooperative.id, *YEAR, rates))
    assert (found.after.credited_fen, found.after.waiting_fen, found.after.left_fen) == (500, 500, 4_000)
    assert found.changes == [Change(contract.household_id, 500, 500)]


def test_pools_that_waited_are_shared_by_what_they_were_shared_by(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative, terms={Mechanism.LAND_TRANSFER: 1_000})
    sell(session, offered, units=3)
    settle_lines(session)
    clock.advance(days=2)
    period = PeriodFactory(cooperative=cooperative)
    leases = [LeaseFactory(enrolment=EnrolmentFactory(cooperative=cooperative)) for _ in range(3)]
    for lease, fen in zip(leases, (300, 300, 100), strict=True):
        EntitlementFactory(agreement=lease, period=period, amount_fen=fen)
    assert distribute_pools(session) == 1
    EntitlementFactory(agreement=leases[2], period=period, amount_fen=90_000)  # too late to count
    found = simulate(session, Question(cooperative.id, *YEAR))
    assert {change.household_id: change.after_fen for change in found.changes} == credited(session)
    assert sorted(credited(session).values()) == [214, 643, 643]


def test_labour_is_shared_by_lot_where_it_was_and_over_the_period_for_the_rest(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative, units=2, terms={Mechanism.EMPLOYMENT: 1_000})
    second = lot_for(session, offered, units=5, harvested_on=date(2026, 5, 9))
    period = PeriodFactory(cooperative=cooperative)
    picker, packer = (
        ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative), mechanism=Mechanism.EMPLOYMENT)
        for _ in range(2)
    )
    EntitlementFactory(agreement=picker, lot=offered.lot)
    EntitlementFactory(agreement=packer, period=period)
    sell(session, offered, units=5)
    settle_lines(session)
    EntitlementFactory(agreement=packer, lot=second)  # comes after the sale
    assert credited(session) == {picker.household_id: 1_000, packer.household_id: 1_500}
    found = simulate(session, Question(cooperative.id, *YEAR))
    assert {change.household_id: change.after_fen for change in found.changes} == credited(session)
    doubled = simulate(session, Question(cooperative.id, *YEAR, {Mechanism.EMPLOYMENT: 2_000}))
    assert {change.household_id: change.after_fen for change in doubled.changes} == {
        picker.household_id: 2_000,
        packer.household_id: 3_000,
    }


def test_what_still_waits_goes_on_waiting(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory())
    sell(session, offered, units=1)
    settle_lines(session)
    found = simulate(session, Question(offered.cooperative.id, *YEAR))
    assert (found.before.waiting_fen, found.after.waiting_fen, found.changes) == (500, 500, [])


def test_one_listing_and_a_span_narrow_the_sales(session: Session, village: Village) -> None:
    other = offer(session, village.cooperative)
    assert simulate(session, village.asked(listing_id=other.listing.id)).lines == 0
    assert simulate(session, village.asked(listing_id=village.offered.listing.id)).lines == 2
    june = Question(village.cooperative.id, date(2026, 6, 2), date(2026, 6, 30))
    assert simulate(session, june).lines == 1
    assert simulate(session, Question(CooperativeFactory().id, *YEAR)).lines == 0


def test_too_many_sales_are_refused_with_their_number(
    session: Session, village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator_sales, "MOST_LINES", 1)
    with pytest.raises(Refused) as refused:
        simulate(session, village.asked())
    assert refused.value.params == {"count": 2, "most": 1}
    monkeypatch.setattr(simulator_sales, "MOST_LINES", 2)
    monkeypatch.setattr(simulator, "MOST_SHARES", 5)
    with pytest.raises(Refused) as refused:
        simulate(session, village.asked())
    assert refused.value.code == "too_many_shares"


@pytest.mark.parametrize(
    ("rates", "code"),
    [
        ({Mechanism.CONTRACT_FARMING: 9_000, Mechanism.LAND_TRANSFER: 1_001}, "terms_above_whole"),
        ({Mechanism.CONTRACT_FARMING: 700}, "terms_below_floor"),
    ],
)
def test_rates_that_could_not_be_published_are_refused(rates: dict[Mechanism, int], code: str) -> None:
    with pytest.raises(Refused) as refused:
        check_rates(rates, floor_bp=800)
    assert refused.value.code == code


# --- the page ---


def url_of(village: Village, **rates: str) -> str:
    asked = (
        f"/workshop/simulator?since=2026-01-01&until=2026-12-31&listing={village.offered.listing.public_no}"
    )
    return asked + "".join(f"&term-{name}={value}" for name, value in rates.items())


def manager(session: Session, village: Village) -> User:
    return session.get_one(User, actor_at(village.cooperative).user_id)


def test_the_page_shows_masked_names_and_leads_to_a_new_version(
    session: Session, village: Village, client: MarketClient
) -> None:
    client.sign_in(manager(session, village))
    counts = [
        session.scalar(select(func.count()).select_from(one)) for one in (Settlement, LinkagePool, Credit)
    ]
    page = client.get(url_of(village, contract_farming="5", land_transfer="25"))
    assert page.status_code == 200
    assert "150.00" in page.text
    names = [enrolment.household.head_name for enrolment in village.enrolments]
    assert [name for name in names if name in page.text] == []
    assert names[0][0] + "**" in page.text
    product = village.offered.listing.product.public_no
    assert (
        f"/workshop/products/{product}/offer?term-contract_farming=5&amp;term-land_transfer=25" in page.text
    )
    offered = client.get(f"/workshop/products/{product}/offer?term-contract_farming=5&term-land_transfer=25")
    assert 'name="term-contract_farming" inputmode="decimal" value="5"' in offered.text
    assert 'name="term-land_transfer" inputmode="decimal" value="25"' in offered.text
    assert counts == [
        session.scalar(select(func.count()).select_from(one)) for one in (Settlement, LinkagePool, Credit)
    ]


def test_the_first_visit_shows_the_form_with_the_terms_on_sale(
    session: Session, village: Village, client: MarketClient
) -> None:
    new_version(session, village.offered, terms={Mechanism.LAND_TRANSFER: 850})
    client.sign_in(manager(session, village))
    page = client.get(f"/workshop/simulator?listing={village.offered.listing.public_no}")
    assert page.status_code == 200
    assert 'value="8.50"' in page.text
    assert "每户的变化" not in page.text


@pytest.mark.parametrize(
    "rates",
    [{"contract_farming": "99", "land_transfer": "2"}, {"contract_farming": "many"}],
    ids=["above the whole", "no number"],
)
def test_refused_rates_stay_in_the_form(
    session: Session, village: Village, client: MarketClient, rates: dict[str, str]
) -> None:
    client.sign_in(manager(session, village))
    page = client.get(url_of(village, **rates))
    assert page.status_code == 422
    assert f'value="{rates["contract_farming"]}"' in page.text
    assert "没有测算" in page.text


def test_another_cooperative_s_listing_is_not_found(
    session: Session, village: Village, client: MarketClient
) -> None:
    client.sign_in(session.get_one(User, actor_at(CooperativeFactory()).user_id))
    assert client.get(url_of(village)).status_code == 404
    client.sign_in(UserFactory(granted=(Role.STAFF_BUYER,)))
    assert client.get("/workshop/simulator").status_code == 403


def test_more_sales_send_no_more_statements(
    session: Session, village: Village, client: MarketClient, page_statements
) -> None:
    client.sign_in(manager(session, village))
    client.get(url_of(village))
    with page_statements() as few:
        client.get(url_of(village))
    for number in range(4):
        sell(session, village.offered, units=1, key=f"one-more-order-number-{number}")
        offer(session, village.cooperative)
    settle_lines(session)
    with page_statements() as many:
        assert client.get(url_of(village)).status_code == 200
    assert len(many) == len(few)
