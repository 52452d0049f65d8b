"""Guarantees over random histories of one scope: whatever comes in whatever order, the money is max(due, credited)."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy.orm import Session

from marketplace.core import clock as core_clock
from marketplace.core.clock import now
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.closing.verify import CHECKS
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.queries import net_credits
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory
from tests.factories.trade import Offer, offer, sell

DUE, LATER = date(2026, 6, 1), date(2026, 12, 1)
WITHIN_ONE_DATABASE = settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
HOUSEHOLDS = st.integers(0, 1)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("due"), HOUSEHOLDS, st.integers(1, 900)),
        st.tuples(st.just("due later"), HOUSEHOLDS, st.integers(1, 900)),
        st.tuples(st.just("sale"), st.integers(1, 3), st.just(0)),
        st.tuples(st.just("guarantee"), st.just(0), st.just(0)),
        st.tuples(st.just("payout"), HOUSEHOLDS, st.integers(0, 100)),
    ),
    max_size=9,
)
NUMBERS = count()


class World:
    """Two households of one lot, and what they ought to have."""

    def __init__(self, session: Session, offered: Offer, contracts: list[Agreement]) -> None:
        self.session, self.offered, self.contracts = session, offered, contracts
        self.scope = (Mechanism.CONTRACT_FARMING, offered.lot.id, None)
        self.due, self.guaranteed, self.paid, self.money = [0, 0], [0, 0], [0, 0], [0, 0]

    def happen(self, kind: str, who: int, much: int) -> None:
        """One event, and what must hold after it."""
        session = self.session
        if kind in {"due", "due later"}:
            due_on = DUE if kind == "due" else LATER
            EntitlementFactory(
                agreement=self.contracts[who], lot=self.offered.lot, amount_fen=much, due_on=due_on
            )
            self.due[who] += much if kind == "due" else 0
        elif kind == "sale":
            sell(session, self.offered, units=who, key=f"an-order-at-random-{next(NUMBERS)}")
            settle_lines(session)
        elif kind == "guarantee":
            post_due_guarantees(session)
            assert post_due_guarantees(session) == 0
            self.guaranteed = list(self.due)
        else:
            self.pay_out(who, much)
        distribute_pools(session)
        self.check()

    def pay_out(self, who: int, percent: int) -> None:
        """A part of the balance leaves as cash."""
        fen = self.balance(who) * percent // 100
        if not fen:
            return
        contract = self.contracts[who]
        payable = AccountKey.household_payable(contract.cooperative_id, contract.household_id)
        transfer = TransferDraft(payable, AccountKey.payout_clearing(contract.cooperative_id), fen)
        draft = EntryDraft(
            kind=EntryKind.PAYOUT_SENT,
            idempotency_key=f"payout-at-random:{next(NUMBERS)}",
            occurred_at=now(),
            transfers=(transfer,),
            subject=("agreement", contract.id),
        )
        post_entry(self.session, draft)
        self.paid[who] += fen

    def balance(self, who: int) -> int:
        """What is still owed to a household, in fen."""
        contract = self.contracts[who]
        key = AccountKey.household_payable(contract.cooperative_id, contract.household_id)
        return balances(self.session, [key])[key]

    def check(self) -> None:
        """The money is the larger of what was due when guaranteed and what is credited; it never shrinks."""
        credited = net_credits(self.session, [self.scope])[self.scope]
        for who, contract in enumerate(self.contracts):
            balance = self.balance(who)
            money = balance + self.paid[who]
            assert balance >= 0
            assert money == max(self.guaranteed[who], credited.get(contract.household_id, 0))
            assert money >= self.money[who]
            self.money[who] = money


@pytest.fixture
def arranged(session: Session, clock: HeldClock) -> tuple[Offer, list[Agreement]]:
    """Goods at 5.00 yuan a unit, a fifth of it for the lot, and two households that delivered."""
    cooperative = CooperativeFactory()
    offered = offer(
        session,
        cooperative,
        units=10_000,
        tiers=((1, 500),),
        terms={Mechanism.CONTRACT_FARMING: 2_000},
    )
    contracts = [ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative)) for _ in range(2)]
    return offered, contracts


@WITHIN_ONE_DATABASE
@given(events=EVENTS)
def test_money_in_a_scope_is_the_larger_of_due_and_credited_and_never_paid_twice(
    session: Session, arranged: tuple[Offer, list[Agreement]], events: list[tuple[str, Any, Any]]
) -> None:
    offered, contracts = arranged
    at = now()
    with core_clock.set_to(at), session.begin_nested() as example:
        world = World(session, offered, contracts)
        for kind, who, much in events:
            world.happen(kind, who, much)
        session.flush()
        assert [finding for result in run_checks(session, CHECKS) for finding in result.findings] == []
        example.rollback()
