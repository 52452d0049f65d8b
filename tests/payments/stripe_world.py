"""The Stripe emulator on a free port, and an inbox that catches the messages it sends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
import stripe

from marketplace.payments.gateways.protocol import CheckoutRequest, EventKind, GatewayEvent
from marketplace.payments.gateways.stripe_gateway import StripeGateway
from marketplace.payments.stripe_emulator.emulator import Options
from marketplace.payments.stripe_emulator.server import EmulatorServer

API_KEY = "sk_test_of_the_tests"
SECRET = "whsec_of_the_tests"
WAIT_S = 10
SHOP = "http://shop.example"


class Inbox:
    """Where webhooks arrive. `answers` are the next statuses to answer with; 200 when empty."""

    def __init__(self) -> None:
        self.answers: deque[int] = deque()
        self.messages: list[tuple[bytes, str]] = []
        self._changed = threading.Condition()
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(inbox._take(body, self.headers["Stripe-Signature"]))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/stripe"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def wait_for(self, count: int) -> list[tuple[bytes, str]]:
        """The messages, once there are `count` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.messages) >= count, WAIT_S), self.messages
            return list(self.messages)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, body: bytes, signature: str) -> int:
        with self._changed:
            self.messages.append((body, signature))
            self._changed.notify_all()
            return self.answers.popleft() if self.answers else 200


class StripeWorld:
    """A running emulator as a test sees it."""

    def __init__(self, base_url: str, inbox: Inbox | None) -> None:
        self.base_url = base_url
        self._inbox = inbox
        self.api_key = API_KEY
        self.webhook_secret = SECRET

    @property
    def inbox(self) -> Inbox:
        assert self._inbox is not None, "this emulator sends no messages"
        return self._inbox

    def gateway(
        self, *, timeout_s: float = WAIT_S, retries: int = 0, methods: tuple[str, ...] = ("card",)
    ) -> StripeGateway:
        return StripeGateway(
            API_KEY, SECRET, api_base=self.base_url, timeout_s=timeout_s, retries=retries, methods=methods
        )

    def client(self, *, retries: int = 0) -> stripe.StripeClient:
        return stripe.StripeClient(
            API_KEY, base_addresses={"api": self.base_url}, max_network_retries=retries
        )

    def control(self, path: str, /, **wish: object) -> Any:
        """Tell the emulator what to suffer: POST /_emulator/<path>."""
        answer = requests.post(f"{self.base_url}/_emulator/{path}", json=wish, timeout=WAIT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pay(self, session_id: str, means: str = "pm_card_visa", **wish: object) -> Any:
        """Pay without the page."""
        return self.control(f"sessions/{session_id}/pay", means=means, **wish)

    def wait_until_held(self) -> None:
        """Return once a call is kept waiting."""
        assert requests.get(f"{self.base_url}/_emulator/outages?held={WAIT_S}", timeout=2 * WAIT_S).json()[
            "held"
        ]

    def set_clock(self, at: datetime) -> None:
        """Hold the emulator's clock, for tests that hold ours; it judges `expires_at` and dates events."""
        self.control("clock", at=at.isoformat())

    def deliveries(self) -> list[dict[str, Any]]:
        """Every attempt to deliver, once none is on its way."""
        answer = requests.get(
            f"{self.base_url}/_emulator/deliveries?settled={WAIT_S}", timeout=2 * WAIT_S
        ).json()
        assert answer["settled"]
        return list(answer["deliveries"])

    def events(self, *kinds: EventKind) -> list[GatewayEvent]:
        """Every message delivered so far, verified and read; only those of `kinds` when given."""
        self.deliveries()
        gateway = self.gateway()
        read = [gateway.read_event(body, signature) for body, signature in self.inbox.messages]
        return [event for event in read if not kinds or event.kind in kinds]


@contextmanager
def running_emulator(**options: Any) -> Iterator[StripeWorld]:
    """An emulator and its inbox, both stopped at the end."""
    inbox = Inbox()
    try:
        wish = {"api_key": API_KEY, "retry_after_s": (0.01, 0.01, 0.01), **options}
        with EmulatorServer(Options(webhook_url=inbox.url, webhook_secret=SECRET, **wish)) as server:
            yield StripeWorld(server.base_url, inbox)
    finally:
        inbox.close()


def order(reference: str = "P-7K3Q9XW2M4", amount_fen: int = 12_345, **changes: Any) -> CheckoutRequest:
    """A payment of an order, to be opened."""
    fields: dict[str, Any] = {
        "reference": reference,
        "amount_fen": amount_fen,
        "description": "赣南脐橙 5kg × 2",
        "success_url": f"{SHOP}/pay/return?session={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{SHOP}/orders/7",
        "idempotency_key": f"open-{reference}",
        "expires_at": datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1),
    }
    return CheckoutRequest(**{**fields, **changes})
