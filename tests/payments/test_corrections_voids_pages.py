"""What people read of a voided entitlement, and of a credit that a correction took back."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role
from marketplace.linkage.models import Agreement, Entitlement, Lot
from marketplace.payments.models import Credit
from marketplace.registry.models import Cooperative, Household
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.registry import CooperativeFactory, beneficiary_policy, user_of
from tests.journeys.paper import Visitor
from tests.payments.test_corrections_voids import contract, corrected, delivered, offered_at, proposed, sold

VOIDED = "已作废，不再参与分配"


@pytest.fixture
def cooperative(session: Session) -> Cooperative:
    beneficiary_policy()
    found: Cooperative = CooperativeFactory()
    return found


@pytest.fixture
def gone(session: Session, clock: HeldClock, cooperative: Cooperative) -> Agreement:
    """The contract of a household that was credited 9 of 10 fen."""
    offered = offered_at(session, cooperative)
    agreement, other = contract(cooperative), contract(cooperative)
    delivered(session, agreement, offered.lot, 9_000)
    delivered(session, other, offered.lot, 1_000)
    sold(session, offered, 1)
    return agreement


def test_pages_say_what_was_voided_by_which_correction(
    client: MarketClient, session: Session, clock: HeldClock, cooperative: Cooperative, gone: Agreement
) -> None:
    entitlement = session.scalars(select(Entitlement).order_by(Entitlement.id).limit(1)).one()
    evidence_no, agreement_no = entitlement.evidence.public_no, gone.public_no
    clerk = user_of(cooperative, Role.COOPERATIVE_CLERK)
    client.sign_in(clerk)
    assert VOIDED not in client.get(f"/linkage/evidence/{evidence_no}").text
    found = corrected(session, clock, gone.household_id)
    number, household_no = found.public_no, gone.household.public_no
    session.commit()

    Visitor(client).open(f"/linkage/evidence/{evidence_no}").has(VOIDED, number, "动态管理复核")
    Visitor(client).open(f"/linkage/agreements/{agreement_no}").has(VOIDED, number)
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    Visitor(client).open(f"/households/{household_no}/dossier/entitlements").has(VOIDED, number)
    assert f'href="/corrections/{number}"' in client.get(f"/linkage/evidence/{evidence_no}").text


def test_a_proposal_says_what_it_would_void(
    client: MarketClient, session: Session, clock: HeldClock, gone: Agreement
) -> None:
    found = proposed(session, gone.household_id)
    number = found.public_no
    session.commit()
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    Visitor(client).open(f"/corrections/{number}").has("1 笔应得", "不再参与以后的分配和保底")


def test_the_page_of_a_credit_shows_what_was_taken_back_and_what_stands(
    client: MarketClient, session: Session, clock: HeldClock, gone: Agreement
) -> None:
    household = session.get_one(Household, gone.household_id)
    taken = session.scalars(select(Credit).where(Credit.household_id == household.id)).one()
    kept = session.scalars(select(Credit).where(Credit.household_id != household.id)).one()
    numbers = taken.public_no, kept.public_no
    client.sign_in(official_with(Role.AUDITOR))
    assert "冲销、补记以后现有" not in client.get(f"/audit/credits/{numbers[0]}").text
    corrected(session, clock, household.id)
    session.commit()
    Visitor(client).open(f"/audit/credits/{numbers[0]}").has(
        "冲销、补记以后现有", "¥0.09", "¥0.00", "动态管理复核"
    )
    Visitor(client).open(f"/audit/credits/{numbers[1]}").has(
        "冲销、补记以后现有", "¥0.01", "¥0.10", "登记更正"
    )


def test_lists_read_no_more_for_more_voids(
    client: MarketClient, session: Session, clock: HeldClock, gone: Agreement, page_statements: Any
) -> None:
    agreement_no = gone.public_no
    lot = session.scalars(select(Entitlement).order_by(Entitlement.id).limit(1)).one().lot_id
    client.sign_in(user_of(gone.cooperative, Role.COOPERATIVE_CLERK))
    with page_statements() as few:
        client.get(f"/linkage/agreements/{agreement_no}")
    from_lot = session.get_one(Lot, lot)
    for net_g in range(1_001, 1_006):
        delivered(session, gone, from_lot, net_g)
    corrected(session, clock, gone.household_id)
    session.commit()
    with page_statements() as many:
        assert VOIDED in client.get(f"/linkage/agreements/{agreement_no}").text
    assert len(many) == len(few)
