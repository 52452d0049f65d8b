"""An auditor follows one fen both ways, within its jurisdiction, and both directions sum exactly."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.audit.trace import found_number, trace_credit, trace_line
from marketplace.core.errors import NotFound
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.payments.models import Credit
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import actor_with, official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, user_of
from tests.factories.trade import Offer, buy, offer, sell, staff_buyer


@pytest.fixture
def settled(session: Session, clock: HeldClock) -> Offer:
    """A sale of 3 x 50.00 yuan, a tenth of it shared 2:1 by two households."""
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    for amount_fen in (2_000, 1_000):
        contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
        EntitlementFactory(agreement=contract, lot=offered.lot, amount_fen=amount_fen)
    sell(session, offered, units=3)
    settle_lines(session)
    return offered


def credits_of(session: Session) -> list[Credit]:
    return list(session.scalars(select(Credit).order_by(Credit.household_id)))


def test_a_line_leads_to_every_share_and_they_sum_to_its_pool(session: Session, settled: Offer) -> None:
    line_no = credits_of(session)[0].line.public_no
    trace = trace_line(session, actor_with(Role.AUDITOR), line_no)

    assert (trace.line.net_fen, trace.pool_fen, trace.credited_fen, trace.waiting_fen) == (
        15_000,
        1_500,
        1_500,
        0,
    )
    assert [[credit.amount_fen for credit in pool.credits] for pool in trace.pools] == [[1_000, 500]]
    assert all(pool.agrees for pool in trace.pools)
    assert trace.payment is not None
    assert trace.payment.amount_fen == 15_000


def test_a_credit_leads_back_to_its_evidence_and_formula(session: Session, settled: Offer) -> None:
    first = credits_of(session)[0]
    trace = trace_credit(session, actor_with(Role.AUDITOR), first.public_no)

    assert trace.line.line.id == first.line_id
    assert [entitlement.amount_fen for entitlement in trace.evidence] == [2_000]
    assert (first.weight_fen, trace.weight_total_fen) == (2_000, 3_000)
    assert trace.pool.recomputed[first.household_id] == first.amount_fen == 1_000


def test_a_pending_line_shows_no_money(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory())
    order = buy(session, staff_buyer(), (offered, 1))
    trace = trace_line(session, actor_with(Role.AUDITOR), order.parts[0].lines[0].public_no)

    assert trace.settlement is None
    assert (trace.pool_fen, trace.credited_fen) == (0, 0)


def test_an_auditor_of_another_county_finds_nothing(session: Session, settled: Offer) -> None:
    stranger = actor_of(official_with(Role.AUDITOR, "360827"))
    first = credits_of(session)[0]

    for number in (first.public_no, first.line.public_no, first.line.part.order.public_no):
        with pytest.raises(NotFound):
            found_number(session, stranger, number)
    with pytest.raises(NotFound):
        trace_credit(session, stranger, first.public_no)


@pytest.mark.parametrize("page", ["/audit/", "/audit/settlements", "/audit/waiting"])
def test_lists_need_no_query_per_row(
    client: MarketClient, session: Session, settled: Offer, statements, page: str
) -> None:
    client.sign_in(official_with(Role.AUDITOR))
    with statements() as few:
        assert client.get(page).status_code == 200
    for number in range(8):
        sell(session, settled, units=1, key=f"another-of-many-{number}")
    settle_lines(session)
    with statements() as many:
        assert client.get(page).status_code == 200
    assert len(many) <= len(few)


def test_the_pages_are_for_auditors_alone(client: MarketClient, session: Session, settled: Offer) -> None:
    first = credits_of(session)[0]
    pages = [f"/audit/credits/{first.public_no}", f"/audit/lines/{first.line.public_no}", "/audit/"]
    assert all(client.get(page).status_code == 302 for page in pages)  # to sign in

    client.sign_in(official_with(Role.AUDITOR))
    assert [client.get(page).status_code for page in pages] == [200, 200, 200]
    assert 'href="/audit/" aria-current="true"' in client.get(pages[0]).text
    assert client.get("/audit/credits/I-0000000000").status_code == 404


def test_a_cooperative_may_not_audit(client: MarketClient, session: Session, settled: Offer) -> None:
    client.sign_in(user_of(settled.cooperative))
    assert client.get("/audit/").status_code == 403
