"""Messages that come twice, late, backwards, after a refused delivery: orders and ledger end as with clean ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry
from marketplace.ledger.queries import balances
from marketplace.ordering.models import OrderPart
from marketplace.payments.gateways.protocol import CheckoutRequest
from marketplace.payments.models import GatewayNotice, NoticeOutcome, Payment
from marketplace.payments.notices import apply_notices, take_notice
from marketplace.payments.refunds.models import Refund
from marketplace.payments.refunds.sending import send_refunds
from marketplace.payments.rules import ask_card_payment, keep_checkout
from marketplace.registry.models import Cooperative
from tests.conftest import HeldClock
from tests.factories.refunds import refunded
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import buy, offer, staff_buyer
from tests.payments.stripe_world import StripeWorld

ORDERS = 70
LEAST = 500


@dataclass
class Round:
    """Seventy orders of one cooperative, paid, declined, left or refunded, each in its way."""

    session: Session
    stripe: StripeWorld
    cooperative_id: int
    heard: int

    @classmethod
    def opened(cls, session: Session, stripe: StripeWorld) -> Round:
        cooperative: Cooperative = CooperativeFactory()
        gateway = stripe.gateway()
        goods, buyer = offer(session, cooperative, units=1_000), staff_buyer()
        for number in range(ORDERS):
            order = buy(session, buyer, (goods, 1 + number % 3), key=f"order-{cooperative.id}-{number}")
            payment = ask_card_payment(session, buyer, order=order)
            assert payment.expires_at is not None
            asked = CheckoutRequest(
                reference=payment.public_no,
                amount_fen=payment.amount_fen,
                description=order.public_no,
                success_url="http://shop.example/paid",
                cancel_url="http://shop.example/back",
                idempotency_key=payment.public_no,
                expires_at=payment.expires_at,
            )
            keep_checkout(session, payment.id, gateway.open_checkout(asked))
        owner_id = cooperative.id
        _forget(session)
        return cls(session, stripe, owner_id, len(stripe.inbox.messages))

    def payments(self) -> list[Payment]:
        """The payments in the order they were asked for."""
        own = select(OrderPart.order_id).where(OrderPart.cooperative_id == self.cooperative_id)
        query = select(Payment).where(Payment.order_id.in_(own)).order_by(Payment.id)
        return list(self.session.scalars(query))

    def pay(self) -> None:
        """Of each ten: one is left, one page expires, three succeed after a declined card, five at once."""
        refs = [payment.provider_ref for payment in self.payments()]
        _forget(self.session)
        for number, ref in enumerate(refs):
            assert ref is not None
            if number % 10 == 0:
                continue
            if number % 10 == 1:
                self.stripe.control(f"sessions/{ref}/expire")
                continue
            if number % 10 in {2, 3, 4}:
                self.stripe.pay(ref, "pm_card_visa_chargeDeclined")
            self.stripe.pay(ref)

    def refund(self) -> int:
        """Give back the whole of every fifth of those that were paid."""
        paid = [payment for payment in self.payments() if payment.paid_at is not None][::5]
        for payment in paid:
            order = payment.order
            refunded(self.session, order, order.parts[0].lines[0].quantity, key=f"back-{payment.public_no}")
        self.session.commit()
        sent, gateway = 0, self.stripe.gateway()
        while done := send_refunds(self.session, gateway):
            sent += done
            _forget(self.session)  # each pass of the job is a transaction
        return sent

    def take(self, messages: Sequence[tuple[bytes, str]], *, apply_every: int) -> None:
        """Store messages in the order they came, and apply what waits after every few of them."""
        gateway = self.stripe.gateway()
        for number, (body, signature) in enumerate(messages):
            take_notice(self.session, gateway, payload=body, signature=signature)
            if number % apply_every == 0:
                apply_notices(self.session)
            if number % 50 == 0:
                _forget(self.session)
        while apply_notices(self.session):
            pass
        _forget(self.session)

    def fresh(self) -> list[tuple[bytes, str]]:
        """What came since the last time, once nothing is on its way."""
        self.stripe.deliveries()
        found = self.stripe.inbox.messages[self.heard :]
        self.heard += len(found)
        return found

    def end(self) -> dict[str, Any]:
        """Where each order and the money stand."""
        keys = AccountKey.escrow(self.cooperative_id), AccountKey.cooperative_payable(self.cooperative_id)
        found = balances(self.session, keys)
        entries = select(Entry.kind, func.count()).where(Entry.cooperative_id == self.cooperative_id)
        payments = self.payments()
        refunds = select(Refund.state).where(Refund.cooperative_id == self.cooperative_id).order_by(Refund.id)
        return {
            "payments": [(one.state, one.amount_fen, one.paid_at is not None) for one in payments],
            "orders": [one.order.parts[0].state for one in payments],
            "money": [found.get(key, 0) for key in keys],
            "entries": dict(self.session.execute(entries.group_by(Entry.kind)).all()),
            "refunds": list(self.session.scalars(refunds)),
        }


def _forget(session: Session) -> None:
    """Keep what was written, and start with empty hands: a worker's session is as short."""
    session.commit()
    session.expunge_all()


def clearing(session: Session) -> int:
    key = AccountKey.clearing("card")
    return balances(session, [key]).get(key, 0)


def test_five_hundred_webhooks_on_a_bad_day_end_as_on_a_good_one(
    session: Session, stripe_emulator: StripeWorld, clock: HeldClock
) -> None:
    stripe_emulator.set_clock(clock.now)
    clean = Round.opened(session, stripe_emulator)
    clean.pay()
    clean.take(clean.fresh(), apply_every=1)
    assert clean.refund() == 12
    clean.take(clean.fresh(), apply_every=1)
    good, good_fen = clean.end(), clearing(session)

    bad = Round.opened(session, stripe_emulator)
    stripe_emulator.inbox.answers.extend([500, 503] * 30)  # refused deliveries are tried again
    stripe_emulator.control("webhooks", hold=True, duplicate=250)
    bad.pay()
    stripe_emulator.control("webhooks", release="reverse")
    messages = bad.fresh()
    bad.take(messages, apply_every=7)
    stripe_emulator.control("webhooks", duplicate=20, delay_s=0.2)
    assert bad.refund() == 12
    late = bad.fresh()
    bad.take([*late, *messages[:100]], apply_every=3)  # and the first hundred once more

    assert len(messages) + len(late) >= LEAST
    assert bad.end() == good
    assert clearing(session) == 2 * good_fen
    queued = select(func.count()).where(GatewayNotice.outcome == NoticeOutcome.QUEUED)
    assert session.scalar(queued) == 0
