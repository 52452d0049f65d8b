"""The money of rejected goods: off the bill, or back to who paid; settlement, recomputation and checks agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.audit.recompute.run import recompute_everything
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Agreement
from marketplace.ordering.states import PartState
from marketplace.payments.models import Credit, LinkagePool, Payment, PaymentState, Settlement
from marketplace.payments.refunds.answers import agree_rejection, replace_rejected
from marketplace.payments.refunds.models import Refund, RefundedLine, RefundState
from marketplace.payments.refunds.rules import agree_refund, ask_refund
from marketplace.payments.rules import apply_payment, bill_accepted_parts
from marketplace.payments.settlement import settle_lines
from marketplace.procurement.receiving import rejections, rules
from marketplace.procurement.receiving.models import Inspection, Outcome
from marketplace.procurement.receiving.queries import units_off
from tests.conftest import HeldClock
from tests.factories.linkage import ContractFactory, PeriodFactory, weigh
from tests.factories.receiving import Delivery, arrived, arrived_at_home, reject
from tests.factories.refunds import asked
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at, beneficiary_policy
from tests.factories.trade import UNIT_G, Offer, lot_for, offer


def farmer(offered: Offer) -> Agreement:
    enrolment = EnrolmentFactory(cooperative=offered.cooperative)
    found: Agreement = ContractFactory(enrolment=enrolment)
    return found


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    """Oil at 50.00, a tenth of it for three farmers who delivered 3 : 1 : 6."""
    beneficiary_policy()
    cooperative = CooperativeFactory()
    PeriodFactory(cooperative=cooperative)
    found = offer(session, cooperative)
    for number, net_g in enumerate((3_000, 1_000, 6_000)):
        weigh(session, farmer(found), found.lot, slip_no=f"S{number}", net_g=net_g)
    return found


def bill_of(session: Session, delivery: Delivery) -> Payment:
    return session.scalars(select(Payment).where(Payment.part_id == delivery.part.id)).one()


def paid(session: Session, payment: Payment, clock: HeldClock) -> None:
    apply_payment(session, payment, paid_at=clock.now)
    settle_lines(session)


def held(session: Session, delivery: Delivery) -> dict[str, int]:
    """The balances that a bill and its rejection move, in fen."""
    cooperative_id = delivery.part.cooperative_id
    keys = {
        "card": AccountKey.clearing("card"),
        "bank": AccountKey.clearing("bank_transfer"),
        "escrow": AccountKey.escrow(cooperative_id),
        "cooperative": AccountKey.cooperative_payable(cooperative_id),
    }
    if delivery.unit:
        keys["owed"] = AccountKey.buyer_receivable(delivery.unit.id)
    found = balances(session, list(keys.values()))
    return {name: found[key] for name, key in keys.items()}


def credited(session: Session) -> list[int]:
    return list(session.scalars(select(Credit.amount_fen).order_by(Credit.household_id)))


def everything_agrees(session: Session) -> None:
    """`flask ledger verify` and `flask audit recompute` find nothing."""
    session.flush()
    assert [finding for result in run_checks(session, CHECKS) for finding in result.findings] == []
    assert recompute_everything(session).first == []


def test_a_part_rejected_and_later_part_refunded_bulk_line_settles_to_the_fen(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived(session, files, (offered, 40))
    rejection = reject(session, files, delivery, 3)
    assert bill_accepted_parts(session) == 0
    assert held(session, delivery)["owed"] == 0

    agree_rejection(session, delivery.manager, rejection)
    bill = bill_of(session, delivery)
    assert (bill.amount_fen, bill.state) == (185_000, PaymentState.OPEN)
    refund = session.scalars(select(Refund)).one()
    assert (refund.state, refund.amount_fen, refund.inspection_id) == (
        RefundState.REDUCED,
        15_000,
        rejection.id,
    )
    assert (refund.asked_by, refund.decided_by) == (delivery.receiver.user_id, delivery.manager.user_id)
    assert held(session, delivery) == {
        "card": 0,
        "bank": 0,
        "escrow": 185_000,
        "cooperative": 0,
        "owed": 185_000,
    }
    assert bill_accepted_parts(session) == 0

    paid(session, bill, clock)
    settlement = session.get_one(Settlement, delivery.line.id)
    assert (settlement.net_fen, settlement.pool_fen) == (185_000, 18_500)
    assert credited(session) == [5_550, 1_850, 11_100]
    everything_agrees(session)

    ask = ask_refund(
        session,
        delivery.receiver,
        part=delivery.part,
        quantities={delivery.line.public_no: 7},
        reason="开箱后发现渗漏",
        idempotency_key="seven-of-the-rest",
    )
    agree_refund(session, delivery.manager, ask)
    given = session.execute(
        select(RefundedLine.before_quantity, RefundedLine.after_quantity, RefundedLine.after_settlement)
    ).all()
    assert sorted(tuple(row) for row in given) == [(0, 3, False), (3, 10, True)]
    assert held(session, delivery) == {
        "card": 0,
        "bank": 150_000,
        "escrow": 0,
        "cooperative": 135_000,
        "owed": 0,
    }
    everything_agrees(session)


def test_a_returned_delivery_is_never_billed(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived(session, files, (offered, 10))
    agree_rejection(session, delivery.manager, reject(session, files, delivery, 10))
    assert (delivery.part.state, delivery.part.accepted_at) == (PartState.RETURNED, None)
    assert bill_accepted_parts(session) == settle_lines(session) == 0
    assert session.scalar(select(func.count()).select_from(Payment)) == 0
    assert session.scalar(select(func.count()).select_from(Refund)) == 0
    assert set(held(session, delivery).values()) == {0}
    everything_agrees(session)


def test_a_person_gets_back_what_was_rejected_the_way_it_was_paid(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived_at_home(session, files, (offered, 10))
    agree_rejection(session, delivery.manager, reject(session, files, delivery, 4))
    refund = session.scalars(select(Refund)).one()
    assert (refund.state, refund.amount_fen, refund.payment.state) == (
        RefundState.AGREED,
        20_000,
        PaymentState.PAID,
    )
    settle_lines(session)
    assert session.get_one(Settlement, delivery.line.id).net_fen == 30_000
    assert credited(session) == [900, 300, 1_800]
    assert held(session, delivery) == {"card": 30_000, "bank": 0, "escrow": 0, "cooperative": 27_000}
    everything_agrees(session)


def test_a_person_who_returns_everything_gets_everything_back(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived_at_home(session, files, (offered, 10))
    agree_rejection(session, delivery.manager, reject(session, files, delivery, 10))
    assert delivery.part.state is PartState.RETURNED
    assert session.scalars(select(Refund.amount_fen)).all() == [50_000]
    assert settle_lines(session) == 0
    assert set(held(session, delivery).values()) == {0}
    everything_agrees(session)


def test_replaced_units_credit_the_farmers_of_their_own_lot(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived(session, files, (offered, 10))
    rejection = reject(session, files, delivery, 4)
    session.refresh(offered.lot)
    offered.lot.received_g = offered.lot.committed_g
    session.flush()
    later = lot_for(session, offered, units=0, harvested_on=offered.lot.harvested_on)
    weigh(session, farmer(offered), later, slip_no="S9", net_g=5_000)
    rejections.replace_goods(session, delivery.manager, rejection, carrier="自送")
    rules.receive_goods(session, delivery.receiver, files, delivery.part)
    second = reject(session, files, delivery, 1)
    agree_rejection(session, delivery.manager, second)
    bill = bill_of(session, delivery)
    assert bill.amount_fen == 45_000
    paid(session, bill, clock)
    # 6 of 10 units are of the first lot, 4 were sent again from the second: 2,700 and 1,800 of 4,500
    pools = session.execute(
        select(LinkagePool.lot_id, LinkagePool.pool_fen).order_by(LinkagePool.lot_id)
    ).all()
    assert [tuple(pool) for pool in pools] == [(offered.lot.id, 2_700), (later.id, 1_800)]
    assert credited(session) == [810, 270, 1_620, 1_800]
    offered.lot.received_g = 60_000
    session.flush()
    everything_agrees(session)


def test_a_withdrawn_rejection_is_billed_whole(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived(session, files, (offered, 10))
    rejections.withdraw_rejection(
        session, delivery.receiver, reject(session, files, delivery, 3), reason="复检合格"
    )
    assert bill_accepted_parts(session) == 1
    assert bill_of(session, delivery).amount_fen == 50_000
    everything_agrees(session)


def test_goods_for_which_money_went_back_before_are_not_paid_back_twice(
    session: Session, files: FileStore, offered: Offer
) -> None:
    delivery = arrived_at_home(session, files, (offered, 4))
    refund = asked(session, delivery.receiver, delivery.part, 2)
    rejection = reject(session, files, delivery, 3)
    session.commit()
    with pytest.raises(Conflict) as refused:
        agree_rejection(session, delivery.manager, rejection)
    assert refused.value.code == "refunded_before"
    session.rollback()
    assert delivery.part.state is PartState.PART_REJECTED
    assert refund.state is RefundState.ASKED
    assert session.scalar(select(func.count()).select_from(RefundedLine)) == 0


def test_an_accepted_delivery_is_returned_later_as_a_refund(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    """The orderer asks, as the receiver may: returning accepted goods is the same request for both."""
    delivery = arrived(session, files, (offered, 10))
    rules.inspect_goods(session, delivery.receiver, files, delivery.part)
    orderer = actor_at(delivery.unit, Role.UNIT_ORDERER)
    agree_refund(session, delivery.manager, asked(session, orderer, delivery.part, 10))
    assert bill_of(session, delivery).state is PaymentState.CANCELLED
    assert set(held(session, delivery).values()) == {0}
    everything_agrees(session)


def test_the_check_finds_a_rejection_without_its_refund(
    session: Session, files: FileStore, offered: Offer, app: Flask
) -> None:
    delivery = arrived_at_home(session, files, (offered, 10))
    rejection = reject(session, files, delivery, 4)
    rejections.end_rejection(session, delivery.manager, rejection, reason="")
    [finding] = [
        finding
        for result in run_checks(session, CHECKS)
        if result.check.name == "rejections_are_refunded"
        for finding in result.findings
    ]
    assert finding.params == {
        "inspection": rejection.public_no,
        "rejected_fen": 20_000,
        "refunded_fen": 0,
    }


# --- a part of it sent again, the rest taken off ---


def sent_again(session: Session, delivery: Delivery, rejection: Inspection, units: int) -> None:
    replace_rejected(
        session, delivery.manager, rejection, units={delivery.line.public_no: units}, carrier="自送"
    )


def test_what_is_not_sent_again_comes_off_the_bill_and_credits_nobody(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    """Ten ordered, five rejected, three sent again from another lot and two taken off: eight are paid for, five of the
    first lot and three of the second."""
    delivery = arrived(session, files, (offered, 10))
    rejection = reject(session, files, delivery, 5)
    session.refresh(offered.lot)
    offered.lot.received_g = offered.lot.committed_g  # the first lot is sold out
    session.flush()
    later = lot_for(session, offered, units=0, harvested_on=offered.lot.harvested_on)
    weigh(session, farmer(offered), later, slip_no="S9", net_g=5_000)
    sent_again(session, delivery, rejection, 3)
    session.refresh(later)
    assert (rejection.outcome.outcome, later.committed_g) == (Outcome.SPLIT, 3 * UNIT_G)
    assert units_off(session, [delivery.part.id]) == {delivery.line.id: 2}
    rules.receive_goods(session, delivery.receiver, files, delivery.part)
    rules.inspect_goods(session, delivery.receiver, files, delivery.part)
    assert bill_accepted_parts(session) == 1
    bill = bill_of(session, delivery)
    assert (bill.amount_fen, delivery.part.fen_less(units_off(session, [delivery.part.id]))) == (
        40_000,
        40_000,
    )
    paid(session, bill, clock)
    pools = session.execute(
        select(LinkagePool.lot_id, LinkagePool.pool_fen).order_by(LinkagePool.lot_id)
    ).all()
    assert [tuple(pool) for pool in pools] == [(offered.lot.id, 2_500), (later.id, 1_500)]
    assert credited(session) == [750, 250, 1_500, 1_500]
    offered.lot.received_g = 60_000
    session.flush()
    everything_agrees(session)


def test_what_is_rejected_of_the_goods_sent_again_comes_off_as_well(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived(session, files, (offered, 10))
    sent_again(session, delivery, reject(session, files, delivery, 5), 3)
    rules.receive_goods(session, delivery.receiver, files, delivery.part)
    agree_rejection(session, delivery.manager, reject(session, files, delivery, 1))
    bill = bill_of(session, delivery)
    assert bill.amount_fen == 35_000
    amounts = list(session.scalars(select(Refund.amount_fen).order_by(Refund.id)))
    assert amounts == [10_000, 5_000]
    paid(session, bill, clock)
    assert session.get_one(Settlement, delivery.line.id).net_fen == 35_000
    everything_agrees(session)


@pytest.mark.parametrize("is_person", [True, False])
def test_a_delivery_of_which_nothing_is_kept_in_the_end_is_returned(
    session: Session, files: FileStore, offered: Offer, is_person: bool
) -> None:
    """All ten rejected, four sent again and rejected as well."""
    delivery = (arrived_at_home if is_person else arrived)(session, files, (offered, 10))
    sent_again(session, delivery, reject(session, files, delivery, 10), 4)
    rules.receive_goods(session, delivery.receiver, files, delivery.part)
    second = reject(session, files, delivery, 4)
    outcome = agree_rejection(session, delivery.manager, second)
    assert (outcome.outcome, delivery.part.state) == (Outcome.RETURNED, PartState.RETURNED)
    amounts = list(session.scalars(select(Refund.amount_fen).order_by(Refund.id)))
    assert amounts == ([30_000, 20_000] if is_person else [])
    assert set(held(session, delivery).values()) == {0}
    everything_agrees(session)


def test_a_person_gets_the_money_of_what_is_not_sent_again_at_once(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived_at_home(session, files, (offered, 10))
    sent_again(session, delivery, reject(session, files, delivery, 5), 3)
    refund = session.scalars(select(Refund)).one()
    assert (refund.state, refund.amount_fen) == (RefundState.AGREED, 10_000)
    assert held(session, delivery)["escrow"] == 40_000
    rules.receive_goods(session, delivery.receiver, files, delivery.part)
    rules.inspect_goods(session, delivery.receiver, files, delivery.part)
    settle_lines(session)
    assert session.get_one(Settlement, delivery.line.id).net_fen == 40_000
    everything_agrees(session)


@pytest.mark.parametrize(
    ("units", "code"), [({"": 6}, "units_again"), ({"": -1}, "units_again"), ({"": 0}, "nothing_again")]
)
def test_units_that_cannot_be_sent_again_change_nothing(
    session: Session, files: FileStore, offered: Offer, units: dict[str, int], code: str
) -> None:
    delivery = arrived(session, files, (offered, 10))
    rejection = reject(session, files, delivery, 5)
    number = delivery.line.public_no
    with pytest.raises(Refused) as refused:
        replace_rejected(session, delivery.manager, rejection, units={number: units[""]}, carrier="自送")
    assert (refused.value.code, refused.value.field) == (code, f"units-{number}")
    with pytest.raises(NotFound):
        replace_rejected(session, delivery.manager, rejection, units={"J-of-nobody": 1}, carrier="自送")
    with pytest.raises(NotFound):
        sent_again(session, replace(delivery, manager=delivery.receiver), rejection, 3)
    session.refresh(offered.lot)
    assert (delivery.part.state, rejection.outcome) == (PartState.PART_REJECTED, None)
    assert offered.lot.committed_g == 10 * UNIT_G
    assert session.scalar(select(func.count()).select_from(Refund)) == 0
