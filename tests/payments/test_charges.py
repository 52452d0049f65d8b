"""Collecting charges: only from money of the same agreement, never more than is owed, covered or there."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.db import session_maker
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ledger.queries import balance
from marketplace.linkage.evidence import add_charge
from marketplace.linkage.models import Agreement, Charge, ChargeKind, Mechanism
from marketplace.payments import charges
from marketplace.payments.charge_models import ChargeCollection
from marketplace.payments.charge_queries import money_of_agreements
from marketplace.payments.charges import collect_charges
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.identity import official_with
from tests.factories.linkage import (
    CONTRACT_TERMS,
    ContractFactory,
    EntitlementFactory,
    LeaseFactory,
    PeriodFactory,
)
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, user_of
from tests.factories.trade import TENTH, Offer, offer, sell

DAY = date(2026, 5, 20)
BOTH = {**TENTH, Mechanism.LAND_TRANSFER: 1_000}


@pytest.fixture
def enrolment(session: Session, clock: HeldClock) -> Any:
    return EnrolmentFactory()


@pytest.fixture
def contract(enrolment: Any) -> Agreement:
    return ContractFactory(enrolment=enrolment)


def charge(session: Session, agreement: Agreement, amount_fen: int, *, on: date = DAY) -> Charge:
    return add_charge(
        session,
        None,
        agreement,
        kind=ChargeKind.SERVICE_FEE,
        amount_fen=amount_fen,
        charged_on=on,
        inputs={},
    )


def sold(session: Session, agreement: Agreement, *, units: int = 2, **fields: Any) -> Offer:
    """Oil of a lot of the agreement's produce, sold and settled: 5.00 yuan a bottle for its household."""
    offered = offer(session, agreement.cooperative, **fields)
    EntitlementFactory(agreement=agreement, lot=offered.lot)
    sell(session, offered, units=units, key=f"key-of-the-order-of-lot-{offered.lot.id}")
    settle_lines(session)
    return offered


def owed(session: Session, agreement: Agreement) -> int:
    return balance(session, AccountKey.household_payable(agreement.cooperative_id, agreement.household_id))


def collected(session: Session) -> list[int]:
    return list(session.scalars(select(ChargeCollection.amount_fen).order_by(ChargeCollection.id)))


def pay_out(session: Session, agreement: Agreement, fen: int, key: str) -> None:
    """Money that left for the household's bank account."""
    cooperative_id = agreement.cooperative_id
    payable = AccountKey.household_payable(cooperative_id, agreement.household_id)
    transfer = TransferDraft(payable, AccountKey.payout_clearing(cooperative_id), fen)
    draft = EntryDraft(
        kind=EntryKind.PAYOUT_SENT,
        idempotency_key=key,
        occurred_at=now(),
        transfers=(transfer,),
        cooperative_id=cooperative_id,
        subject=("payout", 1),
    )
    post_entries(session, [draft])


def assert_checks_hold(session: Session) -> None:
    for check in charges.CHECKS:
        _, findings = check.examine(session)
        assert findings == [], check.name


def test_a_charge_is_collected_from_the_credits_of_its_agreement(session, contract):
    owing = charge(session, contract, 300)
    assert collect_charges(session) == 0  # nothing has been sold yet
    sold(session, contract)  # 10.00 yuan
    before = balance(session, AccountKey.cooperative_payable(contract.cooperative_id))
    assert collect_charges(session) == 1
    assert (collected(session), owed(session, contract)) == ([300], 700)
    assert balance(session, AccountKey.cooperative_payable(contract.cooperative_id)) == before + 300
    entry = session.scalars(select(Entry).where(Entry.kind == EntryKind.CHARGE_COLLECTED)).one()
    assert entry.idempotency_key == f"collect:charge:{owing.id}:300"
    assert_checks_hold(session)


def test_repeating_collects_nothing_more(session, contract):
    charge(session, contract, 300)
    sold(session, contract)
    assert [collect_charges(session) for _ in range(3)] == [1, 0, 0]
    assert (collected(session), owed(session, contract)) == ([300], 700)


