"""The emulator's API, called through Stripe's own library."""

from __future__ import annotations

import pytest
import requests
import stripe

from tests.payments.stripe_world import API_KEY, WAIT_S, StripeWorld, order

VERSION = "2026-10-28.endive"


def open_intent(world: StripeWorld, **changes: object) -> stripe.PaymentIntent:
    wish = {"amount": 9_900, "currency": "cny", **changes}
    return world.client().v1.payment_intents.create(wish)


def post(world: StripeWorld, path: str, data: dict[str, object], **headers: str) -> requests.Response:
    known = {"Authorization": f"Bearer {API_KEY}", **headers}
    return requests.post(f"{world.base_url}{path}", data=data, headers=known, timeout=WAIT_S)


# --- the gate ---


def test_a_call_without_a_key_with_a_wrong_one_or_with_a_live_one_is_refused(stripe_emulator: StripeWorld):
    for header in ("", "Bearer sk_test_wrong", "Bearer sk_live_of_the_tests", "Basic c2tfdGVzdF93cm9uZzo="):
        answer = post(stripe_emulator, "/v1/payment_intents", {}, Authorization=header)
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_the_key_may_come_as_a_user_name(stripe_emulator: StripeWorld):
    url = f"{stripe_emulator.base_url}/v1/events"
    assert requests.get(url, auth=(API_KEY, ""), timeout=WAIT_S).status_code == 200


def test_the_version_and_a_request_id_are_answered(stripe_emulator: StripeWorld):
    answer = post(stripe_emulator, "/v1/accounts", {}, **{"Stripe-Version": VERSION, "Idempotency-Key": "k1"})
    assert answer.headers["Stripe-Version"] == VERSION
    assert answer.headers["Idempotency-Key"] == "k1"
    assert answer.headers["Request-Id"].startswith("req_")


def test_an_unknown_path_is_an_error_of_the_same_shape(stripe_emulator: StripeWorld):
    answer = post(stripe_emulator, "/v1/customers", {})
    assert answer.status_code == 404
    assert "Unrecognized request URL (POST: /v1/customers)" in answer.json()["error"]["message"]


def test_an_unknown_parameter_is_refused_and_nothing_is_made(stripe_emulator: StripeWorld):
    for wrong in (
        {"colour": "red"},
        {"metadata[a][b]": "1"},
        {"amount": "12.5"},
        {"amount": "-1"},
        {"a]b": "1"},
    ):
        answer = post(stripe_emulator, "/v1/payment_intents", {"amount": 100, "currency": "cny", **wrong})
        assert answer.status_code == 400, wrong
    assert stripe_emulator.client().v1.events.list().data == []


def test_the_parameter_that_the_current_version_dropped_is_refused(stripe_emulator: StripeWorld):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        open_intent(stripe_emulator, payment_method_types=["card"])
    assert refused.value.code == "payment_method_types_no_longer_supported"


def test_metadata_has_bounds(stripe_emulator: StripeWorld):
    many = {f"metadata[k{number}]": "v" for number in range(51)}
    for wrong in (many, {f"metadata[{'k' * 41}]": "v"}, {"metadata[k]": "v" * 501}):
        assert post(stripe_emulator, "/v1/accounts", wrong).status_code == 400


# --- idempotency ---


def test_the_same_key_gives_the_same_answer_and_says_so(stripe_emulator: StripeWorld):
    wish: dict[str, object] = {"amount": 100, "currency": "cny"}
    first = post(stripe_emulator, "/v1/payment_intents", wish, **{"Idempotency-Key": "k1"})
    again = post(stripe_emulator, "/v1/payment_intents", wish, **{"Idempotency-Key": "k1"})
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(stripe_emulator.client().v1.events.list({"type": "payment_intent.created"}).data) == 1


