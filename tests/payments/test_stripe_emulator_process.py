"""The emulator as its own process, as `make run` and the demo start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from marketplace.payments.gateways.protocol import EventKind, GatewayUnavailable, PaymentState
from marketplace.payments.stripe_emulator.emulator import Options
from marketplace.payments.stripe_emulator.server import EmulatorServer, InProductionError
from tests.payments.stripe_world import API_KEY, SECRET, WAIT_S, Inbox, StripeWorld, order

TOP = Path(__file__).resolve().parents[2]
PROCESS_S = 60
MODULE = [sys.executable, "-m", "marketplace.payments.stripe_emulator", "--port", "0"]


@contextmanager
def process(inbox: Inbox, *arguments: str) -> Iterator[StripeWorld]:
    """The emulator's process, told to stop at the end; it must end well and say nothing on stderr."""
    wish = ["--webhook-url", inbox.url, "--webhook-secret", SECRET, "--api-key", API_KEY, *arguments]
    environment = {**os.environ, "ENVIRONMENT": "test"}
    with subprocess.Popen(
        [*MODULE, *wish], cwd=TOP, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        address = re.search(r"http://\S+", child.stdout.readline())
        try:
            assert address is not None
            yield StripeWorld(address[0], inbox)
        finally:
            child.send_signal(signal.SIGTERM)
            _, complaint = child.communicate(timeout=PROCESS_S)
        assert (child.returncode, complaint) == (0, "")


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


def test_a_payment_survives_a_restart(inbox: Inbox, tmp_path: Path):
    data = tmp_path / "stripe" / "journal.jsonl"
    with process(inbox, "--data", str(data)) as world:
        paid = world.gateway().open_checkout(order("P-1")).provider_ref
        unpaid = world.gateway().open_checkout(order("P-2")).provider_ref
        payment = world.pay(paid)["id"]
        world.deliveries()
    data.write_text(data.read_text(encoding="utf-8") + '["event", {"id": "evt_', encoding="utf-8")
    with process(inbox, "--data", str(data)) as world:
        gateway = world.gateway()
        assert gateway.find_payment(paid).state is PaymentState.PAID
        assert gateway.find_payment(unpaid).state is PaymentState.OPEN
        assert (
            gateway.open_checkout(order("P-1", expires_at=gateway.find_payment(paid).expires_at)).provider_ref
            == paid
        )
        gateway.refund(payment, 100, "refund-1")
        world.pay(unpaid)
        kinds = [event.kind for event in world.events(EventKind.PAID, EventKind.REFUNDED)]
        assert kinds == [EventKind.PAID, EventKind.REFUNDED, EventKind.PAID]
    assert "4242424242424242" not in data.read_text(encoding="utf-8")


def test_a_message_left_undelivered_is_sent_after_a_restart(inbox: Inbox, tmp_path: Path):
    data = tmp_path / "journal.jsonl"
    inbox.answers.extend([503])
    with process(inbox, "--data", str(data), "--retry-after", "600") as world:
        world.client().v1.accounts.create({"type": "express"})
        inbox.wait_for(1)
    with process(inbox, "--data", str(data)) as world:
        inbox.wait_for(2)
        (event,) = {event.event_id for event in world.events()}
        assert world.client().v1.events.retrieve(event).pending_webhooks == 0


def test_it_does_not_start_in_production(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(InProductionError):
        EmulatorServer(Options())
    refused = subprocess.run(MODULE, cwd=TOP, text=True, capture_output=True, timeout=PROCESS_S, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "does not start in production" in refused.stderr


def test_a_port_in_use_is_named_and_ends_the_start(inbox: Inbox, tmp_path: Path):
    port = inbox.url.rsplit(":")[-1].split("/")[0]
    wish = [*MODULE[:-1], port, "--data", str(tmp_path / "journal.jsonl")]
    taken = subprocess.run(wish, cwd=TOP, text=True, capture_output=True, timeout=PROCESS_S, check=False)
    assert (taken.returncode, taken.stdout) == (1, "")
    assert f"Port {port} is in use" in taken.stderr


def test_stopping_lets_go_of_a_call_kept_waiting():
    with ThreadPoolExecutor(1) as caller:
        with EmulatorServer(Options(api_key=API_KEY)) as server:
            world = StripeWorld(server.base_url, None)
            world.control("outages", mode="timeout")
            kept = caller.submit(world.gateway().find_payment, "cs_test_1")
            world.wait_until_held()
        assert isinstance(kept.exception(WAIT_S), GatewayUnavailable)
