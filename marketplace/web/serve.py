"""One process that starts the site on one machine and stops all of it: `flask serve`, behind `make run`.

Brings the database up to date, loads the demo into an empty one, then runs the web server, the job worker and the
card emulator as processes of their own. When one of them dies all stop. For production see README.md ("Production").
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import click
from flask import current_app
from sqlalchemy import create_engine, text

from config import Settings
from marketplace.core.schema import upgrade
from marketplace.web.jobs import current_jobs

FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")
EMULATOR = (sys.executable, "-m", "marketplace.payments.stripe_emulator")
WEBHOOK_PATH = "/webhooks/stripe"
FIRST_ROWS = 'SELECT 1 FROM "user_account" LIMIT 1'  # a database without accounts is empty
DEMO = ("demo", "load", "--scale", "small", "--seed", "7")
ACCOUNTS = ("demo", "accounts")
SEARCH = ("search", "build", "--if-absent")
START_SECONDS = 120
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Child:
    """A running part."""

    name: str
    process: subprocess.Popen[bytes]


def serve_everything(settings: Settings) -> None:
    """Run until Ctrl-C or SIGTERM. Exits with status 1 and the reason when a part dies or cannot start."""
    if settings.environment == "production":
        raise click.ClickException("flask serve is for one machine and the demo; in production run the parts")
    _refuse_taken_port(settings)
    upgrade(settings.database_url)
    current_jobs().be_silent()
    with _stopping() as stop:
        environment = _environment(settings)
        _prepare(settings, environment)
        children: list[Child] = []
        try:
            for name, command in _parts(settings, environment).items():
                children.append(_start(name, command, environment))
            _wait_until_ready(settings, children, stop)
            if not stop.is_set():
                _announce(settings, environment)
            _watch(children, stop)
        finally:
            _stop_all(children)
    click.echo("stopped")


def _environment(settings: Settings) -> dict[str, str]:
    """What the parts inherit: the emulator's address and a key for it, unless a real Stripe key is set."""
    wanted = {
        "HOST": settings.host,
        "PORT": str(settings.port),
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "PUBLIC_URL": settings.public_url,
        "PYTHONUNBUFFERED": "1",
    }
    if not settings.stripe_api_key:
        port = _free_port(settings.host, settings.port + 1)
        wanted |= {
            "STRIPE_API_KEY": "sk_test_marketplace",
            "STRIPE_API_BASE": f"http://{settings.host}:{port}",
            "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secret,
        }
    return {**os.environ, **wanted}


def _parts(settings: Settings, environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    parts: dict[str, tuple[str, ...]] = {"web": (*FLASK, "web"), "worker": (*FLASK, "worker")}
    if not settings.stripe_api_key:
        host, port = environment["STRIPE_API_BASE"].removeprefix("http://").rsplit(":", 1)
        parts["card emulator"] = (
            *EMULATOR,
            *("--host", host, "--port", port),
            *("--api-key", environment["STRIPE_API_KEY"]),
            *("--webhook-url", settings.public_url + WEBHOOK_PATH),
            *("--webhook-secret", settings.stripe_webhook_secret),
            *("--data", str(settings.data_dir / "stripe_emulator.json")),
        )
    return parts


def _prepare(settings: Settings, environment: Mapping[str, str]) -> None:
    """The demo and the search index, by the commands of the rooms that own them."""
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        is_empty = connection.execute(text(FIRST_ROWS)).first() is None
    engine.dispose()
    if is_empty and _has_command(DEMO):
        click.echo("loading the demo …")
        _run(DEMO, environment)
    if _has_command(SEARCH):
        _run(SEARCH, environment)


def _has_command(command: tuple[str, ...]) -> bool:
    group = current_app.cli.commands.get(command[0])
    return isinstance(group, click.Group) and command[1] in group.commands


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> None:
    ended = subprocess.run((*FLASK, *command), env=environment, check=False)  # noqa: S603 - our own command
    if ended.returncode:
        raise click.ClickException(f"flask {' '.join(command)} failed")


def _start(name: str, command: tuple[str, ...], environment: Mapping[str, str]) -> Child:
    """Start a part in a session of its own, so that Ctrl-C reaches it through us only."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=environment,
        start_new_session=True,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads yet
    )
    return Child(name, process)


def _die_with_parent() -> None:
    """Linux: ask for SIGTERM when the parent is killed outright, so that no part holds the port."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(settings: Settings, children: list[Child], stop: threading.Event) -> None:
    """Until /healthz answers 200. Raises ClickException with the last answer after START_SECONDS."""
    last = "no answer"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not stop.wait(0.2):
        _refuse_dead(children)
        try:
            with urllib.request.urlopen(f"http://{_own_host(settings)}:{settings.port}/healthz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            last = error.read().decode()
        except OSError:
            continue
    if not stop.is_set():
        raise click.ClickException(f"the site did not become ready: {last}")


def _announce(settings: Settings, environment: Mapping[str, str]) -> None:
    click.echo(f"\n  {settings.public_url}    Ctrl-C stops everything\n")
    if _has_command(ACCOUNTS):
        _run(ACCOUNTS, environment)


def _watch(children: list[Child], stop: threading.Event) -> None:
    while not stop.wait(0.5):
        _refuse_dead(children)


def _refuse_dead(children: list[Child]) -> None:
    for child in children:
        status = child.process.poll()
        if status is not None:
            raise click.ClickException(f"the {child.name} ended with status {status}; everything was stopped")


def _stop_all(children: list[Child]) -> None:
    """SIGTERM to each, SIGKILL to whatever is left after STOP_SECONDS."""
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _own_host(settings: Settings) -> str:
    return "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound


def _refuse_taken_port(settings: Settings) -> None:
    if not _is_free(settings.host, settings.port):
        raise click.ClickException(
            f"port {settings.port} is taken; choose another: PORT={settings.port + 1} make run"
        )


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _free_port(host: str, wanted: int) -> int:
    return next(port for port in range(wanted, wanted + 100) if _is_free(host, port))
