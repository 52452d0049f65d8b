"""The courier: signs events, delivers them in the background, and tries again until it is answered with a 2xx.

Told to, it also does what happens on bad days: sends a message twice, out of order, late, or with a wrong
signature. A message with a wrong signature is sent once: it stands for a forger, and forgers get no second
delivery.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import http.client
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from marketplace.core import clock
from marketplace.payments.stripe_emulator.faults import Json

POST_TIMEOUT_S = 10
TICK_S = 1.0
LOG_LENGTH = 2_000


@dataclass(slots=True)
class Delivery:
    """One message on its way."""

    event_id: str
    kind: str
    body: bytes
    attempt: int = 0
    forged: bool = False


@dataclass(slots=True)
class BadDay:
    """What the next messages will suffer."""

    duplicate: int = 0
    forge: int = 0
    delay_s: float = 0.0
    hold: bool = False


def signature_header(body: bytes, secret: str, at_s: int) -> str:
    """The Stripe-Signature header: `t=` the second, `v1=` HMAC-SHA256 over "t.body"."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class Courier:
    """Delivers to one address. `on_delivered` hears each event id that was answered with a 2xx."""

    def __init__(
        self, url: str, secret: str, retry_after_s: tuple[float, ...], on_delivered: Callable[[str], None]
    ) -> None:
        self._url = url
        self._secret = secret
        self._retry_after_s = retry_after_s
        self._on_delivered = on_delivered
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, Delivery]] = []
        self._held: list[Delivery] = []
        self._number = itertools.count()
        self._in_flight = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.bad_day = BadDay()
        self.log: deque[Json] = deque(maxlen=LOG_LENGTH)

    def send(self, event: Json) -> None:
        """Have `event` delivered, suffering what was planned for the next one."""
        if not self._url:
            return
        body = json.dumps(event, ensure_ascii=False, indent=2).encode()
        delivery = Delivery(event["id"], event["type"], body)
        with self._changed:
            day = self.bad_day
            copies = 1
            if day.forge:
                day.forge, delivery.forged = day.forge - 1, True
            elif day.duplicate:
                day.duplicate, copies = day.duplicate - 1, 2
            delay_s, day.delay_s = day.delay_s, 0.0
            for _ in range(copies):
                if day.hold:
                    self._held.append(replace(delivery))
                else:
                    self._enqueue(replace(delivery), delay_s)

    def release(self, *, reverse: bool) -> int:
        """Send what was held, in order or the last first; hold no more. The number of messages."""
        with self._changed:
            held, self._held = self._held, []
            self.bad_day.hold = False
            for delivery in reversed(held) if reverse else held:
                self._enqueue(delivery, 0.0)
            return len(held)

    def wait_until_settled(self, timeout_s: float) -> bool:
        """True once nothing is queued or on its way (what is held does not count); False when time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._in_flight, timeout_s)

    def forget(self) -> None:
        """Drop everything queued, held and planned, and the log."""
        with self._changed:
            self._queue.clear()
            self._held.clear()
            self.log.clear()
            self.bad_day = BadDay()
            self._changed.notify_all()

    def start(self, tick: Callable[[], None]) -> None:
        """Start the background thread; it also calls `tick` about once a second."""
        self._thread = threading.Thread(target=self._run, args=(tick,), name="stripe-courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the message on its way, and stop."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _enqueue(self, delivery: Delivery, delay_s: float) -> None:
        heapq.heappush(self._queue, (time.monotonic() + delay_s, next(self._number), delivery))
        self._changed.notify_all()

    def _run(self, tick: Callable[[], None]) -> None:
        while not self._stopping:
            delivery = self._next()
            if delivery is None:
                tick()
                continue
            delivered = self._deliver(delivery)
            if delivered and not delivery.forged:
                self._on_delivered(delivery.event_id)
            with self._changed:
                if not delivered and not delivery.forged and delivery.attempt <= len(self._retry_after_s):
                    self._enqueue(delivery, self._retry_after_s[delivery.attempt - 1])
                self._in_flight = False
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """The next message that is due, marked as on its way; None after a while without one."""
        with self._changed:
            wait_s = min(TICK_S, self._queue[0][0] - time.monotonic()) if self._queue else TICK_S
            if wait_s > 0:
                self._changed.wait(wait_s)
            if self._stopping or not self._queue or self._queue[0][0] > time.monotonic():
                return None
            self._in_flight = True
            return heapq.heappop(self._queue)[2]

    def _deliver(self, delivery: Delivery) -> bool:
        delivery.attempt += 1
        at_s = int(clock.now().timestamp())
        secret = "forged" if delivery.forged else self._secret
        status, error = _post(self._url, delivery.body, signature_header(delivery.body, secret, at_s))
        self.log.append(
            {
                "event": delivery.event_id,
                "type": delivery.kind,
                "attempt": delivery.attempt,
                "forged": delivery.forged,
                "status": status,
                "error": error,
                "at": at_s,
            }
        )
        return 200 <= status < 300


def _post(url: str, body: bytes, signature: str) -> tuple[int, str]:
    """The status of one POST, or 0 and what went wrong."""
    address = urlsplit(url)
    make = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = make(address.hostname or "", address.port, timeout=POST_TIMEOUT_S)
    target = address.path + (f"?{address.query}" if address.query else "")
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature,
        "User-Agent": "Stripe/1.0 (emulator)",
    }
    try:
        connection.request("POST", target or "/", body, headers)
        return connection.getresponse().status, ""
    except (OSError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"
    finally:
        connection.close()
