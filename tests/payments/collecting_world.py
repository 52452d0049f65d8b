"""A platform that collects: cooperatives that sell on line, their accounts with the emulator, and transfers to them."""

from __future__ import annotations

from datetime import timedelta

import stripe as library
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.actors import Actor
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balances
from marketplace.ledger.verify import CHECKS as LEDGER_CHECKS
from marketplace.ordering.models import Order
from marketplace.payments.collecting.account_rules import keep_told, question_about, request_account
from marketplace.payments.collecting.models import CooperativeTransfer, ProviderAccount, TransferReversal
from marketplace.payments.collecting.planning import plan_transfers
from marketplace.payments.collecting.sending import send_transfers
from marketplace.payments.collecting.verify import CHECKS
from marketplace.payments.gateways.protocol import CheckoutRequest
from marketplace.payments.gateways.stripe_connect import StripeCollector
from marketplace.payments.models import Payment
from marketplace.payments.notices import apply_notices, settle_lookup, take_notice
from marketplace.payments.refunds.sending import send_refunds
from marketplace.payments.rules import ask_card_payment, keep_checkout
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative
from tests.conftest import HeldClock
from tests.factories.refunds import deliverer
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import Offer, buy, deliver, offer, staff_buyer
from tests.payments.stripe_world import API_KEY, StripeWorld, order

PRICE_FEN = 5_000
OWN_SHARE_FEN = 4_500  # of a unit: a tenth of its price is the households'


def collector_of(stripe: StripeWorld, *, timeout_s: float = 10.0) -> StripeCollector:
    """The provider as the platform calls it."""
    return StripeCollector(API_KEY, api_base=stripe.base_url, timeout_s=timeout_s, retries=0)


class Market:
    """Two cooperatives that sell units at 50.00 yuan, a tenth of which belongs to one household each."""

    def __init__(self, session: Session, stripe: StripeWorld, clock: HeldClock) -> None:
        self.session, self.stripe, self.clock = session, stripe, clock
        stripe.set_clock(clock.now)
        self.collector = collector_of(stripe)
        self.goods = [self._offer() for _ in range(2)]
        self.buyer = staff_buyer()
        self.told = 0
        self.orders = 0
        session.commit()

    def _offer(self) -> Offer:
        made = offer(self.session, CooperativeFactory())
        deliverer(made.cooperative, made, 100_000)
        return made

    @property
    def cooperative(self) -> Cooperative:
        """The first one."""
        return self.goods[0].cooperative

    @property
    def manager(self) -> Actor:
        """Who manages the first one."""
        return actor_at(self.cooperative)

    def opened(self, place: int = 0) -> ProviderAccount:
        """An account at the provider, without details yet."""
        question = request_account(self.session, actor_at(self.goods[place].cooperative))
        self.session.commit()
        account = keep_told(self.session, question, question.put(self.collector))
        self.session.commit()
        return account

    def stage(self, account: ProviderAccount, stage: str) -> None:
        """The provider thinks otherwise of an account, and is asked."""
        self.stripe.control(f"accounts/{account.provider_ref}", stage=stage)
        question = question_about(account)
        keep_told(self.session, question, question.put(self.collector))
        self.session.commit()

    def ready(self, place: int = 0) -> ProviderAccount:
        """An account that money may be sent to."""
        account = self.opened(place)
        self.stage(account, "verified")
        return account

    def sells(self, units: int, place: int = 0, *, both: bool = False) -> Order:
        """An order paid on line, delivered and settled; of both cooperatives if so wished."""
        self.orders += 1
        session, key = self.session, f"order-number-{self.orders:04d}"
        goods = self.goods if both else [self.goods[place]]
        made = buy(session, self.buyer, *((one, units) for one in goods), key=key)
        self.pay(made, key)
        for part in made.parts:
            deliver(session, part, self.buyer)
        settle_lines(session)
        session.commit()
        return made

    def pay(self, made: Order, key: str) -> Payment:
        """Pay at the provider, and hear of it by asking."""
        session = self.session
        payment = ask_card_payment(session, self.buyer, order=made)
        assert payment.expires_at is not None
        gateway = self.stripe.gateway()
        opened = gateway.open_checkout(
            CheckoutRequest(
                payment.public_no,
                payment.amount_fen,
                key,
                "http://a.b/c",
                "http://a.b/c",
                key,
                payment.expires_at,
            )
        )
        keep_checkout(session, payment.id, opened)
        session.refresh(payment)
        self.stripe.pay(opened.provider_ref)
        return settle_lookup(session, payment, gateway.find_payment(opened.provider_ref))

    def fund(self, amount_fen: int = 1_000_000) -> None:
        """Other money on the platform's balance, so that fees leave enough."""
        gateway = self.stripe.gateway()
        opened = gateway.open_checkout(
            order(
                f"Y-OTHER-{self.orders}-{amount_fen}",
                amount_fen,
                expires_at=self.clock.now + timedelta(hours=1),
            )
        )
        self.stripe.pay(opened.provider_ref)

    def plan(self) -> int:
        """One pass of the planning job."""
        made = plan_transfers(self.session)
        self.session.commit()
        return made

    def send(self, collector: StripeCollector | None = None) -> int:
        """One pass of the sending job."""
        answered = send_transfers(self.session, collector or self.collector)
        self.session.commit()
        return answered

    def work(self) -> None:
        """Both jobs until nothing is left to do now."""
        while self.plan() + self.send():
            pass

    def hear(self, *, backwards: bool = False, twice: bool = False) -> None:
        """Take in every message of the provider since the last time."""
        self.stripe.deliveries()
        messages = self.stripe.inbox.messages[self.told :]
        self.told += len(messages)
        for body, signature in (messages[::-1] if backwards else messages) * (2 if twice else 1):
            take_notice(self.session, self.stripe.gateway(), payload=body, signature=signature)
        apply_notices(self.session)
        self.session.commit()
        self.session.expire_all()

    def refunds_go_back(self) -> None:
        """Agreed refunds are sent at the provider."""
        self.session.commit()
        send_refunds(self.session, self.stripe.gateway())
        self.session.commit()

    def transfers(self) -> list[CooperativeTransfer]:
        """Every transfer, in order."""
        self.session.expire_all()
        return list(self.session.scalars(select(CooperativeTransfer).order_by(CooperativeTransfer.id)))

    def reversals(self) -> list[TransferReversal]:
        """Every reversal, in order."""
        self.session.expire_all()
        return list(self.session.scalars(select(TransferReversal).order_by(TransferReversal.id)))

    def owed(self, place: int = 0) -> int:
        """What the ledger owes a cooperative itself."""
        key = AccountKey.cooperative_payable(self.goods[place].cooperative.id)
        return balances(self.session, [key])[key]

    def at_provider(self) -> list[tuple[str, int, int]]:
        """(our number, sent, taken back) of every transfer the provider made, the first one first."""
        rows = [row.to_dict() for row in self.client.v1.transfers.list({"limit": 100}).auto_paging_iter()]
        return [
            (row["metadata"]["reference"], row["amount"], row["amount_reversed"]) for row in reversed(rows)
        ]

    @property
    def client(self) -> library.StripeClient:
        """The provider's own library."""
        return self.stripe.client()

    def findings(self) -> list[str]:
        """What the checks of the ledger and of transfers find."""
        checks = run_checks(self.session, (*LEDGER_CHECKS, *CHECKS))
        return [str(finding) for result in checks for finding in result.findings]