def test_what_is_not_covered_stays_outstanding_until_more_money_comes(session, contract):
    charge(session, contract, 1_300)
    sold(session, contract)
    assert (collect_charges(session), owed(session, contract)) == (1, 0)
    sold(session, contract)
    assert (collect_charges(session), owed(session, contract)) == (1, 700)
    rows = session.scalars(select(ChargeCollection).order_by(ChargeCollection.position)).all()
    assert [(one.amount_fen, one.collected_after_fen, one.money_fen) for one in rows] == [
        (1_000, 1_000, 1_000),
        (300, 1_300, 2_000),
    ]
    assert_checks_hold(session)


def test_the_oldest_charge_is_collected_first(session, contract):
    later = charge(session, contract, 800, on=date(2026, 5, 21))
    sooner = charge(session, contract, 800)
    sold(session, contract)
    assert collect_charges(session) == 2
    rows = dict(session.execute(select(ChargeCollection.charge_id, ChargeCollection.amount_fen)).all())
    assert rows == {sooner.id: 800, later.id: 200}


def test_money_of_another_agreement_is_never_taken(session, enrolment, contract):
    PeriodFactory(cooperative=enrolment.cooperative)
    oranges = ContractFactory(enrolment=enrolment, version__terms={**CONTRACT_TERMS, "commodity": "脐橙"})
    charge(session, oranges, 500)
    sold(session, contract)
    assert (collect_charges(session), owed(session, contract)) == (0, 1_000)
    sold(session, oranges, units=1)
    assert (collect_charges(session), owed(session, contract)) == (1, 1_000)
    assert_checks_hold(session)


def test_rent_is_not_money_of_a_contract_on_the_same_line(session, enrolment, contract):
    period = PeriodFactory(cooperative=enrolment.cooperative)
    lease = LeaseFactory(enrolment=enrolment)
    EntitlementFactory(agreement=lease, period=period)
    charge(session, contract, 5_000)
    sold(session, contract, terms=BOTH)  # 10.00 by the contract, 10.00 of rent
    assert owed(session, contract) == 2_000
    assert (collect_charges(session), owed(session, contract)) == (1, 1_000)


def test_two_agreements_in_one_lot_share_its_money_by_their_entitlements(session, enrolment, contract):
    other = ContractFactory(enrolment=enrolment)
    offered = offer(session, enrolment.cooperative)
    EntitlementFactory(agreement=contract, lot=offered.lot, amount_fen=1_000)
    EntitlementFactory(agreement=other, lot=offered.lot, amount_fen=2_000)
    sell(session, offered, units=2)
    settle_lines(session)
    assert money_of_agreements(session, [contract.id, other.id]) == {contract.id: 333, other.id: 666}
    charge(session, contract, 5_000)
    assert (collect_charges(session), owed(session, contract)) == (1, 667)


def test_another_households_money_in_the_lot_is_not_taken(session, enrolment, contract):
    neighbour = ContractFactory(enrolment=EnrolmentFactory(cooperative=enrolment.cooperative))
    offered = offer(session, enrolment.cooperative)
    for agreement in (contract, neighbour):
        EntitlementFactory(agreement=agreement, lot=offered.lot)
    sell(session, offered, units=2)
    settle_lines(session)
    charge(session, contract, 5_000)
    assert (collect_charges(session), owed(session, contract), owed(session, neighbour)) == (1, 0, 500)


def test_what_was_paid_out_is_never_taken_back(session, contract):
    sold(session, contract)
    pay_out(session, contract, 900, "pay-1")
    charge(session, contract, 500)
    assert (collect_charges(session), collected(session), owed(session, contract)) == (1, [100], 0)
    assert collect_charges(session) == 0
    assert_checks_hold(session)


def test_two_workers_collect_once(session: Session, engine: Engine, contract):
    charge(session, contract, 300)
    sold(session, contract)
    session.commit()
    counts: list[int] = []

    def work() -> None:
        with session_maker(engine)() as own:
            counts.append(collect_charges(own))
            own.commit()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    session.expire_all()
    assert sorted(counts) == [0, 0, 0, 1]
    assert (collected(session), owed(session, contract)) == ([300], 700)


