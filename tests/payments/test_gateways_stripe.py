"""The card channel against the emulator, through the provider's own library."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import stripe

from marketplace.payments.gateways.protocol import (
    BadSignature,
    EventKind,
    GatewayRefused,
    GatewayUnavailable,
    PaymentGateway,
    PaymentState,
    RefundState,
)
from marketplace.payments.gateways.stripe_gateway import StripeGateway
from tests.payments.stripe_world import API_KEY, SECRET, StripeWorld, order

PAID_AND_FAILED = (EventKind.PAID, EventKind.FAILED)


def signed(body: bytes, at: datetime, secret: str = SECRET) -> str:
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, int(at.timestamp()))


def test_the_card_channel_is_a_payment_gateway(stripe_emulator: StripeWorld):
    gateway: PaymentGateway = stripe_emulator.gateway()
    assert gateway.name == "stripe"


def test_a_channel_without_key_or_webhook_secret_does_not_start():
    for key, secret in (("", SECRET), (API_KEY, "")):
        with pytest.raises(ValueError, match="needs an API key"):
            StripeGateway(key, secret)


def test_an_opened_checkout_has_a_page_and_waits(stripe_emulator: StripeWorld):
    wanted = order()
    opened = stripe_emulator.gateway().open_checkout(wanted)
    assert opened.redirect_url == f"{stripe_emulator.base_url}/c/pay/{opened.provider_ref}"
    assert opened.expires_at == wanted.expires_at
    found = stripe_emulator.gateway().find_payment(opened.provider_ref)
    assert found.state is PaymentState.OPEN
    assert (found.reference, found.amount_fen, found.refunded_fen) == ("P-7K3Q9XW2M4", 12_345, 0)
    assert (found.payment_ref, found.paid_at, found.expires_at) == (None, None, wanted.expires_at)


def test_a_paid_checkout_sends_one_event_that_says_paid(stripe_emulator: StripeWorld):
    opened = stripe_emulator.gateway().open_checkout(order())
    intent = stripe_emulator.pay(opened.provider_ref)
    (paid,) = stripe_emulator.events(*PAID_AND_FAILED)
    assert paid.kind is EventKind.PAID
    assert paid.raw_type == "checkout.session.completed"
    assert (paid.reference, paid.amount_fen, paid.currency) == ("P-7K3Q9XW2M4", 12_345, "cny")
    assert (paid.provider_ref, paid.payment_ref) == (opened.provider_ref, intent["id"])
    found = stripe_emulator.gateway().find_payment(opened.provider_ref)
    assert (found.state, found.payment_ref) == (PaymentState.PAID, intent["id"])
    assert found.paid_at == paid.occurred_at


@pytest.mark.parametrize(
    ("means", "code"),
    [("pm_card_visa_chargeDeclined", "card_declined"), ("pm_card_chargeDeclinedExpiredCard", "expired_card")],
)
def test_a_declined_card_leaves_the_checkout_open_for_another(
    stripe_emulator: StripeWorld, means: str, code: str
):
    gateway = stripe_emulator.gateway()
    opened = gateway.open_checkout(order())
    assert stripe_emulator.pay(opened.provider_ref, means)["last_payment_error"]["code"] == code
    (failed,) = stripe_emulator.events(*PAID_AND_FAILED)
    assert (failed.kind, failed.reference, failed.amount_fen) == (EventKind.FAILED, "P-7K3Q9XW2M4", 12_345)
    assert gateway.find_payment(opened.provider_ref).state is PaymentState.OPEN
    stripe_emulator.pay(opened.provider_ref)
    assert gateway.find_payment(opened.provider_ref).state is PaymentState.PAID
    assert [event.kind for event in stripe_emulator.events(*PAID_AND_FAILED)] == [
        EventKind.FAILED,
        EventKind.PAID,
    ]


def test_an_abandoned_bank_confirmation_pays_nothing(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    opened = gateway.open_checkout(order())
    asking = stripe_emulator.pay(opened.provider_ref, "pm_card_authenticationRequired")
    assert asking["status"] == "requires_action"
    assert gateway.find_payment(opened.provider_ref).state is PaymentState.OPEN
    stripe_emulator.pay(opened.provider_ref, "pm_card_authenticationRequired", agree=False)
    (failed,) = stripe_emulator.events(*PAID_AND_FAILED)
    assert (failed.kind, failed.payment_ref) == (EventKind.FAILED, asking["id"])
    assert gateway.find_payment(opened.provider_ref).state is PaymentState.OPEN


def test_a_checkout_that_runs_out_says_so_and_cannot_be_paid(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    wanted = order()
    opened = gateway.open_checkout(wanted)
    stripe_emulator.set_clock(wanted.expires_at + timedelta(seconds=1))
    (expired,) = stripe_emulator.events(EventKind.EXPIRED, *PAID_AND_FAILED)
    assert (expired.kind, expired.reference) == (EventKind.EXPIRED, "P-7K3Q9XW2M4")
    assert expired.occurred_at == wanted.expires_at + timedelta(seconds=1)
    stripe_emulator.pay(opened.provider_ref)
    assert gateway.find_payment(opened.provider_ref).state is PaymentState.EXPIRED


def test_the_same_request_with_the_same_key_opens_one_checkout(stripe_emulator: StripeWorld):
    wanted = order()
    first = stripe_emulator.gateway().open_checkout(wanted)
    again = stripe_emulator.gateway().open_checkout(wanted)
    assert again == first
    assert len(stripe_emulator.client().v1.checkout.sessions.list().data) == 1


def test_another_amount_under_the_same_key_is_refused(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    gateway.open_checkout(order())
    with pytest.raises(GatewayRefused) as refused:
        gateway.open_checkout(order(amount_fen=12_346))
    assert refused.value.code == "idempotency_error"
    (only,) = stripe_emulator.client().v1.checkout.sessions.list().data
    assert only.amount_total == 12_345


@pytest.mark.parametrize("wrong", [{"amount_fen": 0}, {"amount_fen": 100_000_000}, {"success_url": "shop"}])
def test_what_the_provider_does_not_take_is_refused(stripe_emulator: StripeWorld, wrong: dict[str, object]):
    with pytest.raises(GatewayRefused):
        stripe_emulator.gateway().open_checkout(order(**wrong))
    assert stripe_emulator.client().v1.checkout.sessions.list().data == []


def test_a_checkout_cannot_last_ten_minutes_or_two_days(stripe_emulator: StripeWorld):
    for length in (timedelta(minutes=10), timedelta(days=2)):
        with pytest.raises(GatewayRefused) as refused:
            stripe_emulator.gateway().open_checkout(order(expires_at=datetime.now(UTC) + length))
        assert "expires_at" in refused.value.detail


def test_a_wrong_api_key_and_an_unknown_checkout_are_refused(stripe_emulator: StripeWorld):
    stranger = StripeGateway("sk_test_other", SECRET, api_base=stripe_emulator.base_url, retries=0)
    with pytest.raises(GatewayRefused) as refused:
        stranger.open_checkout(order())
    assert refused.value.code == "AuthenticationError"
    with pytest.raises(GatewayRefused) as refused:
        stripe_emulator.gateway().find_payment("cs_test_unknown")
    assert refused.value.code == "resource_missing"


def test_refunds_in_parts_never_give_back_more_than_was_paid(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    opened = gateway.open_checkout(order())
    payment = stripe_emulator.pay(opened.provider_ref)["id"]
    first = gateway.refund(payment, 2_345, "refund-1")
    assert (first.amount_fen, first.state, first.payment_ref) == (2_345, RefundState.DONE, payment)
    assert gateway.refund(payment, 2_345, "refund-1") == first
    with pytest.raises(GatewayRefused) as refused:
        gateway.refund(payment, 10_001, "refund-2")
    assert refused.value.code == "amount_too_large"
    assert gateway.find_payment(opened.provider_ref).refunded_fen == 2_345
    gateway.refund(payment, 10_000, "refund-3")
    with pytest.raises(GatewayRefused) as refused:
        gateway.refund(payment, 1, "refund-4")
    assert refused.value.code == "charge_already_refunded"
    refunded = stripe_emulator.events(EventKind.REFUNDED)
    assert [event.amount_fen for event in refunded] == [2_345, 12_345]
    assert {(event.reference, event.payment_ref) for event in refunded} == {("P-7K3Q9XW2M4", payment)}


def test_an_unpaid_checkout_has_nothing_to_refund(stripe_emulator: StripeWorld):
    opened = stripe_emulator.gateway().open_checkout(order())
    payment = stripe_emulator.pay(opened.provider_ref, "pm_card_visa_chargeDeclined")["id"]
    with pytest.raises(GatewayRefused):
        stripe_emulator.gateway().refund(payment, 1, "refund-1")
    assert stripe_emulator.events(EventKind.REFUNDED) == []


def test_an_outage_is_told_apart_from_a_refusal(stripe_emulator: StripeWorld):
    stripe_emulator.control("outages", mode="error")
    with pytest.raises(GatewayUnavailable) as unavailable:
        stripe_emulator.gateway().open_checkout(order())
    assert unavailable.value.status == 503
    assert "稍后再试" in str(unavailable.value)
    nobody_there = StripeGateway(API_KEY, SECRET, api_base="http://127.0.0.1:9", retries=0, timeout_s=1)
    with pytest.raises(GatewayUnavailable):
        nobody_there.open_checkout(order())


def test_the_library_tries_again_after_an_outage_with_the_same_key(stripe_emulator: StripeWorld):
    stripe_emulator.control("outages", mode="error")
    opened = stripe_emulator.gateway(retries=1).open_checkout(order())
    assert [row.id for row in stripe_emulator.client().v1.checkout.sessions.list().data] == [
        opened.provider_ref
    ]


def test_a_lost_answer_and_a_retry_open_one_checkout(stripe_emulator: StripeWorld):
    stripe_emulator.control("outages", mode="lost", path="/v1/checkout/sessions")
    wanted = order()
    with pytest.raises(GatewayUnavailable):
        stripe_emulator.gateway(timeout_s=0.3).open_checkout(wanted)
    stripe_emulator.wait_until_held()
    opened = stripe_emulator.gateway().open_checkout(wanted)
    assert [row.id for row in stripe_emulator.client().v1.checkout.sessions.list().data] == [
        opened.provider_ref
    ]


def test_a_lost_answer_and_a_retry_refund_once(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    opened = gateway.open_checkout(order())
    payment = stripe_emulator.pay(opened.provider_ref)["id"]
    stripe_emulator.control("outages", mode="lost", path="/v1/refunds")
    with pytest.raises(GatewayUnavailable):
        stripe_emulator.gateway(timeout_s=0.3).refund(payment, 5_000, "refund-1")
    stripe_emulator.wait_until_held()
    assert gateway.refund(payment, 5_000, "refund-1").amount_fen == 5_000
    assert gateway.find_payment(opened.provider_ref).refunded_fen == 5_000


def test_a_call_that_times_out_before_it_arrives_did_nothing(stripe_emulator: StripeWorld):
    stripe_emulator.control("outages", mode="timeout")
    with pytest.raises(GatewayUnavailable):
        stripe_emulator.gateway(timeout_s=0.3).open_checkout(order())
    stripe_emulator.wait_until_held()
    assert stripe_emulator.client().v1.checkout.sessions.list().data == []


def test_an_event_altered_forged_or_unsigned_is_not_read(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    stripe_emulator.pay(gateway.open_checkout(order()).provider_ref)
    stripe_emulator.deliveries()
    body, signature = stripe_emulator.inbox.messages[-1]
    assert gateway.read_event(body, signature).kind is EventKind.PAID
    forged = signed(body, datetime.now(UTC), "whsec_of_somebody_else")
    for payload, header in (
        (body.replace(b"12345", b"99999"), signature),
        (body, forged),
        (body, ""),
        (body, "t=,v1="),
        (body, "nonsense"),
        (body[:-1], signature),
        (b"\xff\xfe", signature),
    ):
        with pytest.raises(BadSignature) as bad:
            gateway.read_event(payload, header)
        assert (bad.value.code, bad.value.status) == ("bad_signature", 400)


def test_an_event_older_than_five_minutes_is_not_read(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    gateway.open_checkout(order())
    stripe_emulator.pay(gateway.open_checkout(order()).provider_ref)
    stripe_emulator.deliveries()
    body, _ = stripe_emulator.inbox.messages[-1]
    old = datetime.now(UTC) - timedelta(seconds=301)
    with pytest.raises(BadSignature, match="签名不正确"):
        gateway.read_event(body, signed(body, old))
    assert gateway.read_event(body, signed(body, old + timedelta(seconds=60))).kind is EventKind.PAID


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b"null", b'{"object": "event"}', b'{"object": "v2.core.event"}']
)
def test_a_signed_message_that_is_no_event_is_not_read(payload: bytes):
    gateway = StripeGateway(API_KEY, SECRET)
    with pytest.raises(BadSignature):
        gateway.read_event(payload, signed(payload, datetime.now(UTC)))


def test_an_event_of_somebody_elses_payment_has_no_reference():
    row = {
        "id": "cs_1",
        "object": "checkout.session",
        "payment_status": "unpaid",
        "amount_total": 5,
        "currency": "hkd",
    }
    event = {"id": "evt_1", "object": "event", "created": 1_790_000_000, "type": "checkout.session.completed"}
    body = json.dumps({**event, "data": {"object": row}}).encode()
    read = StripeGateway(API_KEY, SECRET).read_event(body, signed(body, datetime.now(UTC)))
    assert (read.kind, read.reference, read.currency) == (EventKind.OTHER, "", "hkd")
    assert read.occurred_at == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


def test_a_delayed_method_is_paid_when_its_money_comes():
    row = {
        "id": "cs_1",
        "object": "checkout.session",
        "payment_status": "paid",
        "amount_total": 5,
        "currency": "cny",
    }
    row |= {"client_reference_id": "P-1", "payment_intent": "pi_1"}
    for kind, meaning in (("succeeded", EventKind.PAID), ("failed", EventKind.FAILED)):
        raw = f"checkout.session.async_payment_{kind}"
        body = json.dumps(
            {"id": "evt_1", "object": "event", "created": 0, "type": raw, "data": {"object": row}}
        ).encode()
        read = StripeGateway(API_KEY, SECRET).read_event(body, signed(body, datetime.now(UTC)))
        assert (read.kind, read.reference, read.payment_ref) == (meaning, "P-1", "pi_1")


def test_wallets_are_offered_when_the_channel_has_them(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway(methods=("card", "alipay", "wechat_pay"))
    opened = gateway.open_checkout(order())
    session = stripe_emulator.client().v1.checkout.sessions.retrieve(opened.provider_ref)
    assert session.payment_method_types == ["card", "alipay", "wechat_pay"]
    assert stripe_emulator.pay(opened.provider_ref, "alipay")["status"] == "requires_action"
    assert stripe_emulator.pay(opened.provider_ref, "wechat_pay", agree=True)["status"] == "succeeded"
    assert gateway.find_payment(opened.provider_ref).state is PaymentState.PAID


def test_the_page_speaks_the_payers_language(stripe_emulator: StripeWorld):
    gateway = stripe_emulator.gateway()
    for locale, language in (("zh_CN", "zh"), ("en", "en")):
        wanted = replace(order(idempotency_key=locale), locale=locale)
        session = stripe_emulator.client().v1.checkout.sessions.retrieve(
            gateway.open_checkout(wanted).provider_ref
        )
        assert session.locale == language
