"""A small cooperative in which anything may happen in any order, by the real rules and jobs.

Three households with an agreement under each of the six mechanisms, three kinds of goods, two linkage periods, bank
accounts. An event that the rules refuse changes nothing, and the history goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.core.files import FileStore
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.linkage.mechanisms.contract_farming.advances import record_advance
from marketplace.linkage.models import Agreement, LinkagePeriod, Mechanism
from marketplace.ordering.models import Order
from marketplace.payments.charges import collect_charges
from marketplace.payments.closing.rules import confirm_closing, prepare_closing
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.corrections.models import CorrectionKind
from marketplace.payments.corrections.rules import agree_correction, propose_correction
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.models import Settlement
from marketplace.payments.payouts.models import Payout, PayoutBatch, PayoutState
from marketplace.payments.payouts.rules import approve_batch, send_batch
from marketplace.payments.refunds.models import RefundedLine
from marketplace.payments.refunds.rules import agree_refund
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative, Household
from tests.conftest import START, HeldClock
from tests.factories.linkage import (
    CONTRACT_TERMS,
    AssetLeaseFactory,
    ContractFactory,
    EmploymentFactory,
    LeaseFactory,
    PeriodFactory,
    TrusteeshipFactory,
    attend,
    pay_rent,
    reap,
    receive_rent,
    weigh,
)
from tests.factories.refunds import asked, buyer_of
from tests.factories.registry import (
    KEY,
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    actor_at,
    beneficiary_policy,
)
from tests.factories.shares import StakeFactory, share_surplus
from tests.factories.trade import Offer, buy, deliver, offer, pay_by_card, staff_buyer
from tests.payments.payout_world import PayoutWorld, row
from tests.payments.test_corrections import county, ineligible

HOUSEHOLDS, GOODS = 3, 3
HALF_YEAR = date(2026, 7, 1)
M = Mechanism
OIL = {M.CONTRACT_FARMING: 1_000, M.LAND_TRANSFER: 333, M.EMPLOYMENT: 700} | {
    M.SHARE_COOPERATION: 250,
    M.ASSET_LEASE: 151,
}
CAKE = {M.CONTRACT_FARMING: 777, M.LAND_TRANSFER: 1_111, M.EMPLOYMENT: 1_003}
RICE = {M.PRODUCTION_TRUSTEESHIP: 2_000}
AGREED: dict[Mechanism, tuple[type, dict[str, Any]]] = {
    M.CONTRACT_FARMING: (
        ContractFactory,
        {"version__terms": {**CONTRACT_TERMS, "cap_bp": 5_000, "quota_g": 2_000, "bonus_share_bp": 1_000}},
    ),
    M.LAND_TRANSFER: (LeaseFactory, {}),
    M.EMPLOYMENT: (EmploymentFactory, {}),
    M.PRODUCTION_TRUSTEESHIP: (TrusteeshipFactory, {}),
    M.SHARE_COOPERATION: (StakeFactory, {}),
}
_worlds = count(1)
ANSWERS = {"paid": "成功", "failed": "失败", "unknown": "未知"}


@dataclass(frozen=True)
class Event:
    """Something that happens, by the name of a method of `HistoryWorld`, and with what."""

    name: str
    given: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"{self.name}{self.given}"


class HistoryWorld:
    """What one history after another happens to; of each nothing is left when the next `begin`s."""

    def __init__(self, session: Session, clock: HeldClock, files: FileStore) -> None:
        self.session, self.clock, self.files = session, clock, files
        self.number = next(_worlds)
        self.serial = count(1)
        self.cooperative: Cooperative = CooperativeFactory()
        clerk = actor_at(self.cooperative, Role.COOPERATIVE_CLERK)
        self.money = PayoutWorld(session, self.cooperative, actor_at(self.cooperative), clerk)
        self.period: LinkagePeriod = PeriodFactory(cooperative=self.cooperative, ends_on=HALF_YEAR)
        PeriodFactory(cooperative=self.cooperative, starts_on=HALF_YEAR, previous_ends_on=HALF_YEAR)
        self.goods = [self._goods(terms, price) for terms, price in ((OIL, 777), (CAKE, 10), (RICE, 1_234))]
        self.goods[2].lot.commodity = "稻谷"
        self.asset_no = f"ZC-2026-{self.number:03d}"
        self.agreements: list[dict[Mechanism, Agreement]] = [self._household(n) for n in range(HOUSEHOLDS)]
        beneficiary_policy()
        county()
        session.commit()
        self.begin()

    def begin(self, *, split: bool = False, late: bool = False) -> None:
        """Back to the first day. `late`: refunds of settled goods wait until `finish`, and go the other way round;
        `split`: a refund of several units is as many refunds of one."""
        self.session.rollback()
        self.clock.set_to(START)
        self.split, self.late = split, late
        self.orders: list[Order] = []
        self.batches: list[PayoutBatch] = []
        self.postponed: list[tuple[Order, tuple[int, ...]]] = []
        self.happened: list[str] = []

    def _goods(self, terms: dict[Mechanism, int], price_fen: int) -> Offer:
        return offer(self.session, self.cooperative, units=10_000, terms=terms, tiers=((1, price_fen),))

    def _household(self, number: int) -> dict[Mechanism, Agreement]:
        household: Household = HouseholdFactory()
        enrolment = EnrolmentFactory(cooperative=self.cooperative, household=household)
        self.session.refresh(household)
        self.money.households.append(household)
        self.money.account(household)
        rent = {
            "asset_no": self.asset_no,
            "lease_no": f"租字-{self.number}",
            "resolution_no": f"村议〔2026〕{self.number}号",
            "plan_weight": number + 1,
            "retain_bp": 3_000,
        }
        made = {key: factory(enrolment=enrolment, **fields) for key, (factory, fields) in AGREED.items()}
        return made | {M.ASSET_LEASE: AssetLeaseFactory(enrolment=enrolment, version__terms=rent)}

    # --- what may happen ---

    def happen(self, event: Event) -> None:
        """One event, a second after the last; what the rules refuse leaves everything as it was."""
        self.clock.advance(seconds=1)
        try:
            with self.session.begin_nested():
                getattr(self, event.name)(*event.given)
        except DomainError as refusal:
            self.happened.append(f"{event.name}: {refusal.code}")
        else:
            self.happened.append(event.name)

    def finish(self) -> None:
        """What was put off happens now, the last first, and every job has its pass."""
        while self.postponed:
            self.refund_of(*self.postponed.pop())
        self.sweep()

    def sale(self, *wanted: tuple[int, int]) -> None:
        """An order of one to three goods, paid, delivered and accepted."""
        buyer = staff_buyer()
        lines = [(self.goods[index], units) for index, units in wanted]
        order = buy(self.session, buyer, *lines, key=self._key("an-order"))
        pay_by_card(self.session, buyer, order)
        for part in order.parts:
            deliver(self.session, part, buyer)
        self.orders.append(order)

    def sweep(self) -> None:
        """Every job has its pass."""
        for job in (self.settle, self.distribute, self.guarantee, self.collect):
            job()

    def settle(self) -> None:
        settle_lines(self.session)

    def distribute(self) -> None:
        distribute_pools(self.session)

    def guarantee(self) -> None:
        post_due_guarantees(self.session)

    def collect(self) -> None:
        collect_charges(self.session)

    def days(self, number: int) -> None:
        """Time passes."""
        self.clock.advance(days=number)

    def slip(self, who: int, lot: int, net_g: int) -> None:
        contract = self.agreements[who][M.CONTRACT_FARMING]
        slip_no = f"S{next(self.serial)}"
        weigh(self.session, contract, self.goods[lot].lot, slip_no=slip_no, net_g=net_g, weighed_on=today())

    def rent(self, who: int, month: int) -> None:
        starts_on = date(2026, month, 1)
        ends_on = date(2026, month + 1, 1)
        pay_rent(self.session, self.agreements[who][M.LAND_TRANSFER], starts_on=starts_on, ends_on=ends_on)

    def work(self, who: int, minutes: int, lot: int | None, days_ago: int) -> None:
        attend(
            self.session,
            self.agreements[who][M.EMPLOYMENT],
            minutes=minutes,
            lot=None if lot is None else self.goods[lot].lot,
            worked_on=today() - timedelta(days=days_ago),
        )

    def yielded(self, who: int, actual_g: int) -> None:
        trusteeship = self.agreements[who][M.PRODUCTION_TRUSTEESHIP]
        reap(self.session, trusteeship, self.goods[2].lot, actual_g=actual_g, recorded_on=today())

    def village_rent(self, rent_fen: int) -> None:
        receive_rent(
            self.session,
            self.cooperative,
            rent_fen=rent_fen,
            asset_no=self.asset_no,
            receipt_no=f"SJ-{self.number}-{next(self.serial)}",
            received_on=today(),
        )

    def surplus(self, surplus_fen: int, base_bp: int) -> None:
        """The general meeting shares out the surplus of the first half year."""
        decided = {"meeting_on": today(), "surplus_fen": surplus_fen, "base_bp": base_bp}
        share_surplus(self.session, self.period, dealings_fen=10_000_000, **decided)

    def advance(self, who: int, amount_fen: int) -> None:
        record_advance(
            self.session,
            actor_at(self.cooperative),
            agreement=self.agreements[who][M.CONTRACT_FARMING],
            receipt_no=f"YF-{self.number}-{next(self.serial)}",
            amount_fen=amount_fen,
            given_on=today(),
        )

    def refund(self, index: int, units: tuple[int, ...]) -> None:
        """Units of the lines of an order, as far as they are left."""
        if not self.orders:
            return
        order = self.orders[index % len(self.orders)]
        if self.late and self._is_settled(order):
            self.postponed.append((order, units))
        else:
            self.refund_of(order, units)

    def refund_of(self, order: Order, units: Sequence[int]) -> None:
        lines = order.parts[0].lines
        query = select(RefundedLine.line_id, func.sum(RefundedLine.quantity)).group_by(RefundedLine.line_id)
        gone = dict(self.session.execute(query).all())
        wanted = [
            min(asked_for, line.quantity - int(gone.get(line.id, 0)))
            for asked_for, line in zip(units, lines, strict=False)
        ]
        wanted += [0] * (len(lines) - len(wanted))
        if not self.split:
            return self._refund(order, wanted)
        for position, number in reversed(list(enumerate(wanted))):
            for _ in range(number):
                self._refund(order, [int(place == position) for place in range(len(lines))])
        return None

    def _refund(self, order: Order, units: Sequence[int]) -> None:
        if any(units):
            key = self._key("a-refund")
            refund = asked(self.session, buyer_of(self.session, order), order.parts[0], *units, key=key)
            agree_refund(self.session, actor_at(self.cooperative), refund)

    def _is_settled(self, order: Order) -> bool:
        ids = [line.id for line in order.parts[0].lines]
        found = self.session.scalar(select(func.count()).where(Settlement.line_id.in_(ids)))
        return found == len(ids)

    def unfit(self, who: int) -> None:
        """The county finds that a household is none from the beginning of June on, and its credits are corrected."""
        household = ineligible(self.session, self.money.households[who].id)
        self._correct(CorrectionKind.INELIGIBLE, household)

    def merge(self, who: int, into: int) -> None:
        self._correct(CorrectionKind.MERGED, self.money.households[who], other=self.money.households[into])

    def part(self, who: int, into: int, share_bp: int) -> None:
        """A household splits, and another takes a share."""
        first, other = self.money.households[who], self.money.households[into]
        self._correct(CorrectionKind.SPLIT, first, other=other, share_bp=share_bp)

    def _correct(self, kind: CorrectionKind, household: Household, **fields: Any) -> None:
        proposed = propose_correction(
            self.session,
            county(),
            kind=kind,
            household=household,
            from_on=date(2026, 6, 1),
            reason="动态管理复核",
            **fields,
        )
        agree_correction(self.session, county(), proposed)

    def payout(self, minimum_fen: int, answers: tuple[str, ...]) -> None:
        """A batch of what is due goes to the bank, which answers some of it."""
        batch = self.money.prepare(key=self._key("a-batch"), minimum_fen=minimum_fen)
        approve_batch(self.session, self.money.manager, batch)
        self.batches.append(send_batch(self.session, KEY, self.files, batch))
        self.answer(answers)

    def answer(self, answers: tuple[str, ...]) -> None:
        """The bank answers what is still open of the last batch."""
        if not self.batches:
            return
        batch = self.batches[-1]
        states = (PayoutState.SENT, PayoutState.UNKNOWN)
        waiting = [payout for payout in self.money.payouts(batch) if payout.state in states]
        rows = [row(one, ANSWERS[word], "账号已销户") for one, word in zip(waiting, answers, strict=False)]
        if rows:
            self.money.answer(self.files, batch, *rows)

    def close(self) -> None:
        """Two people close the first half year."""
        prepared = prepare_closing(self.session, self.money.clerk, self.period)
        confirm_closing(self.session, self.money.manager, prepared)

    def _key(self, what: str) -> str:
        return f"{what}-of-world-{self.number}-{next(self.serial)}"

    # --- what it came to ---

    @property
    def household_ids(self) -> list[int]:
        """The households in the order they were made."""
        return [household.id for household in self.money.households]

    def payables(self) -> list[int]:
        """What each household has with the cooperative, in fen."""
        keys = [AccountKey.household_payable(self.cooperative.id, one) for one in self.household_ids]
        found = balances(self.session, keys)
        return [found[key] for key in keys]

    def confirmed(self) -> list[int]:
        """What the bank says each household got, in fen."""
        query = select(Payout.household_id, func.sum(Payout.amount_fen)).where(
            Payout.state == PayoutState.PAID, Payout.cooperative_id == self.cooperative.id
        )
        paid = dict(self.session.execute(query.group_by(Payout.household_id)).all())
        return [int(paid.get(one, 0)) for one in self.household_ids]
