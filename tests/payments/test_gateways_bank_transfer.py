"""Bank transfer meets the same protocol with a code and with patience."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from marketplace.payments.gateways.bank_transfer import BankAccount, BankTransferGateway
from marketplace.payments.gateways.protocol import (
    BadSignature,
    GatewayRefused,
    PaymentGateway,
    PaymentState,
)
from marketplace.payments.gateways.remittance_codes import find_codes, is_code
from tests.payments.stripe_world import order

ACCOUNT = BankAccount("江西某某消费帮扶平台", "3600 0000 0000 0000", "某某银行南昌分行")


def channel() -> BankTransferGateway:
    return BankTransferGateway(ACCOUNT, "https://shop.example/payments/{code}/notice")


def test_bank_transfer_is_a_payment_gateway():
    gateway: PaymentGateway = channel()
    assert gateway.name == "bank_transfer"


def test_the_same_key_gives_the_same_code_and_another_key_another():
    opened = channel().open_checkout(order())
    assert is_code(opened.provider_ref)
    assert opened.redirect_url == f"https://shop.example/payments/{opened.provider_ref}/notice"
    assert channel().open_checkout(order()) == opened
    assert channel().open_checkout(order(idempotency_key="other")).provider_ref != opened.provider_ref


def test_the_notice_says_everything_a_cashier_needs():
    wanted = order(amount_fen=5_000_000, expires_at=datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    notice = channel().instructions(wanted)
    assert (notice.account, notice.amount_fen) == (ACCOUNT, 5_000_000)
    assert notice.due_on == date(2027, 1, 1)
    assert find_codes(notice.remark) == (notice.code,)
    assert notice.code == channel().open_checkout(wanted).provider_ref


def test_only_the_statement_knows_whether_a_transfer_came():
    code = channel().open_checkout(order()).provider_ref
    assert channel().find_payment(code).state is PaymentState.OPEN
    with pytest.raises(GatewayRefused):
        channel().find_payment("cs_test_1")


def test_refunds_and_messages_are_not_for_a_bank_transfer():
    with pytest.raises(GatewayRefused, match="网银退回") as refused:
        channel().refund("7K3Q9XW2", 100, "refund-1")
    assert refused.value.code == "refund_by_hand"
    with pytest.raises(BadSignature):
        channel().read_event(b"{}", "t=1,v1=2")
