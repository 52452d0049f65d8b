"""The emulator's connected accounts, transfers and payouts, through the provider's own library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests
import stripe

from marketplace.payments.gateways.protocol import EventKind
from tests.payments.stripe_world import StripeWorld, order

START = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)


def new_account(world: StripeWorld, stage: str = "verified") -> stripe.Account:
    account = world.client().v1.accounts.create(
        {"type": "express", "capabilities": {"transfers": {"requested": True}}}
    )
    if stage != "new":
        world.control(f"accounts/{account.id}", stage=stage)
    return account


def earn(world: StripeWorld, amount_fen: int = 10_000) -> str:
    """A charge of this sum; the fee is 0.6 percent."""
    gateway = world.gateway()
    opened = gateway.open_checkout(order(f"Y{amount_fen}", amount_fen))
    world.pay(opened.provider_ref)
    return str(gateway.find_payment(opened.provider_ref).payment_ref)


@pytest.mark.parametrize(
    ("stage", "transfers", "handed_in", "reason", "wanted"),
    [
        ("new", "inactive", False, "requirements.past_due", 3),
        ("submitted", "pending", True, "requirements.pending_verification", 0),
        ("verified", "active", True, None, 0),
        ("refused", "inactive", True, "rejected.other", 0),
        ("past_due", "inactive", True, "requirements.past_due", 1),
    ],
)
def test_what_an_account_shows_follows_from_its_stage(
    stripe_emulator: StripeWorld, stage: str, transfers: str, handed_in: bool, reason: str | None, wanted: int
):
    account = stripe_emulator.client().v1.accounts.retrieve(new_account(stripe_emulator, stage).id).to_dict()
    assert account["capabilities"] == {"transfers": transfers}
    assert (account["details_submitted"], account["payouts_enabled"]) == (handed_in, stage == "verified")
    assert account["requirements"]["disabled_reason"] == reason
    assert len(account["requirements"]["currently_due"]) == wanted
    assert not [name for name in account if name.startswith("_")]


def test_a_review_ends_by_itself_and_the_shop_is_told(stripe_emulator: StripeWorld):
    stripe_emulator.set_clock(START)
    account = new_account(stripe_emulator, "submitted")
    stripe_emulator.set_clock(START + timedelta(seconds=19))
    assert not stripe_emulator.client().v1.accounts.retrieve(account.id).payouts_enabled
    stripe_emulator.set_clock(START + timedelta(seconds=20))
    assert stripe_emulator.client().v1.accounts.retrieve(account.id).payouts_enabled
    told = stripe_emulator.events(EventKind.ACCOUNT)
    assert [event.provider_ref for event in told] == [account.id] * 3


def test_details_are_handed_in_once_through_a_link(stripe_emulator: StripeWorld):
    account = new_account(stripe_emulator, "new")
    link = stripe_emulator.client().v1.account_links.create(
        {
            "account": account.id,
            "refresh_url": "http://shop.example/again",
            "return_url": "http://shop.example/back",
            "type": "account_onboarding",
        }
    )
    page = requests.get(link.url, headers={"Accept-Language": "zh"}, timeout=5)
    assert (page.status_code, "开通收款账户" in page.text) == (200, True)
    assert "http://shop.example" in page.headers["Content-Security-Policy"]
    later = requests.post(link.url, data={"stage": "later"}, allow_redirects=False, timeout=5)
    assert (later.status_code, later.headers["Location"]) == (303, "http://shop.example/back")
    assert not stripe_emulator.client().v1.accounts.retrieve(account.id).details_submitted
    requests.post(link.url, data={"stage": "verified"}, allow_redirects=False, timeout=5)
    assert stripe_emulator.client().v1.accounts.retrieve(account.id).payouts_enabled
    again = requests.post(link.url, data={"stage": "refused"}, allow_redirects=False, timeout=5)
    assert again.status_code == 410
    assert stripe_emulator.client().v1.accounts.retrieve(account.id).payouts_enabled
    assert requests.get(link.url + "x", timeout=5).status_code == 410


def test_a_link_is_over_after_five_minutes_and_leads_to_a_new_one(stripe_emulator: StripeWorld):
    stripe_emulator.set_clock(START)
    account = new_account(stripe_emulator, "new")
    wish = {
        "account": account.id,
        "refresh_url": "http://shop.example/again",
        "return_url": "http://shop.example/back",
        "type": "account_onboarding",
    }
    link = stripe_emulator.client().v1.account_links.create(wish)  # type: ignore[arg-type]
    stripe_emulator.set_clock(START + timedelta(minutes=5))
    over = requests.get(link.url, allow_redirects=False, timeout=5)
    assert (over.status_code, over.headers["Location"]) == (303, "http://shop.example/again")
    for wrong in ({"type": "other"}, {"return_url": "nowhere"}, {"account": "acct_nobody"}):
        with pytest.raises(stripe.InvalidRequestError):
            stripe_emulator.client().v1.account_links.create({**wish, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", ["new", "submitted", "refused", "past_due"])
def test_no_money_goes_to_an_account_that_is_not_ready(stripe_emulator: StripeWorld, stage: str):
    earn(stripe_emulator)
    account = new_account(stripe_emulator, stage)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_emulator.client().v1.transfers.create(
            {"amount": 100, "currency": "cny", "destination": account.id}
        )
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    assert stripe_emulator.client().v1.transfers.list().data == []


def test_a_transfer_never_exceeds_the_balance_and_the_refusal_is_kept_under_its_key(
    stripe_emulator: StripeWorld,
):
    account, v1 = new_account(stripe_emulator), stripe_emulator.client().v1
    earn(stripe_emulator, 10_000)
    wish = {"amount": 9_941, "currency": "cny", "destination": account.id}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        v1.transfers.create(wish, {"idempotency_key": "k1"})  # type: ignore[arg-type]
    assert refused.value.code == "balance_insufficient"
    earn(stripe_emulator, 20_000)
    with pytest.raises(stripe.InvalidRequestError):  # the answer of the first call
        v1.transfers.create(wish, {"idempotency_key": "k1"})  # type: ignore[arg-type]
    sent = v1.transfers.create(wish, {"idempotency_key": "k2"})  # type: ignore[arg-type]
    (row,) = v1.balance_transactions.list({"source": sent.id}).data
    assert (row.amount, row.fee, row.type, row.reporting_category) == (-9_941, 0, "transfer", "transfer")


def test_a_reversal_takes_back_what_is_left_on_the_account(stripe_emulator: StripeWorld):
    account, v1 = new_account(stripe_emulator), stripe_emulator.client().v1
    earn(stripe_emulator)
    sent = v1.transfers.create({"amount": 900, "currency": "cny", "destination": account.id})
    back = v1.transfers.reversals.create(sent.id, {"amount": 300, "metadata": {"reference": "CH1"}})
    assert (back.amount, back.transfer) == (300, sent.id)
    (row,) = v1.balance_transactions.list({"source": back.id}).data
    assert (row.amount, row.type, row.reporting_category) == (300, "transfer_refund", "transfer_reversal")
    found = v1.transfers.retrieve(sent.id)
    assert (found.amount_reversed, found.reversed) == (300, False)
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        v1.transfers.reversals.create(sent.id, {"amount": 601})
    assert too_much.value.code == "amount_too_large"
    stripe_emulator.control(f"accounts/{account.id}", drain=True)
    with pytest.raises(stripe.InvalidRequestError) as empty:
        v1.transfers.reversals.create(sent.id, {"amount": 600})
    assert empty.value.code == "balance_insufficient"
    assert [one.id for one in v1.transfers.reversals.list(sent.id).data] == [back.id]
    told = stripe_emulator.events(EventKind.TRANSFERRED, EventKind.TRANSFER_REVERSED)
    assert [(event.raw_type, event.provider_ref, event.amount_fen) for event in told] == [
        ("transfer.created", sent.id, 900),
        ("transfer.reversed", sent.id, 300),
    ]


def test_a_payout_that_fails_is_on_the_balance_again(stripe_emulator: StripeWorld):
    v1 = stripe_emulator.client().v1
    earn(stripe_emulator)
    paid = v1.payouts.create({"amount": 5_000, "currency": "cny"})
    stripe_emulator.control(f"payouts/{paid.id}/fail")
    found = v1.payouts.retrieve(paid.id)
    assert (found.status, found.failure_code) == ("failed", "account_closed")
    rows = v1.balance_transactions.list({"source": paid.id}).data
    assert [(row.amount, row.type, row.reporting_category) for row in rows] == [
        (5_000, "payout_failure", "payout_reversal"),
        (-5_000, "payout", "payout"),
    ]
    assert [row.id for row in v1.payouts.list().data] == [paid.id]
