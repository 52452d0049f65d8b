"""The emulator as its parts see it: what it was told at the start, what it knows, and its clock.

Events are made here, because everything that happens ends in one.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketplace.core import clock
from marketplace.payments.stripe_emulator.faults import Json
from marketplace.payments.stripe_emulator.store import Store, new_id
from marketplace.payments.stripe_emulator.webhooks import Courier

API_VERSION = "2026-10-28.endive"
HOLD_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the emulator is told at the start. An empty `api_key` lets any `sk_test_` key in.

    `fee_bp` is what is kept of charges, in basis points.
    """

    webhook_url: str = ""
    webhook_secret: str = ""
    api_key: str = ""
    public_url: str = ""
    retry_after_s: tuple[float, ...] = (0.5, 1, 2, 5, 15, 60)
    fee_bp: int = 60


class Outages:
    """Planned failures of API calls, taken one by one: a mode, and the path prefix it is for.

    "error" answers 500 and does nothing; "timeout" does nothing and says nothing; "lost" does it and says nothing.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._planned: list[tuple[str, str]] = []
        self._waiting = 0
        self._resets = 0

    def plan(self, mode: str, path: str, times: int) -> None:
        """Let the next `times` calls under `path` fail."""
        with self._changed:
            self._planned += [(mode, path)] * times

    def take(self, path: str) -> str:
        """Say which mode is planned for a call to `path`, and use it up; empty when none is."""
        with self._changed:
            for place, (mode, prefix) in enumerate(self._planned):
                if path.startswith(prefix):
                    del self._planned[place]
                    return mode
        return ""

    def hold(self) -> None:
        """Keep the caller waiting until a reset, or half a minute. It gives up earlier."""
        with self._changed:
            resets = self._resets
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._resets > resets, HOLD_S)
            self._waiting -= 1

    def wait_until_held(self, timeout_s: float) -> bool:
        """Whether a call is kept waiting, at the latest after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting > 0, timeout_s)

    def reset(self) -> None:
        """Plan nothing more and let go of those who wait."""
        with self._changed:
            self._planned.clear()
            self._resets += 1
            self._changed.notify_all()


class Emulator:
    """Store, courier, planned outages and clock."""

    def __init__(self, options: Options, store: Store) -> None:
        self.options = options
        self.store = store
        self.outages = Outages()
        self.base_url = options.public_url.rstrip("/")
        self.set_instant: datetime | None = None
        self.courier = Courier(
            options.webhook_url, options.webhook_secret, options.retry_after_s, self._note_delivery
        )

    def now(self) -> int:
        """The present second since 1970: the real one, or the one a test has set."""
        return int((self.set_instant or clock.now()).timestamp())

    def emit(self, kind: str, row: Json) -> Json:
        """Record that `kind` happened to `row`, as it is now, and have it delivered."""
        event = {
            "id": new_id("evt_"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": {"object": json.loads(json.dumps(public(row)))},
            "livemode": False,
            "pending_webhooks": 1 if self.options.webhook_url else 0,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.store.put("event", event)
        self.courier.send(event)
        return event

    def resume_deliveries(self) -> None:
        """Send what a stop left undelivered."""
        for event in reversed(list(self.store.newest_first("event"))):
            if event["pending_webhooks"]:
                self.courier.send(event)

    def _note_delivery(self, event_id: str) -> None:
        with self.store.lock:
            event = self.store.find("event", event_id)
            if event is not None and event["pending_webhooks"]:
                self.store.put("event", {**event, "pending_webhooks": 0})


def public(value: Any) -> Any:
    """A row as the API shows it: without the keys we keep for ourselves, which begin with "_"."""
    if isinstance(value, dict):
        return {key: public(item) for key, item in value.items() if not key.startswith("_")}
    return [public(item) for item in value] if isinstance(value, list) else value
