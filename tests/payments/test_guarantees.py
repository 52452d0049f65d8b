"""Guarantees: in each scope a household's money is the larger of what is due and what is credited, and never twice."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Agreement
from marketplace.payments.closing.models import Direction, GuaranteePosting
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.closing.verify import CHECKS
from marketplace.payments.corrections.models import CorrectionKind
from marketplace.payments.corrections.rules import agree_correction, propose_correction
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Household, HouseholdStatusKind
from marketplace.registry.rules import record_status
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory
from tests.factories.trade import Offer, offer, sell

DUE = date(2026, 6, 19)


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    """A listing whose line of one unit, 50.00 yuan, gives 5.00 to the households of its lot."""
    return offer(session, CooperativeFactory(), units=1000)


def contract_at(offered: Offer, amount_fen: int, due_on: date = DUE) -> Agreement:
    """A household that delivered into the lot and is due `amount_fen` on `due_on`."""
    agreement: Agreement = ContractFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative))
    EntitlementFactory(agreement=agreement, lot=offered.lot, amount_fen=amount_fen, due_on=due_on)
    return agreement


def money_of(session: Session, agreement: Agreement) -> int:
    """The balance of the household with the cooperative, in fen."""
    key = AccountKey.household_payable(agreement.cooperative_id, agreement.household_id)
    return balances(session, [key])[key]


def postings(session: Session) -> list[tuple[Direction, int, int]]:
    """Direction, amount and standing after it of every guarantee posting, in order."""
    query = select(
        GuaranteePosting.direction, GuaranteePosting.amount_fen, GuaranteePosting.standing_after_fen
    )
    return [tuple(row) for row in session.execute(query.order_by(GuaranteePosting.id))]


def pay_out(session: Session, agreement: Agreement, fen: int) -> None:
    """Cash on its way to the household, as a payout posts it."""
    payable = AccountKey.household_payable(agreement.cooperative_id, agreement.household_id)
    transfer = TransferDraft(payable, AccountKey.payout_clearing(agreement.cooperative_id), fen)
    post_entry(
        session,
        EntryDraft(
            kind=EntryKind.PAYOUT_SENT,
            idempotency_key=f"test-payout:{agreement.id}:{fen}",
            occurred_at=now(),
            transfers=(transfer,),
            cooperative_id=agreement.cooperative_id,
            subject=("agreement", agreement.id),
        ),
    )


def test_nothing_is_guaranteed_before_the_due_day(session: Session, offered: Offer) -> None:
    contract = contract_at(offered, 2_000)
    assert post_due_guarantees(session) == 0
    assert (postings(session), money_of(session, contract)) == ([], 0)


def test_what_is_missing_on_the_due_day_is_posted_once(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    contract = contract_at(offered, 2_000)
    sell(session, offered, units=1)
    settle_lines(session)
    clock.advance(days=18)

    assert post_due_guarantees(session) == 1
    assert post_due_guarantees(session) == 0

    assert money_of(session, contract) == 2_000
    posting = session.scalars(select(GuaranteePosting)).one()
    assert (posting.due_fen, posting.credited_fen, posting.standing_before_fen) == (2_000, 500, 0)
    assert (posting.amount_fen, posting.standing_after_fen) == (1_500, 1_500)
    entry = session.get_one(Entry, posting.entry_id)
    assert (entry.kind, entry.subject_kind, entry.subject_id) == (EntryKind.GUARANTEE, "lot", offered.lot.id)
    cooperative = AccountKey.cooperative_payable(offered.cooperative.id)
    assert balances(session, [cooperative])[cooperative] == 5_000 - 500 - 1_500


def test_only_what_has_fallen_due_counts(session: Session, offered: Offer, clock: HeldClock) -> None:
    contract = contract_at(offered, 2_000)
    EntitlementFactory(agreement=contract, lot=offered.lot, amount_fen=9_000, due_on=date(2026, 12, 1))
    clock.advance(days=18)
    post_due_guarantees(session)
    assert money_of(session, contract) == 2_000


def test_a_later_credit_replaces_the_guarantee_in_the_same_transaction(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    contract = contract_at(offered, 800)
    clock.advance(days=18)
    post_due_guarantees(session)
    sell(session, offered, units=1, key="the-first-order-of-all")
    settle_lines(session)
    assert money_of(session, contract) == 800
    sell(session, offered, units=1, key="the-second-order-of-all")
    settle_lines(session)

    assert money_of(session, contract) == 1_000  # 10.00 credited is more than 8.00 due
    assert postings(session) == [
        (Direction.POSTED, 800, 800),
        (Direction.REDUCED, 500, 300),
        (Direction.REDUCED, 300, 0),
    ]
    assert post_due_guarantees(session) == 0


def test_a_guarantee_that_was_paid_out_in_cash_is_never_taken_back(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    contract = contract_at(offered, 800)
    clock.advance(days=18)
    post_due_guarantees(session)
    pay_out(session, contract, 800)
    sell(session, offered, units=1)
    settle_lines(session)
    assert money_of(session, contract) == 0  # 5.00 credited, 5.00 of the guarantee replaced, 8.00 in cash
    sell(session, offered, units=1, key="the-second-order-of-all")
    settle_lines(session)
    assert money_of(session, contract) == 200


def test_a_pool_that_waited_replaces_the_guarantee_when_it_is_shared_out(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    sell(session, offered, units=1)
    settle_lines(session)
    clock.advance(days=18)
    contract = contract_at(offered, 800)
    post_due_guarantees(session)
    distribute_pools(session)

    assert money_of(session, contract) == 800
    assert postings(session) == [(Direction.POSTED, 800, 800), (Direction.REDUCED, 500, 300)]


def test_several_lines_of_one_batch_replace_one_after_the_other(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    first, second = contract_at(offered, 1_200), contract_at(offered, 600)
    clock.advance(days=18)
    post_due_guarantees(session)
    for number in range(4):
        sell(session, offered, units=1, key=f"one-order-of-four-{number}")
    assert settle_lines(session) == 4

    # 20.00 credited two to one, to the fen as pools of 5.00 are: four times 3.33 and 1.67
    assert (money_of(session, first), money_of(session, second)) == (1_332, 668)
    standing = select(func.min(GuaranteePosting.standing_after_fen)).group_by(GuaranteePosting.household_id)
    assert session.scalars(standing).all() == [0, 0]


def test_reducing_many_lines_takes_a_fixed_number_of_statements(
    session: Session, offered: Offer, clock: HeldClock, statements: Any
) -> None:
    for _ in range(3):
        contract_at(offered, 90_000)
    clock.advance(days=18)
    post_due_guarantees(session)
    sell(session, offered, units=1, key="the-very-first-order")
    with statements() as few:
        settle_lines(session)
    for number in range(15):
        sell(session, offered, units=1, key=f"another-order-{number:04d}")
    with statements() as many:
        assert settle_lines(session) == 15
    assert len(many) <= len(few), "\n".join(s[:120].replace("\n", " ") for s in many)


def test_posting_many_guarantees_takes_a_fixed_number_of_statements(
    session: Session, offered: Offer, clock: HeldClock, statements: Any
) -> None:
    contract_at(offered, 2_000)
    clock.advance(days=18)
    with statements() as few:
        assert post_due_guarantees(session) == 1
    for _ in range(12):
        contract_at(offered, 2_000)
    with statements() as many:
        assert post_due_guarantees(session) == 12
    assert len(many) <= len(few), "\n".join(s[:120].replace("\n", " ") for s in many)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_fen": 900, "standing_after_fen": -100},  # below zero
        {"standing_before_fen": 700, "standing_after_fen": 600},  # not where the one before ended
        {"position": 2, "previous_position": 1},  # a position that is taken
        {"position": 4, "previous_position": 3},  # a gap
        {"amount_fen": 600, "standing_after_fen": 200},  # more than the credit
    ],
)
def test_the_database_keeps_the_chain_of_a_guarantee(
    session: Session, offered: Offer, clock: HeldClock, wrong: dict[str, Any]
) -> None:
    contract_at(offered, 1_300)
    clock.advance(days=18)
    post_due_guarantees(session)
    sell(session, offered, units=1)
    settle_lines(session)
    last = session.scalars(select(GuaranteePosting).where(GuaranteePosting.position == 2)).one()
    columns = [column.key for column in GuaranteePosting.__table__.columns if column.key != "id"]
    row = {name: getattr(last, name) for name in columns} | {
        "position": 3,
        "previous_position": 2,
        "standing_before_fen": 800,
        "amount_fen": 100,
        "standing_after_fen": 700,
    }
    with pytest.raises(DatabaseError), session.begin_nested():
        session.execute(insert(GuaranteePosting), [row | wrong])
    assert len(postings(session)) == 2


def test_what_was_guaranteed_cannot_be_rewritten(session: Session, offered: Offer, clock: HeldClock) -> None:
    contract_at(offered, 800)
    clock.advance(days=18)
    post_due_guarantees(session)
    with pytest.raises(DatabaseError, match="guarantee_posting"), session.begin_nested():
        session.execute(text("DELETE FROM guarantee_posting"))
    assert len(postings(session)) == 1


def test_what_an_ineligible_household_loses_replaces_the_guarantees_of_others(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    kept, gone = contract_at(offered, 400), contract_at(offered, 600)
    clock.advance(days=18)
    post_due_guarantees(session)
    sell(session, offered, units=1)
    settle_lines(session)
    assert (money_of(session, kept), money_of(session, gone)) == (400, 600)
    household = session.get_one(Household, gone.household_id)
    record_status(
        session,
        actor_with(Role.COUNTY_REVIEWER),
        household,
        status=HouseholdStatusKind.INELIGIBLE,
        valid_from=date(2026, 6, 1),
        reason="复核发现有商品房",
    )
    found = propose_correction(
        session,
        actor_with(Role.COUNTY_REVIEWER),
        kind=CorrectionKind.INELIGIBLE,
        household=household,
        from_on=date(2026, 6, 1),
        reason="动态管理复核",
    )
    agree_correction(session, actor_with(Role.COUNTY_REVIEWER), found)

    # 3.00 of the 5.00 pass on; they replace what still stood of the guarantee, 2.00, and 1.00 is more than due
    assert money_of(session, kept) == 500
    assert money_of(session, gone) == 300
    assert post_due_guarantees(session) == 0
    session.flush()
    assert [one for result in run_checks(session, CHECKS) for one in result.findings] == []