def test_a_key_used_for_another_body_or_path_is_an_idempotency_error(stripe_emulator: StripeWorld):
    post(
        stripe_emulator,
        "/v1/payment_intents",
        {"amount": 100, "currency": "cny"},
        **{"Idempotency-Key": "k1"},
    )
    for path, wish in (("/v1/payment_intents", {"amount": 101, "currency": "cny"}), ("/v1/accounts", {})):
        answer = post(stripe_emulator, path, wish, **{"Idempotency-Key": "k1"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")


def test_a_decline_is_kept_under_its_key_and_a_misspelt_call_is_not(stripe_emulator: StripeWorld):
    intent = open_intent(stripe_emulator)
    wish: dict[str, object] = {"payment_method": "pm_card_visa_chargeDeclined"}
    path = f"/v1/payment_intents/{intent.id}/confirm"
    first, again = (post(stripe_emulator, path, wish, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, again.text) == (402, first.text)
    assert len(stripe_emulator.client().v1.events.list({"type": "charge.failed"}).data) == 1
    assert post(stripe_emulator, "/v1/accounts", {"oops": 1}, **{"Idempotency-Key": "k2"}).status_code == 400
    assert post(stripe_emulator, "/v1/accounts", {}, **{"Idempotency-Key": "k2"}).status_code == 200


def test_a_key_of_256_characters_is_too_long(stripe_emulator: StripeWorld):
    assert post(stripe_emulator, "/v1/accounts", {}, **{"Idempotency-Key": "k" * 256}).status_code == 400


# --- payment intents ---


def test_a_card_pays_and_the_charge_can_be_read(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    intent = open_intent(stripe_emulator, metadata={"reference": "P-1"}, description="宁红茶")
    assert (intent.status, intent.payment_method_types) == ("requires_payment_method", ["card"])
    paid = v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_unionpay"})
    assert (paid.status, paid.amount_received) == ("succeeded", 9_900)
    charge = v1.charges.retrieve(str(paid.latest_charge))
    assert (charge.amount, charge.paid, charge.metadata["reference"]) == (9_900, True, "P-1")
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "0005"
    assert [event.type for event in v1.events.list().data] == [
        "payment_intent.succeeded",
        "charge.succeeded",
        "payment_intent.created",
    ]


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_a_declined_card_raises_a_card_error(
    stripe_emulator: StripeWorld, card: str, code: str, decline_code: str
):
    with pytest.raises(stripe.CardError) as declined:
        open_intent(stripe_emulator, payment_method=card, confirm=True)
    assert declined.value.code == code
    assert declined.value.error is not None
    assert declined.value.error.decline_code == decline_code
    key = declined.value.error["payment_intent"]["id"]
    again = stripe_emulator.client().v1.payment_intents.retrieve(key)
    assert (again.status, again.amount_received) == ("requires_payment_method", 0)


@pytest.mark.parametrize(
    ("answer", "status"), [("agree", "succeeded"), ("refuse", "requires_payment_method")]
)
@pytest.mark.parametrize("means", ["alipay", "wechat_pay", "pm_card_authenticationRequired"])
def test_who_is_asked_may_confirm_or_give_up(
    stripe_emulator: StripeWorld, means: str, answer: str, status: str
):
    client = stripe_emulator.client()
    intent = open_intent(
        stripe_emulator, allowed_payment_method_types=["card", "alipay", "wechat_pay", "klarna"]
    )
    assert intent.payment_method_types == ["card", "alipay", "wechat_pay"]
    asked = client.v1.payment_intents.confirm(
        intent.id, {"payment_method": means, "return_url": "http://shop.example/back?order=7"}
    )
    assert asked.status == "requires_action"
    assert asked.next_action is not None
    action = asked.next_action.to_dict()
    how = action[action["type"]]
    reply = requests.post(
        how.get("url") or how["data"],
        data={"answer": answer},
        allow_redirects=False,
        timeout=WAIT_S,
    )
    outcome = "succeeded" if answer == "agree" else "failed"
    back = f"http://shop.example/back?order=7&payment_intent={intent.id}&redirect_status={outcome}"
    assert (reply.status_code, reply.headers["Location"]) == (303, back)
    assert client.v1.payment_intents.retrieve(intent.id).status == status


def test_a_wallet_needs_a_way_back(stripe_emulator: StripeWorld):
    intent = open_intent(stripe_emulator, allowed_payment_method_types=["alipay"])
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_emulator.client().v1.payment_intents.confirm(
            intent.id, {"payment_method_data": {"type": "alipay"}}
        )
    assert refused.value.param == "return_url"


def test_means_that_were_not_allowed_or_do_not_exist_are_refused(stripe_emulator: StripeWorld):
    intent = open_intent(stripe_emulator)
    for means in ("alipay", "pm_unknown"):
        with pytest.raises(stripe.InvalidRequestError):
            stripe_emulator.client().v1.payment_intents.confirm(intent.id, {"payment_method": means})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_emulator.client().v1.payment_intents.confirm(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"
    with pytest.raises(stripe.InvalidRequestError):
        open_intent(stripe_emulator, allowed_payment_method_types=["klarna"])


def test_a_paid_intent_is_neither_paid_again_nor_cancelled(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    intent = open_intent(stripe_emulator, payment_method="pm_card_visa", confirm=True)
    for call in (
        lambda: v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}),
        lambda: v1.payment_intents.cancel(intent.id),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            call()
        assert refused.value.code == "payment_intent_unexpected_state"
    assert len(v1.events.list({"type": "charge.succeeded"}).data) == 1


def test_a_cancelled_intent_cannot_be_paid(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    intent = open_intent(stripe_emulator)
    cancelled = v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError):
        v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})


def test_the_intent_of_a_checkout_is_left_to_its_page(stripe_emulator: StripeWorld):
    opened = stripe_emulator.gateway().open_checkout(order())
    intent = stripe_emulator.pay(opened.provider_ref, "pm_card_authenticationRequired")
    v1 = stripe_emulator.client().v1
    with pytest.raises(stripe.InvalidRequestError):
        v1.payment_intents.confirm(intent["id"], {"payment_method": "pm_card_visa"})
    with pytest.raises(stripe.InvalidRequestError):
        v1.payment_intents.cancel(intent["id"])


# --- checkout sessions, refunds, lists ---


def test_expiring_a_checkout_ends_it_and_its_intent(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    opened = stripe_emulator.gateway().open_checkout(order())
    intent = stripe_emulator.pay(opened.provider_ref, "pm_card_authenticationRequired")
    expired = v1.checkout.sessions.expire(opened.provider_ref)
    assert (expired.status, expired.url, expired.payment_status) == ("expired", None, "unpaid")
    assert v1.payment_intents.retrieve(intent["id"]).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        v1.checkout.sessions.expire(opened.provider_ref)
    assert len(v1.events.list({"type": "checkout.session.expired"}).data) == 1


def test_a_paid_checkout_cannot_be_expired(stripe_emulator: StripeWorld):
    opened = stripe_emulator.gateway().open_checkout(order())
    stripe_emulator.pay(opened.provider_ref)
    with pytest.raises(stripe.InvalidRequestError):
        stripe_emulator.client().v1.checkout.sessions.expire(opened.provider_ref)
    assert stripe_emulator.gateway().find_payment(opened.provider_ref).state == "paid"


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "subscription"},
        {"mode": ""},
        {"ui_mode": "embedded_page"},
        {"success_url": ""},
        {"success_url": "javascript:alert(1)"},
        {"client_reference_id": "x" * 201},
        {"line_items[0][quantity]": 0},
        {"line_items[0][price]": "price_1"},
        {"line_items[0][price_data][unit_amount]": 0},
        {"line_items[0][price_data][currency]": "yuan"},
        {"line_items[0][price_data][product_data][name]": ""},
        {"line_items[1][quantity]": 1},
        {"payment_intent_data[capture_method]": "manual"},
    ],
)
def test_a_checkout_that_stripe_would_refuse_is_refused(
    stripe_emulator: StripeWorld, wrong: dict[str, object]
):
    good = {
        "mode": "payment",
        "success_url": "http://shop.example/back",
        "line_items[0][quantity]": 2,
        "line_items[0][price_data][currency]": "CNY",
        "line_items[0][price_data][unit_amount]": 450,
        "line_items[0][price_data][product_data][name]": "广昌白莲",
    }
    assert post(stripe_emulator, "/v1/checkout/sessions", {**good, **wrong}).status_code == 400
    session = post(stripe_emulator, "/v1/checkout/sessions", good).json()
    assert (session["amount_total"], session["currency"], session["payment_intent"]) == (900, "cny", None)
    assert not [key for key in session if key.startswith("_")]


def test_lists_come_in_pages_the_newest_first(stripe_emulator: StripeWorld):
    client = stripe_emulator.client()
    opened = [
        stripe_emulator.gateway().open_checkout(order(idempotency_key=f"k{number}")).provider_ref
        for number in range(12)
    ]
    page = client.v1.checkout.sessions.list({"limit": 5})
    assert [row.id for row in page.data] == opened[:-6:-1]
    assert page.has_more
    assert [row.id for row in page.auto_paging_iter()] == opened[::-1]
    stripe_emulator.pay(opened[3])
    complete = client.v1.checkout.sessions.list({"status": "complete"})
    assert [row.id for row in complete.data] == [opened[3]]
    before = client.v1.checkout.sessions.list({"ending_before": opened[9]})
    assert [row.id for row in before.data] == [opened[11], opened[10]]
    for wrong in ({"limit": 0}, {"limit": 101}, {"starting_after": "cs_test_unknown"}):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.checkout.sessions.list(wrong)


def test_what_an_id_stands_for_is_shown_when_asked(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    opened = stripe_emulator.gateway().open_checkout(order())
    stripe_emulator.pay(opened.provider_ref)
    listed = v1.checkout.sessions.list({"expand": ["data.payment_intent.latest_charge"]}).data[0]
    assert isinstance(listed.payment_intent, stripe.PaymentIntent)
    assert isinstance(listed.payment_intent.latest_charge, stripe.Charge)
    for path in ("colour", "mode", "payment_intent.latest_charge.payment_intent.latest_charge.id"):
        with pytest.raises(stripe.InvalidRequestError):
            v1.checkout.sessions.retrieve(opened.provider_ref, {"expand": [path]})


def test_a_refund_without_an_amount_gives_back_what_is_left(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    intent = open_intent(stripe_emulator, payment_method="pm_card_visa", confirm=True)
    v1.refunds.create({"charge": str(intent.latest_charge), "amount": 900})
    rest = v1.refunds.create({"payment_intent": intent.id, "reason": "requested_by_customer"})
    assert (rest.amount, rest.status) == (9_000, "succeeded")
    assert v1.refunds.retrieve(rest.id).amount == 9_000
    assert [row.amount for row in v1.refunds.list({"payment_intent": intent.id}).data] == [9_000, 900]
    charge = v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (9_900, True)
    with pytest.raises(stripe.InvalidRequestError):
        v1.refunds.create({})


def test_transfers_reach_an_account_and_never_exceed_their_charge(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    account = v1.accounts.create(
        {"type": "express", "country": "HK", "capabilities": {"transfers": {"requested": True}}}
    )
    stripe_emulator.control(f"accounts/{account.id}", stage="verified")
    assert [row.id for row in v1.accounts.list().data] == [account.id]
    intent = open_intent(stripe_emulator, payment_method="pm_card_visa", confirm=True)
    charge = str(intent.latest_charge)
    sent = v1.transfers.create(
        {"amount": 9_000, "currency": "cny", "destination": account.id, "source_transaction": charge}
    )
    assert v1.transfers.retrieve(sent.id).amount == 9_000
    with pytest.raises(stripe.InvalidRequestError) as refused:
        v1.transfers.create(
            {"amount": 901, "currency": "cny", "destination": account.id, "source_transaction": charge}
        )
    assert refused.value.code == "insufficient_funds"
    assert [row.id for row in v1.transfers.list({"destination": account.id}).data] == [sent.id]


def test_events_are_found_by_type_and_by_delivery(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    open_intent(stripe_emulator, payment_method="pm_card_visa", confirm=True)
    stripe_emulator.deliveries()
    types = v1.events.list({"types": ["charge.succeeded", "payment_intent.created"]}).data
    assert [event.type for event in types] == ["charge.succeeded", "payment_intent.created"]
    assert len(v1.events.list({"delivery_success": True}).data) == 3
    assert v1.events.list({"delivery_success": False}).data == []
    event = v1.events.retrieve(types[0].id)
    assert (event.api_version, event.livemode, event.data.object["amount"]) == (VERSION, False, 9_900)
