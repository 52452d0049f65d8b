"""One process that starts the site on one machine and stops all of it: `flask serve`, behind `make run`.

Brings the database up to date, loads the demo into an empty one, then runs the web server, the job worker and the
card emulator as processes of their own. When one of them dies all stop. The web server and the worker are forks of this
process, which has imported the site already: a start takes half as long. For production see README.md ("Production").
"""

from __future__ import annotations

import contextvars
import ctypes
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import click
from flask import current_app
from flask.cli import cli as flask_command
from sqlalchemy import create_engine, text

from config import EMULATOR_FILE, ONLINE_METHODS, Settings
from marketplace.core.schema import upgrade
from marketplace.web.jobs import current_jobs
from marketplace.web.transaction import database

EMULATOR = "marketplace.payments.stripe_emulator"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WEBHOOK_PATH = "/webhooks/stripe"
FIRST_ROWS = 'SELECT 1 FROM "user_account" LIMIT 1'  # a database without accounts is empty
DEMO = ("demo", "load", "--scale", "small", "--seed", "7")
ACCOUNTS = ("demo", "accounts")
SEARCH = ("search", "build", "--if-absent")
START_SECONDS = 120
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Part:
    """A running part."""

    name: str
    process: BaseProcess


def serve_everything(settings: Settings) -> None:
    """Run until Ctrl-C or SIGTERM. Exits with status 1 and the reason when a part dies or cannot start."""
    if settings.environment == "production":
        raise click.ClickException("flask serve is for one machine and the demo; in production run the parts")
    _refuse_taken_port(settings)
    upgrade(settings.database_url)
    current_jobs().be_silent()
    with _stopping() as stop:
        environment = _environment(settings)
        _let_go()
        _prepare(settings, environment, stop)
        parts: list[Part] = []
        try:
            if not stop.is_set():
                parts += _start_parts(settings, environment)
                _wait_until_ready(settings, parts, stop)
            if not stop.is_set():
                _announce(settings, environment, stop)
            _watch(parts, stop)
        finally:
            _stop_all(parts)
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
            "STRIPE_API_BASE": f"http://{_own_host(settings)}:{port}",
            "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secret,
            "CARD_COLLECTION": os.environ.get("CARD_COLLECTION") or "platform",
            "CARD_METHODS": os.environ.get("CARD_METHODS") or ",".join(ONLINE_METHODS),
        }
    return {**os.environ, **wanted}


def _start_parts(settings: Settings, environment: Mapping[str, str]) -> list[Part]:
    parts = [
        _fork("web server", _flask, ("web",), environment),
        _fork("worker", _flask, ("worker",), environment),
    ]
    if not settings.stripe_api_key:
        emulator = (
            *("--host", settings.host, "--port", environment["STRIPE_API_BASE"].rsplit(":", 1)[1]),
            *("--api-key", environment["STRIPE_API_KEY"]),
            *("--webhook-url", f"http://{_own_host(settings)}:{settings.port}{WEBHOOK_PATH}"),
            *("--webhook-secret", settings.stripe_webhook_secret),
            *("--data", str(settings.data_dir / EMULATOR_FILE)),
        )
        parts.append(_fork("card emulator", _module, (EMULATOR, *emulator), environment))
    return parts


def _let_go() -> None:
    """Close what a fork must not share."""
    database().engine.dispose()
    current_jobs().queue.storage.close()


def _prepare(settings: Settings, environment: Mapping[str, str], stop: threading.Event) -> None:
    """The demo and the search index, by the commands of the rooms that own them."""
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        is_empty = connection.execute(text(FIRST_ROWS)).first() is None
    engine.dispose()
    if is_empty and _has_command(DEMO):
        click.echo("loading the demo …")
        _run(DEMO, environment, stop)
    if _has_command(SEARCH) and not stop.is_set():
        _run(SEARCH, environment, stop)


def _has_command(command: tuple[str, ...]) -> bool:
    group = current_app.cli.commands.get(command[0])
    return isinstance(group, click.Group) and command[1] in group.commands


def _run(command: tuple[str, ...], environment: Mapping[str, str], stop: threading.Event) -> None:
    """Run one of our commands in a process of its own: what it needed in memory goes with it."""
    process = _fork(command[0], _flask, command, environment).process
    while process.exitcode is None:
        process.join(0.2)
        if stop.is_set():
            process.terminate()
    if process.exitcode and not stop.is_set():
        raise click.ClickException(f"flask {' '.join(command)} failed")


def _fork(
    name: str,
    run: Callable[[tuple[str, ...]], None],
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
) -> Part:
    process = multiprocessing.get_context("fork").Process(
        target=_run_part, args=(run, arguments, environment), name=name
    )
    process.start()
    return Part(name, process)


def _run_part(
    run: Callable[[tuple[str, ...]], None], arguments: tuple[str, ...], environment: Mapping[str, str]
) -> None:
    """In the fork: a session of its own, so that Ctrl-C reaches it through the parent only, and a fresh start."""
    os.setsid()
    if sys.platform == "linux":
        _die_with_parent()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(environment)
    contextvars.Context().run(run, arguments)


def _flask(arguments: tuple[str, ...]) -> None:
    sys.modules.pop("wsgi", None)  # the app is made again, with this environment
    flask_command.main(["--app", "wsgi", *arguments])


def _module(arguments: tuple[str, ...]) -> None:
    sys.argv = list(arguments)
    runpy.run_module(arguments[0], run_name="__main__")


def _die_with_parent() -> None:
    """Linux: ask for SIGTERM when the parent is killed outright, so that no part holds the port."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(settings: Settings, parts: list[Part], stop: threading.Event) -> None:
    """Until /healthz answers 200. Raises ClickException with the last answer after START_SECONDS."""
    last = "no answer"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not stop.wait(0.2):
        _refuse_dead(parts)
        try:
            with urllib.request.urlopen(f"http://{_own_host(settings)}:{settings.port}/healthz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            last = error.read().decode()
        except OSError:
            continue
    if not stop.is_set():
        raise click.ClickException(f"the site did not become ready: {last}")


def _announce(settings: Settings, environment: Mapping[str, str], stop: threading.Event) -> None:
    """Who can sign in, and last, where it stays in sight, the address."""
    if _has_command(ACCOUNTS):
        _run(ACCOUNTS, environment, stop)
    click.echo(f"\n  {settings.public_url}    Ctrl-C stops everything\n")


def _watch(parts: list[Part], stop: threading.Event) -> None:
    while not stop.wait(0.5):
        _refuse_dead(parts)


def _refuse_dead(parts: list[Part]) -> None:
    for part in parts:
        if part.process.exitcode is not None:
            raise click.ClickException(
                f"the {part.name} ended with status {part.process.exitcode}; everything was stopped"
            )


def _stop_all(parts: list[Part]) -> None:
    """SIGTERM to each, SIGKILL to whatever is left after STOP_SECONDS."""
    for part in parts:
        part.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for part in parts:
        part.process.join(max(0.0, deadline - time.monotonic()))
        if part.process.exitcode is None:
            part.process.kill()
            part.process.join()


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in SIGNALS}
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
