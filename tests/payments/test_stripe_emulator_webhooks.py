"""Messages to the shop: signed, repeated until answered, and on bad days twice, late, forged or in the wrong order."""

from __future__ import annotations

import pytest
import requests

from marketplace.payments.gateways.protocol import BadSignature, EventKind
from marketplace.payments.stripe_emulator.emulator import Options
from marketplace.payments.stripe_emulator.server import EmulatorServer
from tests.payments.stripe_world import API_KEY, WAIT_S, StripeWorld, order, running_emulator

PAID_STORY = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]


def paid_in(world: StripeWorld, reference: str = "P-1") -> str:
    opened = world.gateway().open_checkout(order(reference))
    world.pay(opened.provider_ref)
    return opened.provider_ref


def types(world: StripeWorld) -> list[str]:
    return [event.raw_type for event in world.events()]


def test_a_payment_is_told_in_the_order_it_happened(stripe_emulator: StripeWorld):
    paid_in(stripe_emulator)
    assert types(stripe_emulator) == PAID_STORY
    assert [row["status"] for row in stripe_emulator.deliveries()] == [200] * 4


def test_a_message_is_sent_again_until_it_is_answered(stripe_emulator: StripeWorld):
    stripe_emulator.inbox.answers.extend([500, 404])
    stripe_emulator.client().v1.accounts.create({"type": "express"})
    attempts = stripe_emulator.deliveries()
    assert [(row["attempt"], row["status"]) for row in attempts] == [(1, 500), (2, 404), (3, 200)]
    assert len({event.event_id for event in stripe_emulator.events()}) == 1
    assert stripe_emulator.client().v1.events.list({"delivery_success": False}).data == []


def test_after_the_last_try_a_message_waits_for_somebody_to_send_it_again(stripe_emulator: StripeWorld):
    stripe_emulator.inbox.answers.extend([500] * 4)
    stripe_emulator.client().v1.accounts.create({"type": "express"})
    assert [row["status"] for row in stripe_emulator.deliveries()] == [500] * 4
    (missed,) = stripe_emulator.client().v1.events.list({"delivery_success": False}).data
    stripe_emulator.control(f"events/{missed.id}/resend")
    assert stripe_emulator.deliveries()[-1]["status"] == 200
    assert stripe_emulator.client().v1.events.list({"delivery_success": False}).data == []


def test_a_shop_that_is_down_is_noted_and_tried_again():
    with running_emulator(retry_after_s=()) as world:
        world.inbox.close()
        world.client().v1.accounts.create({"type": "express"})
        (attempt,) = world.deliveries()
        assert (attempt["status"], attempt["error"][:22]) == (0, "ConnectionRefusedError")


def test_a_message_can_come_twice(stripe_emulator: StripeWorld):
    stripe_emulator.control("webhooks", duplicate=4)
    paid_in(stripe_emulator)
    assert types(stripe_emulator) == [name for name in PAID_STORY for _ in range(2)]
    first, second = stripe_emulator.events(EventKind.PAID)
    assert first == second
    stripe_emulator.control(f"events/{first.event_id}/resend")
    assert stripe_emulator.events(EventKind.PAID) == [first] * 3


def test_messages_can_come_in_reverse(stripe_emulator: StripeWorld):
    stripe_emulator.control("webhooks", hold=True)
    paid_in(stripe_emulator)
    assert types(stripe_emulator) == []
    assert stripe_emulator.control("webhooks", release="reverse") == {"released": 4}
    assert types(stripe_emulator) == PAID_STORY[::-1]


def test_a_forged_message_is_sent_once_and_not_read(stripe_emulator: StripeWorld):
    stripe_emulator.inbox.answers.append(400)
    stripe_emulator.control("webhooks", forge=1)
    stripe_emulator.client().v1.accounts.create({"type": "express"})
    (attempt,) = stripe_emulator.deliveries()
    assert (attempt["forged"], attempt["status"]) == (True, 400)
    ((body, signature),) = stripe_emulator.inbox.messages
    with pytest.raises(BadSignature):
        stripe_emulator.gateway().read_event(body, signature)
    (event,) = stripe_emulator.client().v1.events.list({"delivery_success": False}).data
    stripe_emulator.control(f"events/{event.id}/resend")
    stripe_emulator.deliveries()
    assert stripe_emulator.gateway().read_event(*stripe_emulator.inbox.messages[1]).event_id == event.id


def test_a_delayed_message_is_overtaken_by_the_next(stripe_emulator: StripeWorld):
    stripe_emulator.control("webhooks", delay_s=0.3)
    paid_in(stripe_emulator)
    assert types(stripe_emulator) == [*PAID_STORY[1:], PAID_STORY[0]]


def test_without_an_address_nothing_is_sent_and_everything_can_be_asked():
    with EmulatorServer(Options(api_key=API_KEY)) as server:
        world = StripeWorld(server.base_url, None)
        paid_in(world)
        assert world.deliveries() == []
        assert [event.type for event in world.client().v1.events.list().data] == PAID_STORY[::-1]


def test_a_reset_forgets_everything(stripe_emulator: StripeWorld):
    session = paid_in(stripe_emulator)
    stripe_emulator.deliveries()
    stripe_emulator.control("reset")
    assert stripe_emulator.deliveries() == []
    assert stripe_emulator.client().v1.events.list().data == []
    url = f"{stripe_emulator.base_url}/_emulator/sessions/{session}/expire"
    assert requests.post(url, json={}, timeout=WAIT_S).status_code == 404


def test_controls_take_only_what_they_know_and_only_json(stripe_emulator: StripeWorld):
    url = f"{stripe_emulator.base_url}/_emulator/outages"
    assert requests.post(url, json={"mode": "flood"}, timeout=WAIT_S).status_code == 400
    assert requests.post(url, data={"mode": "error"}, timeout=WAIT_S).status_code == 415
