"""A whole site for a journey: the app behind a real port, its jobs running, and Chromium in front of it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import waitress
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, sync_playwright
from sqlalchemy.orm import Session

from config import Settings
from marketplace.core import clock
from marketplace.payments.stripe_emulator.emulator import Options
from marketplace.payments.stripe_emulator.server import EmulatorServer
from marketplace.web.jobs import EXTENSION, Jobs

LANGUAGES = {"zh_CN": "zh-CN", "en": "en-GB"}
DESK = (1280, 900)
PHONE = (390, 844)
API_KEY, WEBHOOK_SECRET = "sk_test_of_the_journeys", "whsec_of_the_journeys"


@dataclass
class Site:
    """A running site: its address, and what went wrong in the browsers that opened it."""

    url: str
    complaints: list[str] = field(default_factory=list)


@dataclass
class Calendar:
    """Which time it is on the site: the real one, or that of `at` (aware) once a journey turns to a day of its own."""

    at: datetime | None = None

    def held(self) -> AbstractContextManager[None]:
        """The clock at that time, inside the block and in this thread."""
        return nullcontext() if self.at is None else clock.set_to(self.at)


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The site's address is known only once it runs, so links are relative; costs are those of every test."""
    return settings.model_copy(update={"login_limit": "1000 per minute"})


def _sweep(jobs: Jobs, stop: threading.Event, calendar: Calendar) -> None:
    """What the worker does: run the jobs that were nudged."""
    while not stop.wait(0.02):
        while (task := jobs.queue.dequeue()) is not None:
            with calendar.held():
                jobs.queue.execute(task)


def _timed(app: Flask, calendar: Calendar) -> Callable[..., Any]:
    """The app, answering at the time of the calendar."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        with calendar.held():
            return app(environ, start_response)

    return answer


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """Where the site will listen; open before the site is made, so that its settings can name the address."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


@pytest.fixture
def provider(door: socket.socket) -> Iterator[EmulatorServer]:
    """The provider of payments on line, which sends its signed messages to the site."""
    options = Options(
        webhook_url=f"{address_of(door)}/webhooks/stripe",
        webhook_secret=WEBHOOK_SECRET,
        api_key=API_KEY,
        retry_after_s=(0.1, 0.5, 2),
    )
    with EmulatorServer(options) as server:
        yield server


def address_of(door: socket.socket) -> str:
    """Where the site behind a door is found."""
    return f"http://127.0.0.1:{door.getsockname()[1]}"


def paid_on_line(settings: Settings, door: socket.socket, provider: EmulatorServer, **more: str) -> Settings:
    """The settings of a site whose buyers pay through the provider."""
    wish = {
        "public_url": address_of(door),
        "stripe_api_base": provider.base_url,
        "stripe_api_key": API_KEY,
        "stripe_webhook_secret": WEBHOOK_SECRET,
        **more,
    }
    return settings.model_copy(update=wish)


@pytest.fixture
def site(app: Flask, session: Session, door: socket.socket, calendar: Calendar) -> Iterator[Site]:
    """The app on a free port, forms protected as they are outside of tests. Commit what it is to show."""
    app.config["WTF_CSRF_ENABLED"] = True
    server = waitress.create_server(_timed(app, calendar), sockets=[door], threads=4)
    stop = threading.Event()
    threads = [
        threading.Thread(target=server.run, daemon=True),
        threading.Thread(target=_sweep, args=(app.extensions[EXTENSION], stop, calendar), daemon=True),
    ]
    for thread in threads:
        thread.start()
    running = Site(f"http://127.0.0.1:{server.effective_port}")
    yield running
    stop.set()
    server.trigger.pull_trigger(
        lambda: server.asyncore.close_all(server._map)
    )  # in its own thread, between two waits
    for thread in threads:
        thread.join(10)
    assert running.complaints == []


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, the quicker one without windows where it is there. Tests that need it are skipped where there
    is none, and fail where CI is set.
    """
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        reason = "Chromium is not installed; `make test` says what to install"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(site: Site, chromium: Browser) -> Iterator[OpenPage]:
    """`open_page(size=PHONE, language="en")`: a page of a browser of its own, as another person would have."""

    def complain(text: str) -> None:
        site.complaints.append(text)

    def heard(said: ConsoleMessage) -> None:
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            complain(f"{said.location}: {said.text}")

    def answered(response: Response) -> None:
        is_file = "/static/" in response.url
        if response.status >= 500 or (is_file and response.status >= 400):
            complain(f"{response.url}: {response.status}")

    with ExitStack() as stack:

        def opened(*, size: tuple[int, int] = DESK, language: str = "zh_CN", scripts: bool = True) -> Page:
            width, height = size
            context: BrowserContext = chromium.new_context(
                base_url=site.url,
                locale=LANGUAGES[language],
                timezone_id="Asia/Shanghai",
                viewport={"width": width, "height": height},
                is_mobile=width < 600,
                has_touch=width < 600,
                java_script_enabled=scripts,
            )
            context.add_cookies([{"name": "lang", "value": language, "url": site.url}])
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: complain(str(error)))
            page.on("console", heard)
            page.on("response", answered)
            return page

        yield opened
