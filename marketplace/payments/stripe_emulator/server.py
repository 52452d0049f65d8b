"""The emulator as a running thing: store, courier and a small threaded web server on one port.

The server closes each connection after its answer; slow, and simple enough to stop cleanly, which is what
tests want.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from marketplace.payments.stripe_emulator import connect, sessions
from marketplace.payments.stripe_emulator.app import create_app
from marketplace.payments.stripe_emulator.emulator import Emulator, Options
from marketplace.payments.stripe_emulator.store import Store


class InProductionError(RuntimeError):
    """The emulator was about to start where real money moves."""


class QuietHandler(WSGIRequestHandler):
    """Answers without a line in the log for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class EmulatorServer:
    """A running emulator. Port 0 takes any free port; `base_url` says which. Use it in a `with` block or stop() it.

    Raises InProductionError where ENVIRONMENT is "production".
    """

    def __init__(
        self, options: Options, *, host: str = "127.0.0.1", port: int = 0, data: Path | None = None
    ) -> None:
        if os.environ.get("ENVIRONMENT", "").strip().lower() == "production":
            raise InProductionError("The Stripe emulator does not start in production.")
        self.emulator = Emulator(options, Store(data))
        app = create_app(self.emulator)
        try:
            self._server: BaseWSGIServer = make_server(
                host, port, app, threaded=True, request_handler=QuietHandler
            )
        except SystemExit:  # the port is taken; the library has said so
            self.emulator.store.close()
            raise
        self.base_url = f"http://{host}:{self._server.server_port}"
        self.emulator.base_url = self.emulator.base_url or self.base_url
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="stripe-emulator", daemon=True
        )

    def start(self) -> Self:
        """Answer requests and deliver messages, in the background."""
        self.emulator.courier.start(self._tick)
        self.emulator.resume_deliveries()
        self._thread.start()
        return self

    def _tick(self) -> None:
        sessions.expire_due(self.emulator)
        with self.emulator.store.lock:
            connect.verify_due(self.emulator)

    def stop(self) -> None:
        """Let go of callers kept waiting, finish the message on its way, and free the port."""
        self.emulator.outages.reset()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.emulator.courier.stop()
        self.emulator.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
