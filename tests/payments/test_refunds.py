"""Refunds: what an agreed request moves, before and after the settlement, and what it refuses."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, DomainError, NotFound, Refused
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ledger.queries import balances, household_totals
from marketplace.ordering.models import LineLot
from marketplace.ordering.states import PartState
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.models import LinkagePool, Payment, PaymentState, Settlement
from marketplace.payments.queries import net_credits
from marketplace.payments.refunds.models import CreditReversal, Refund, RefundedLine, RefundState
from marketplace.payments.refunds.rules import agree_refund, ask_refund, decline_refund
from marketplace.payments.rules import apply_payment
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative
from tests.conftest import HeldClock
from tests.factories.refunds import asked, buyer_of, deliverer, refunded, shared_offer, standing
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import bill, buy, pay_by_card, sell, staff_buyer


def held(session: Session, cooperative: Cooperative) -> dict[str, int]:
    """The balances of the accounts a refund may move, in fen."""
    keys = {
        "card": AccountKey.clearing("card"),
        "escrow": AccountKey.escrow(cooperative.id),
        "cooperative": AccountKey.cooperative_payable(cooperative.id),
        "waiting": AccountKey.unallocated(cooperative.id),
    }
    found = balances(session, list(keys.values()))
    return {name: found[key] for name, key in keys.items()}


def entries(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Entry)) or 0


def test_partial_refunds_never_give_a_household_back_what_an_earlier_one_took(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, (first, second, third) = shared_offer(session, cooperative, 3, 1, 6)
    order = sell(session, offered, units=10)
    settle_lines(session)
    assert standing(session) == {first: 3, second: 1, third: 6}

    seen = [(3, 1, 6)]
    for units, key in ((4, "four"), (1, "one more"), (5, "the rest")):
        refunded(session, order, units, key=f"refund-{key}")
        now = standing(session)
        seen.append((now[first], now[second], now[third]))
    assert [sum(fen) for fen in seen] == [10, 6, 5, 0]
    for earlier, later in pairwise(seen):
        assert all(after <= before for before, after in zip(earlier, later, strict=True))
    assert held(session, cooperative) == {"card": 0, "escrow": 0, "cooperative": 0, "waiting": 0}


def test_a_refund_after_the_settlement_takes_the_credit_back(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, households = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    refund = refunded(session, order, 4)

    assert (refund.state, refund.amount_fen, refund.method) == (RefundState.AGREED, 40, refund.payment.method)
    assert held(session, cooperative) == {"card": 60, "escrow": 0, "cooperative": 54, "waiting": 0}
    [reversal] = session.scalars(select(CreditReversal)).all()
    assert (reversal.amount_fen, reversal.after_fen, reversal.relief_fen) == (4, 4, 0)
    entry = session.get_one(Entry, reversal.entry_id)
    settlement = session.scalars(select(Settlement)).one()
    assert (entry.kind, entry.reverses_entry_id, entry.reason) == (
        EntryKind.REFUND,
        settlement.entry_id,
        "到货有破损",
    )
    totals = household_totals(session, households)[households[0]]
    assert (totals.credited_fen, totals.relief_fen, totals.balance_fen) == (6, 0, 6)
    pool = session.scalars(select(LinkagePool)).one()
    scope = (pool.mechanism, pool.lot_id, None)
    assert net_credits(session, [scope]) == {scope: {households[0]: 6}}


def test_what_was_paid_out_is_borne_by_the_cooperative(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, [household] = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    payable = AccountKey.household_payable(cooperative.id, household)
    post_entry(
        session,
        EntryDraft(
            kind=EntryKind.PAYOUT_SENT,
            idempotency_key="a payout",
            occurred_at=clock.now,
            transfers=(TransferDraft(payable, AccountKey.payout_clearing(cooperative.id), 9),),
            subject=("payout", 1),
            cooperative_id=cooperative.id,
        ),
    )
    refunded(session, order, 4)

    totals = household_totals(session, [household])[household]
    assert (totals.credited_fen, totals.relief_fen, totals.paid_out_fen) == (6, 3, 9)
    assert totals.balance_fen == balances(session, [payable])[payable] == 0
    assert held(session, cooperative)["cooperative"] == 90 - 40 + 4 - 3
    assert session.scalars(select(CreditReversal.relief_fen)).one() == 3


def test_a_refund_before_the_settlement_settles_less(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, households = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    refunded(session, order, 4)
    assert held(session, cooperative) == {"card": 60, "escrow": 60, "cooperative": 0, "waiting": 0}

    assert settle_lines(session) == 1
    settlement = session.scalars(select(Settlement)).one()
    assert (settlement.net_fen, settlement.pool_fen) == (60, 6)
    assert standing(session) == {households[0]: 6}

    refunded(session, order, 6, key="the-other-units")
    assert standing(session) == {households[0]: 0}
    assert held(session, cooperative) == {"card": 0, "escrow": 0, "cooperative": 0, "waiting": 0}


def test_a_line_refunded_whole_before_the_settlement_never_settles(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, _ = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    refunded(session, order, 10)

    assert settle_lines(session) == 0
    assert session.scalars(select(Settlement)).all() == []
    assert held(session, cooperative) == {"card": 0, "escrow": 0, "cooperative": 0, "waiting": 0}


def test_a_waiting_pool_ends_at_the_same_fen_whichever_came_first(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, _ = shared_offer(session, cooperative)
    order = sell(session, offered, units=10)
    settle_lines(session)
    refunded(session, order, 4)
    assert held(session, cooperative) == {"card": 60, "escrow": 0, "cooperative": 54, "waiting": 6}

    households = [deliverer(cooperative, offered, weight).household_id for weight in (3, 1, 6)]
    assert distribute_pools(session) == 1
    late = [standing(session)[household] for household in households]
    assert held(session, cooperative) == {"card": 60, "escrow": 0, "cooperative": 54, "waiting": 0}

    other, early = shared_offer(session, CooperativeFactory(), 3, 1, 6)
    sold = sell(session, other, units=10, key="another-order-of-ten")
    settle_lines(session)
    refunded(session, sold, 4)
    assert [standing(session)[household] for household in early] == late


def test_a_pool_of_a_line_refunded_whole_is_not_shared_out(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, _ = shared_offer(session, cooperative)
    order = sell(session, offered, units=10)
    settle_lines(session)
    refunded(session, order, 10)
    deliverer(cooperative, offered, 1)

    assert distribute_pools(session) == 0
    assert held(session, cooperative) == {"card": 0, "escrow": 0, "cooperative": 0, "waiting": 0}


def test_what_a_unit_has_not_paid_yet_is_taken_off_its_bill(session: Session, clock: HeldClock) -> None:
    cooperative, unit = CooperativeFactory(), BuyerUnitFactory()
    offered, households = shared_offer(session, cooperative, 1)
    payment = bill(session, offered, 10, unit=unit)
    part = payment.part
    assert part is not None
    refund = asked(session, actor_at(unit, Role.UNIT_RECEIVER), part, 4)
    agree_refund(session, actor_at(cooperative), refund)

    owed = AccountKey.buyer_receivable(unit.id)
    assert (refund.state, payment.amount_fen) == (RefundState.REDUCED, 60)
    assert balances(session, [owed])[owed] == 60
    apply_payment(session, payment, paid_at=clock.now)
    settle_lines(session)
    assert balances(session, [owed])[owed] == 0
    assert standing(session) == {households[0]: 6}


def test_a_bill_refunded_whole_is_asked_no_more(session: Session, clock: HeldClock) -> None:
    cooperative, unit = CooperativeFactory(), BuyerUnitFactory()
    offered, _ = shared_offer(session, cooperative, 1)
    payment = bill(session, offered, 10, unit=unit)
    assert payment.part is not None
    refund = asked(session, actor_at(unit, Role.UNIT_ORDERER), payment.part, 10)
    agree_refund(session, actor_at(cooperative), refund)

    owed = AccountKey.buyer_receivable(unit.id)
    assert payment.state is PaymentState.CANCELLED
    assert balances(session, [owed])[owed] == 0
    assert held(session, cooperative)["escrow"] == 0


@pytest.mark.parametrize("state", [PartState.PLACED, PartState.CONFIRMED])
def test_a_part_that_was_never_shipped_is_called_off_whole(
    session: Session, clock: HeldClock, state: PartState
) -> None:
    cooperative = CooperativeFactory()
    offered, _ = shared_offer(session, cooperative, 1)
    buyer = staff_buyer()
    order = buy(session, buyer, (offered, 10))
    pay_by_card(session, buyer, order)
    order.parts[0].state = state
    session.flush()
    free = offered.lot.committed_g

    with pytest.raises(Refused, match="整单"):
        asked(session, buyer, order.parts[0], 4)
    refunded(session, order, 10)

    session.refresh(offered.lot)
    assert order.parts[0].state is PartState.CANCELLED
    assert (free, offered.lot.committed_g) == (session.scalars(select(LineLot.mass_g)).one(), 0)
    assert held(session, cooperative)["escrow"] == 0


# --- what is refused ---


def test_more_than_was_bought_is_refused(session: Session, clock: HeldClock) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    refunded(session, order, 7)
    for units in (4, -1, 0):
        with pytest.raises(Refused):
            asked(session, buyer_of(session, order), order.parts[0], units, key="too-many-of-them")
    assert session.scalar(select(func.count()).select_from(Refund)) == 1


def test_units_that_are_being_asked_back_are_not_asked_again(session: Session, clock: HeldClock) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    buyer = buyer_of(session, order)
    asked(session, buyer, order.parts[0], 7)
    with pytest.raises(Refused, match="最多还能申请退 3"):
        asked(session, buyer, order.parts[0], 4, key="another-request")
    assert session.scalar(select(func.count()).select_from(Refund)) == 1


def test_the_same_submission_twice_is_one_request(session: Session, clock: HeldClock) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    buyer = buyer_of(session, order)
    first = asked(session, buyer, order.parts[0], 2)
    assert asked(session, buyer, order.parts[0], 2) is first
    assert session.scalar(select(func.count()).select_from(Refund)) == 1


def test_nobody_asks_money_back_for_another_s_order(session: Session, clock: HeldClock) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    for actor in (staff_buyer(), actor_at(BuyerUnitFactory()), actor_at(offered.cooperative)):
        with pytest.raises(NotFound):
            asked(session, actor, order.parts[0], 1)
    assert session.scalar(select(func.count()).select_from(Refund)) == 0


def test_only_its_own_cooperative_decides_and_only_once(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, _ = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    refund = asked(session, buyer_of(session, order), order.parts[0], 2)
    before = entries(session)
    for other in (actor_at(CooperativeFactory()), buyer_of(session, order)):
        with pytest.raises(NotFound):
            agree_refund(session, other, refund)
        with pytest.raises(NotFound):
            decline_refund(session, other, refund, reason="签收时完好")
    with pytest.raises(Refused):
        decline_refund(session, actor_at(cooperative), refund, reason=" ")
    assert (refund.state, entries(session)) == (RefundState.ASKED, before)

    decline_refund(session, actor_at(cooperative), refund, reason="签收时完好")
    with pytest.raises(Conflict):
        agree_refund(session, actor_at(cooperative), refund)
    assert (refund.state, refund.note, entries(session)) == (RefundState.DECLINED, "签收时完好", before)


def test_nothing_is_asked_back_of_what_was_not_paid_or_has_no_reason(
    session: Session, clock: HeldClock
) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    buyer = staff_buyer()
    order = buy(session, buyer, (offered, 1))
    with pytest.raises(Conflict):
        asked(session, buyer, order.parts[0], 1)
    sold = sell(session, offered, units=2, key="the-second-order")
    own, [line] = buyer_of(session, sold), sold.parts[0].lines
    for quantities, reason in (({line.public_no: 1}, "  "), ({line.public_no: 1}, "长" * 301), ({}, "破损")):
        with pytest.raises(DomainError):
            ask_refund(
                session, own, part=sold.parts[0], quantities=quantities, reason=reason, idempotency_key="k"
            )
    with pytest.raises(NotFound):
        ask_refund(
            session, own, part=sold.parts[0], quantities={"J-0": 1}, reason="破损", idempotency_key="k"
        )
    assert session.scalar(select(func.count()).select_from(Refund)) == 0


@pytest.mark.parametrize(
    "change",
    [
        "after_quantity = 11, quantity = 11, amount_fen = 110",
        "before_quantity = 2, follows_quantity = 2, after_quantity = 6",
        "amount_fen = 41",
        "line_quantity = 99, after_quantity = 50, quantity = 50, amount_fen = 500",
    ],
)
def test_the_database_itself_refuses_a_unit_too_much(session: Session, clock: HeldClock, change: str) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    refunded(session, order, 4)
    second = asked(session, buyer_of(session, order), order.parts[0], 1, key="the-second-one")
    row = session.execute(select(RefundedLine.__table__)).mappings().one()
    values = dict(row) | {
        "refund_id": second.id,
        "before_quantity": 4,
        "follows_quantity": 4,
        "after_quantity": 8,
    }
    values |= {key: int(value) for key, value in (pair.split(" = ") for pair in change.split(", "))}
    del values["id"]
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(RefundedLine.__table__.insert(), [values])
    assert session.scalar(select(func.count()).select_from(RefundedLine)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"after_fen": 11, "amount_fen": 7},
        {"share_fen": 99, "after_fen": 50, "amount_fen": 46},
        {"before_fen": 2, "follows_fen": 2, "after_fen": 3},
        {"before_fen": 0, "follows_fen": None, "after_fen": 1},
        {"relief_fen": 5},
    ],
)
def test_the_database_itself_refuses_a_fen_too_much(
    session: Session, clock: HeldClock, change: dict[str, int | None]
) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    refunded(session, order, 4)
    row = session.execute(select(CreditReversal.__table__)).mappings().one()
    values = dict(row) | {"before_fen": 4, "follows_fen": 4, "after_fen": 5, "amount_fen": 1} | change
    del values["id"]
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(CreditReversal.__table__.insert(), [values])
    assert session.scalar(select(func.count()).select_from(CreditReversal)) == 1


@pytest.mark.parametrize("table", ["refund_line", "refunded_line", "credit_reversal"])
def test_what_was_refunded_cannot_be_rewritten(session: Session, clock: HeldClock, table: str) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    refunded(session, order, 4)
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text(f"DELETE FROM {table}"))
    assert session.scalars(select(Payment.state)).one() is PaymentState.PAID
