"""Bank transfer: the payer remits from its own bank and writes a remittance code into the remark.

Nobody answers here: no firm opens a page or sends a message. Money shows only on the statement that a cashier
imports, so the same protocol is met with instructions to print, "open" for every question, and refunds made
by hand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from marketplace.core.clock import business_day
from marketplace.core.labels import N_
from marketplace.payments.gateways.balance import BalanceMove
from marketplace.payments.gateways.disputes import DisputeTold
from marketplace.payments.gateways.protocol import (
    BadSignature,
    CheckoutOpened,
    CheckoutRequest,
    GatewayEvent,
    GatewayRefused,
    OnlineMethod,
    PaymentFound,
    PaymentState,
    RefundMade,
)
from marketplace.payments.gateways.remittance_codes import DATA_BITS, code_of, display_code, is_code


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where transfers go."""

    payee: str
    account_no: str
    bank: str


@dataclass(frozen=True, slots=True)
class RemittanceInstructions:
    """What the payer's cashier needs, ready to print; `remark` goes into the transfer's remark field."""

    account: BankAccount
    amount_fen: int
    code: str
    remark: str
    due_on: date


class BankTransferGateway:
    """The bank channel. `instructions_url` is our page with the instructions; `{code}` in it is replaced."""

    name = "bank_transfer"
    methods: tuple[OnlineMethod, ...] = ()

    def __init__(self, account: BankAccount, instructions_url: str) -> None:
        self._account = account
        self._instructions_url = instructions_url

    def open_checkout(self, request: CheckoutRequest) -> CheckoutOpened:
        """Give the payment a remittance code; the same idempotency key gives the same code.

        Codes are 35 bits of the key's hash: keep `provider_ref` unique, and on a clash use another key.
        """
        digest = hashlib.sha256(request.idempotency_key.encode()).digest()
        code = code_of(int.from_bytes(digest[:8], "big") >> 64 - DATA_BITS)
        return CheckoutOpened(code, self._instructions_url.replace("{code}", code), request.expires_at)

    def instructions(self, request: CheckoutRequest) -> RemittanceInstructions:
        """Say what to print for the payment that `request` opened."""
        code = self.open_checkout(request).provider_ref
        due_on = business_day(request.expires_at)
        return RemittanceInstructions(self._account, request.amount_fen, code, display_code(code), due_on)

    def find_payment(self, provider_ref: str) -> PaymentFound:
        """Answer "open" always: only the bank statement tells. The amount is unknown here and given as 0."""
        if not is_code(provider_ref):
            raise GatewayRefused("not_a_remittance_code", provider_ref)
        return PaymentFound(PaymentState.OPEN, reference="", provider_ref=provider_ref, amount_fen=0)

    def close_checkout(self, provider_ref: str) -> PaymentFound:
        """Nothing can be closed at a bank: a transfer that comes all the same waits for a person."""
        return self.find_payment(provider_ref)

    def refund(self, payment_ref: str, amount_fen: int, idempotency_key: str) -> RefundMade:
        """Refuse: a cashier sends the money back through the bank and records it."""
        del idempotency_key
        message = N_("银行转账不能自动退款，请由财务人员通过网银退回并登记回单")
        raise GatewayRefused("refund_by_hand", f"{payment_ref}: {amount_fen} fen", message)

    def answer_dispute(self, ref: str, text: str, key: str) -> DisputeTold:
        """Refuse: a transfer is not disputed here."""
        raise GatewayRefused("no_disputes", f"{ref}: {len(text)} {key}")

    def accept_dispute(self, ref: str, key: str) -> DisputeTold:
        """Refuse: a transfer is not disputed here."""
        raise GatewayRefused("no_disputes", f"{ref}: {key}")

    def balance_moves(self, since: datetime, until: datetime) -> list[BalanceMove]:
        """Nothing: what a bank moved stands on the statements that the cashier imports."""
        del since, until
        return []

    def read_event(self, payload: bytes, signature: str) -> GatewayEvent:
        """Refuse: a bank sends no messages here, so whatever arrives is not from one."""
        raise BadSignature(f"bank transfers have no messages ({len(payload)} bytes signed {signature!r})")

    def reread_event(self, payload: bytes) -> GatewayEvent:
        """Refuse: none was ever stored."""
        raise BadSignature(f"bank transfers have no messages ({len(payload)} bytes)")
