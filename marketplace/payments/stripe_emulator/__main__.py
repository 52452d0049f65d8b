"""`python -m marketplace.payments.stripe_emulator`: run the emulator as its own process until it is told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from marketplace.payments.stripe_emulator.emulator import Options
from marketplace.payments.stripe_emulator.server import EmulatorServer, InProductionError


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C. The exit status: 0, or 2 when it refuses to start."""
    wish = _parser().parse_args(arguments)
    options = Options(
        webhook_url=wish.webhook_url,
        webhook_secret=wish.webhook_secret,
        api_key=wish.api_key,
        public_url=wish.public_url,
        fee_bp=wish.fee_bp,
        retry_after_s=tuple(float(part) for part in wish.retry_after.split(",") if part),
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = EmulatorServer(options, host=wish.host, port=wish.port, data=wish.data)
    except (InProductionError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with server:
        sys.stdout.write(f"Stripe emulator on {server.base_url}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stripe_emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free port and prints it")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--webhook-url", default="", help="where signed events go; none are sent without it")
    parser.add_argument(
        "--webhook-secret",
        default=os.environ.get("STRIPE_WEBHOOK_SECRET", ""),
        help="signs the events; STRIPE_WEBHOOK_SECRET when not given",
    )
    parser.add_argument(
        "--api-key",
        default=os.environ.get("STRIPE_API_KEY", ""),
        help="the only key let in; STRIPE_API_KEY when not given; any sk_test_ key without either",
    )
    parser.add_argument("--public-url", default="", help="the address browsers reach it under, if another")
    parser.add_argument("--fee-bp", type=int, default=60, help="kept of each charge, in basis points")
    parser.add_argument("--retry-after", default="0.5,1,2,5,15,60", help="seconds between tries to deliver")
    parser.add_argument("--data", type=Path, help="a file that keeps everything over a restart")
    return parser


if __name__ == "__main__":
    sys.exit(main())