def test_a_pass_is_bounded_and_the_next_goes_on(session, clock):
    cooperative = CooperativeFactory()
    agreements = [ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative)) for _ in range(3)]
    for agreement in agreements:
        charge(session, agreement, 10)
        sold(session, agreement, units=1)
    assert [collect_charges(session, limit=2) for _ in range(3)] == [2, 1, 0]


def test_the_statements_of_a_pass_do_not_grow_with_its_charges(session, clock, statements):
    cooperative = CooperativeFactory()

    def one_more() -> int:
        agreement = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
        charge(session, agreement, 10)
        sold(session, agreement, units=1)
        with statements() as seen:
            assert collect_charges(session) == 1
        return len(seen)

    one_more()
    assert one_more() == one_more()


@pytest.mark.parametrize(
    ("position", "previous", "before_fen", "amount_fen", "after_fen", "charge_fen"),
    [
        (1, None, 0, 101, 101, 100),  # more than the charge
        (1, None, 0, 101, 101, 101),  # of another amount than the charge has
        (1, None, 0, 0, 0, 100),
        (2, 1, 50, 50, 100, 100),  # without a first one
        (1, None, 0, 60, 50, 100),  # that does not add up
    ],
)
def test_the_database_keeps_collections_within_their_charge(
    session, contract, position, previous, before_fen, amount_fen, after_fen, charge_fen
):
    owing = charge(session, contract, 100)
    sold(session, contract)
    entry_id = session.scalar(select(func.max(Entry.id)))
    session.add(
        ChargeCollection(
            charge_id=owing.id,
            charge_fen=charge_fen,
            position=position,
            previous_position=previous,
            collected_before_fen=before_fen,
            amount_fen=amount_fen,
            collected_after_fen=after_fen,
            money_fen=1_000,
            entry_id=entry_id,
            rule_version=1,
        )
    )
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_collections_are_never_changed(session, contract):
    charge(session, contract, 300)
    sold(session, contract)
    collect_charges(session)
    session.commit()
    for change in ("UPDATE charge_collection SET amount_fen = 1", "DELETE FROM charge_collection"):
        with pytest.raises(DatabaseError, match="append-only"):
            session.execute(text(change))
        session.rollback()


def test_a_forged_posting_is_found(session, contract):
    owing = charge(session, contract, 300)
    sold(session, contract)
    payable = AccountKey.household_payable(contract.cooperative_id, contract.household_id)
    transfer = TransferDraft(payable, AccountKey.cooperative_payable(contract.cooperative_id), 7)
    draft = EntryDraft(
        kind=EntryKind.CHARGE_COLLECTED,
        idempotency_key="forged",
        occurred_at=now(),
        transfers=(transfer,),
        cooperative_id=contract.cooperative_id,
        subject=("charge", owing.id),
    )
    post_entries(session, [draft])
    found = {check.name for check in charges.CHECKS if check.examine(session)[1]}
    assert found == {"entries_have_collections"}


# --- the page ---


@pytest.mark.parametrize("role", [Role.COOPERATIVE_CLERK, Role.AUDITOR])
def test_the_page_tells_what_is_outstanding(session, client, contract, role):
    charge(session, contract, 1_300)
    sold(session, contract)
    collect_charges(session)
    user = user_of(contract.cooperative, role) if role is Role.COOPERATIVE_CLERK else official_with(role)
    session.commit()
    client.sign_in(user)
    page = client.get(f"/charges?agreement={contract.public_no}&open=1")
    assert page.status_code == 200
    assert all(words in page.text for words in ("托管服务费", "13.00", "10.00", "3.00"))


def test_another_cooperative_sees_no_charges_of_this_one(session, client, contract):
    charge(session, contract, 1_300)
    other = user_of(ContractFactory().cooperative, Role.COOPERATIVE_CLERK)
    session.commit()
    client.sign_in(other)
    assert "没有应扣款" in client.get(f"/charges?agreement={contract.public_no}").text


def test_the_page_reads_no_more_for_more_charges(session, client, contract, page_statements):
    client.sign_in(user_of(contract.cooperative, Role.COOPERATIVE_CLERK))

    def read() -> int:
        charge(session, contract, 100)
        session.commit()
        with page_statements() as seen:
            client.get("/charges")
        return len(seen)

    read()
    assert read() == read()
