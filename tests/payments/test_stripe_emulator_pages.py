"""The page on which a payer pays, as a browser without scripts sees it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests

from marketplace.payments.gateways.protocol import CheckoutOpened, EventKind, PaymentState
from marketplace.payments.stripe_emulator.card_form import passes_luhn
from marketplace.payments.stripe_emulator.cards import CARDS
from marketplace.payments.stripe_emulator.texts import EN, ZH
from tests.payments.stripe_world import SHOP, WAIT_S, StripeWorld, order

GOOD = {"method": "card", "number": "4242 4242 4242 4242", "expiry": "12/34", "cvc": "123"}
EVERY_METHOD = ("card", "alipay", "wechat_pay")


def opened_in(world: StripeWorld, **changes: Any) -> CheckoutOpened:
    return world.gateway(methods=EVERY_METHOD).open_checkout(order(**changes))


def send(url: str, **form: str) -> requests.Response:
    return requests.post(url, data=form, allow_redirects=False, timeout=WAIT_S)


def read(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, allow_redirects=False, timeout=WAIT_S)


def back_to_shop(opened: CheckoutOpened) -> str:
    return f"{SHOP}/pay/return?session={opened.provider_ref}"


def test_every_word_is_there_in_both_languages():
    assert ZH.keys() == EN.keys()


def test_every_known_card_has_a_right_check_digit_and_words_for_its_refusal():
    assert all(passes_luhn(card.number) for card in CARDS)
    assert all(card.decline_code in ZH or card.code in ZH for card in CARDS if card.code)


def test_the_page_says_that_it_is_a_test_what_is_due_and_for_what(stripe_emulator: StripeWorld):
    page = read(opened_in(stripe_emulator).redirect_url)
    assert page.status_code == 200
    for words in (
        "测试环境：不会产生真实付款",
        "¥123.45",
        "赣南脐橙 5kg × 2",
        "用支付宝支付",
        "用微信支付",
        f"{SHOP}/orders/7",
    ):
        assert words in page.text
    assert 'lang="zh-CN"' in page.text


def test_the_page_is_read_in_english_by_wish_and_by_order(stripe_emulator: StripeWorld):
    opened = opened_in(stripe_emulator)
    assert "Test environment: no real payment is made" in read(f"{opened.redirect_url}?lang=en").text
    assert (
        'lang="en"' in read(opened_in(stripe_emulator, locale="en", idempotency_key="en").redirect_url).text
    )


def test_the_page_needs_no_script_and_lets_forms_lead_back_to_the_shop(stripe_emulator: StripeWorld):
    page = read(opened_in(stripe_emulator).redirect_url)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"form-action 'self' {SHOP}" in policy
    for banned in ("<script", "<style", " style=", " onclick="):
        assert banned not in page.text
    css = read(f"{stripe_emulator.base_url}/c/static/checkout.css")
    assert css.headers["Content-Type"].startswith("text/css")


def test_a_good_card_leads_back_to_the_shop_with_the_session(stripe_emulator: StripeWorld):
    opened = opened_in(stripe_emulator)
    answer = send(opened.redirect_url, **GOOD)
    assert (answer.status_code, answer.headers["Location"]) == (303, back_to_shop(opened))
    assert stripe_emulator.gateway().find_payment(opened.provider_ref).state is PaymentState.PAID


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("4000000000000002", ZH["card_declined"]),
        ("4000000000000069", ZH["expired_card"]),
        ("4000000000009995", ZH["card_declined"]),
        ("4000000000000127", ZH["incorrect_cvc"]),
        ("4000000000000119", ZH["processing_error"]),
    ],
)
def test_a_declined_card_is_explained_and_another_may_be_tried(
    stripe_emulator: StripeWorld, number: str, words: str
):
    opened = opened_in(stripe_emulator)
    answer = send(opened.redirect_url, **{**GOOD, "number": number})
    assert answer.status_code == 402
    assert f'role="alert">{words}' in answer.text
    assert f'value="{number}"' in answer.text
    assert stripe_emulator.gateway().find_payment(opened.provider_ref).state is PaymentState.OPEN
    assert send(opened.redirect_url, **GOOD).headers["Location"] == back_to_shop(opened)


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("number", "4242 4242 4242 4241", ZH["bad_number"]),
        ("number", "", ZH["bad_number"]),
        ("number", "4242", ZH["bad_number"]),
        ("number", "４２４２x", ZH["bad_number"]),
        ("number", "4111 1111 1111 1111", ZH["not_a_test_number"]),
        ("expiry", "13/34", ZH["bad_expiry"]),
        ("expiry", "soon", ZH["bad_expiry"]),
        ("expiry", "01/26", ZH["past_expiry"]),
        ("cvc", "12", ZH["bad_cvc"]),
        ("cvc", "abc", ZH["bad_cvc"]),
    ],
)
def test_a_mistyped_field_says_so_beside_it_and_tries_nothing(
    stripe_emulator: StripeWorld, field: str, typed: str, words: str
):
    opened = opened_in(stripe_emulator)
    answer = send(opened.redirect_url, **{**GOOD, field: typed})
    assert answer.status_code == 422
    assert f'id="{field}-error">{words}' in answer.text
    found = stripe_emulator.gateway().find_payment(opened.provider_ref)
    assert (found.state, found.payment_ref) == (PaymentState.OPEN, None)


@pytest.mark.parametrize("expiry", ["12/34", "12/2034", "1 / 34", "1234", "１２／３４"])
def test_an_expiry_may_be_written_in_many_ways(stripe_emulator: StripeWorld, expiry: str):
    opened = opened_in(stripe_emulator)
    assert send(opened.redirect_url, **{**GOOD, "expiry": expiry}).status_code == 303


def test_a_bank_confirmation_can_be_given(stripe_emulator: StripeWorld):
    opened = opened_in(stripe_emulator)
    asked = send(opened.redirect_url, **{**GOOD, "number": "4000002500003155"})
    question = stripe_emulator.base_url + asked.headers["Location"]
    assert "银行验证" in read(question).text
    assert stripe_emulator.gateway().find_payment(opened.provider_ref).state is PaymentState.OPEN
    assert send(question, answer="agree").headers["Location"] == back_to_shop(opened)
    assert stripe_emulator.gateway().find_payment(opened.provider_ref).state is PaymentState.PAID
    assert read(question).headers["Location"] == back_to_shop(opened)
    assert send(question, answer="refuse").headers["Location"] == back_to_shop(opened)
    assert [event.kind for event in stripe_emulator.events(EventKind.PAID, EventKind.FAILED)] == [
        EventKind.PAID
    ]


def test_a_bank_confirmation_given_up_leads_back_to_the_page_with_the_reason(stripe_emulator: StripeWorld):
    opened = opened_in(stripe_emulator)
    asked = send(opened.redirect_url, **{**GOOD, "number": "4000002500003155"})
    back = send(stripe_emulator.base_url + asked.headers["Location"], answer="refuse")
    page = read(stripe_emulator.base_url + back.headers["Location"])
    assert ZH["payment_intent_authentication_failure"] in page.text
    assert send(opened.redirect_url, **GOOD).headers["Location"] == back_to_shop(opened)


@pytest.mark.parametrize(
    ("wallet", "title"), [("alipay", "支付宝付款确认"), ("wechat_pay", "微信支付付款确认")]
)
def test_a_wallet_asks_and_pays(stripe_emulator: StripeWorld, wallet: str, title: str):
    opened = opened_in(stripe_emulator)
    asked = send(opened.redirect_url, method=wallet)
    page = read(stripe_emulator.base_url + asked.headers["Location"])
    assert title in page.text
    assert 'src="data:image/svg+xml' in page.text
    answer = send(stripe_emulator.base_url + asked.headers["Location"], answer="agree")
    assert answer.headers["Location"] == back_to_shop(opened)


def test_a_wallet_the_shop_does_not_offer_is_not_taken(stripe_emulator: StripeWorld):
    opened = stripe_emulator.gateway().open_checkout(order())
    assert "支付宝" not in read(opened.redirect_url).text
    assert send(opened.redirect_url, method="alipay").status_code == 422


def test_pressing_the_button_ten_times_charges_once(stripe_emulator: StripeWorld):
    opened = opened_in(stripe_emulator)
    with ThreadPoolExecutor(10) as many:
        answers = list(many.map(lambda _: send(opened.redirect_url, **GOOD), range(10)))
    assert {answer.headers["Location"] for answer in answers} == {back_to_shop(opened)}
    charges = stripe_emulator.client().v1.events.list({"type": "charge.succeeded"}).data
    assert len(charges) == 1
    assert len(stripe_emulator.events(EventKind.PAID)) == 1


def test_a_paid_page_opened_again_says_paid(stripe_emulator: StripeWorld):
    opened = opened_in(stripe_emulator)
    stripe_emulator.pay(opened.provider_ref)
    page = read(opened.redirect_url)
    assert (page.status_code, "这笔订单已经付款" in page.text) == (200, True)
    assert back_to_shop(opened) in page.text


def test_a_page_that_ran_out_takes_no_card(stripe_emulator: StripeWorld):
    wanted = order()
    opened = stripe_emulator.gateway().open_checkout(wanted)
    asked = send(opened.redirect_url, **{**GOOD, "number": "4000002500003155"})
    stripe_emulator.set_clock(wanted.expires_at + timedelta(seconds=1))
    for page in (read(opened.redirect_url), send(opened.redirect_url, **GOOD)):
        assert page.status_code == 410
        assert "付款页面已过期" in page.text
    late = send(stripe_emulator.base_url + asked.headers["Location"], answer="agree")
    assert late.headers["Location"].startswith("/c/pay/")
    assert stripe_emulator.gateway().find_payment(opened.provider_ref).state is PaymentState.EXPIRED
    assert stripe_emulator.events(EventKind.PAID) == []


def test_an_unknown_page_is_a_404_with_words(stripe_emulator: StripeWorld):
    for path in ("/c/pay/cs_test_unknown", "/c/authorize/pi_unknown"):
        for answer in (read(stripe_emulator.base_url + path), send(stripe_emulator.base_url + path)):
            assert answer.status_code == 404
            assert "没有这个付款页面" in answer.text


def test_what_a_shop_writes_is_shown_as_text(stripe_emulator: StripeWorld):
    opened = opened_in(stripe_emulator, description="<b>井冈红米</b>")
    assert "&lt;b&gt;井冈红米&lt;/b&gt;" in read(opened.redirect_url).text
