"""Fixtures every test may ask for. Databases are real; only the clock and the network's edge are held.

`session`, `app` and `client` run on SQLite and again on PostgreSQL, on one and the same database within a test.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from config import Settings
from marketplace.catalog.search.postgresql_engine import PostgresqlEngine
from marketplace.core import clock as core_clock
from marketplace.core.crypto import DataKey
from marketplace.core.db import session_maker
from marketplace.core.files import FileStore
from marketplace.web.jobs import EXTENSION as JOBS, Jobs
from marketplace.web.transaction import EXTENSION, Database
from tests.databases import PostgresqlServer, PostgresqlStore, SqliteStore, borrowed
from tests.factories.base import using

sys.dont_write_bytecode = False  # else every worker, emulator and server of a run compiles the same again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
hypothesis.settings.register_profile("ours", deadline=None)  # a busy machine is no counterexample
hypothesis.settings.load_profile("ours")
BACKENDS = ("sqlite", "postgresql")
KEY = "5f" * 32
START = datetime(2026, 6, 1, 10, 0, tzinfo=core_clock.SHANGHAI)
SERVER = pytest.StashKey[PostgresqlServer]()
MISSING = pytest.StashKey[str]()


# --- PostgreSQL: one server a run, started by the process that starts the others ---


def _server_url(config: pytest.Config) -> str | None:
    if "DATABASE_URL_TEST" in os.environ:
        return os.environ["DATABASE_URL_TEST"].replace("postgresql://", "postgresql+psycopg://", 1)
    if hasattr(config, "workerinput"):
        given: str | None = config.workerinput["postgresql_url"]
        return given
    if SERVER not in config.stash and MISSING not in config.stash:
        try:
            config.stash[SERVER] = PostgresqlServer()
        except (OSError, RuntimeError) as reason:
            config.stash[MISSING] = str(reason)
    return config.stash[SERVER].url if SERVER in config.stash else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each xdist worker where the server is."""
    node.workerinput["postgresql_url"] = _server_url(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server at the end of the run."""
    if SERVER in config.stash:
        config.stash[SERVER].stop()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say loudly when half of the tests were left out."""
    if MISSING in config.stash:
        terminalreporter.section("PostgreSQL WAS NOT TESTED", red=True)
        terminalreporter.line(config.stash[MISSING])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses a database on both, or on those its `databases` mark names."""
    if "backend" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("backend", mark.args if mark else BACKENDS, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that no worker ends alone with it."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


def pytest_collection_finish() -> None:
    """Keep full collections of garbage rare, and away from what is imported by now: most of what there is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], 100)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database this run of the test is on."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> SqliteStore:
    return SqliteStore(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_store(pytestconfig: pytest.Config, worker_id: str) -> Iterator[PostgresqlStore]:
    url = _server_url(pytestconfig)
    if url is None:
        reason = "PostgreSQL cannot run here; `make test` says what to install"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    store = PostgresqlStore(url, worker_id)
    yield store
    store.close()


@pytest.fixture
def store(backend: str, request: pytest.FixtureRequest) -> SqliteStore | PostgresqlStore:
    """Where this worker's database of that kind comes from."""
    found: SqliteStore | PostgresqlStore = request.getfixturevalue(f"{backend}_store")
    return found


@pytest.fixture
def database_url(store: SqliteStore | PostgresqlStore) -> Iterator[str]:
    """A database with the schema and no rows."""
    with borrowed(store) as url:
        yield url


@pytest.fixture
def engine(database_url: str, store: SqliteStore | PostgresqlStore) -> Engine:
    return store.engines.lend(database_url, "test")


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session that the factories use too. What is left uncommitted is rolled back.

    `client` commits it before each request and reads afresh after it, so that a test arranges, asks and looks
    without thinking of transactions.
    """
    with session_maker(engine)() as opened, using(opened):
        yield opened
        opened.rollback()


Listening = Callable[[], AbstractContextManager[list[str]]]


def _listening_to(engine: Engine) -> Listening:
    @contextmanager
    def listening() -> Iterator[list[str]]:
        sent: list[str] = []

        def note(*args: Any) -> None:
            sent.append(args[2])

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return listening


@pytest.fixture
def statements(engine: Engine) -> Listening:
    """`with statements() as sent:` lists the statements sent inside the block, to show that they do not grow."""
    return _listening_to(engine)


@pytest.fixture
def page_statements(app: Flask) -> Listening:
    """The same for what the app's pages send."""
    return _listening_to(app.extensions[EXTENSION].engine)


# --- time, keys, files ---


class HeldClock:
    """The clock, held still; a test moves it on."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.set_to(START)

    @property
    def now(self) -> datetime:
        """The instant it shows, UTC."""
        return core_clock.now()

    def set_to(self, at: datetime) -> None:
        """Move to `at` (aware)."""
        self._stack.enter_context(core_clock.set_to(at))

    def advance(self, **by: float) -> None:
        """Move on, e.g. `clock.advance(days=30)`."""
        self.set_to(self.now.astimezone(UTC) + timedelta(**by))


@pytest.fixture
def clock() -> Iterator[HeldClock]:
    """The clock at 2026-06-01 10:00 in China, in this thread."""
    with ExitStack() as stack:
        yield HeldClock(stack)


@pytest.fixture(scope="session")
def data_key() -> DataKey:
    return DataKey.from_hex(KEY)


@pytest.fixture
def files(tmp_path: Path, data_key: DataKey) -> FileStore:
    """The file store; the app's own when a test uses both."""
    return FileStore(tmp_path / "data" / "files", data_key)


# --- the app ---


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        environment="test",
        data_dir=tmp_path / "data",
        database_url=database_url,
        public_url="http://localhost",
        secret_key="a secret of the tests",
        data_key=KEY,
        stripe_api_key="sk_test_marketplace",
        stripe_api_base="http://127.0.0.1:9",  # nobody listens there; a test of card payments starts the emulator
        stripe_webhook_secret="whsec_tests",
        argon2_time_cost=1,
        argon2_memory_kib=8,
    )


class MarketClient(FlaskClient):
    """Flask's test client, which commits the test's session before each request and reads afresh after it."""

    session: Session | None = None

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if self.session is not None:
            self.session.commit()
        response = super().open(*args, **kwargs)
        for header in response.headers:
            "".join(header).encode("latin-1")  # a real server sends nothing else, and answers 500
        if self.session is not None:
            self.session.expire_all()
        return response

    def sign_in(self, user: Any) -> None:
        """Hold the session cookie `user` would have after signing in, without spending a password hash."""
        if self.session is not None:
            self.session.commit()
        with self.session_transaction() as cookie:
            cookie["_user_id"] = user.get_id()
            cookie["_fresh"] = True


@pytest.fixture(scope="session")
def compiled_templates(pytestconfig: pytest.Config) -> FileSystemBytecodeCache:
    """Templates compiled once, not once a test; a changed template is compiled again."""
    assert pytestconfig.cache is not None
    return FileSystemBytecodeCache(str(pytestconfig.cache.mkdir("templates")))


@pytest.fixture(scope="session")
def compiled_addresses() -> Iterator[None]:
    """What reads and writes an address, compiled once for each rule and not once a test: most of what an app takes."""
    compile_one, compiled = Rule.compile, dict[tuple[Any, ...], Rule]()

    def compile_once(rule: Rule) -> None:
        key = (rule.rule, rule.subdomain, rule.merge_slashes, *sorted((rule.defaults or {}).items()))
        if key not in compiled:
            compile_one(rule)
            compiled[key] = rule
        done = compiled[key]
        rule._parts, rule._trace, rule._converters = done._parts, done._trace, done._converters
        rule.arguments = done.arguments
        rule._build = done._build.__func__.__get__(rule)  # type: ignore[attr-defined]
        rule._build_unknown = done._build_unknown.__func__.__get__(rule)  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "compile", compile_once)
        yield


@pytest.fixture
def app(
    settings: Settings,
    compiled_templates: FileSystemBytecodeCache,
    compiled_addresses: None,
    store: SqliteStore | PostgresqlStore,
) -> Flask:
    """The app; forms are accepted without a token (tests/web proves that the real ones are not)."""
    room = import_module("marketplace.app")  # late, so that rules are tested without the pages
    made: Flask = room.create_app(settings)
    made.config["WTF_CSRF_ENABLED"] = False
    made.jinja_env.bytecode_cache = compiled_templates
    made.test_client_class = MarketClient
    engine = store.engines.lend(settings.database_url, "app")
    made.extensions[EXTENSION] = Database(engine)
    if settings.search == "postgresql":
        made.extensions["search"] = PostgresqlEngine(engine)
    return made


@pytest.fixture
def client(app: Flask, session: Session) -> MarketClient:
    """A browser nobody has signed in to. Another: `app.test_client()`."""
    opened = app.test_client()
    assert isinstance(opened, MarketClient)
    opened.session = session
    return opened


@pytest.fixture
def work(app: Flask, session: Session) -> Callable[..., None]:
    """`work("settle lines")` runs jobs as the worker would, `work()` every one of them once."""

    def run(*names: str) -> None:
        session.commit()
        jobs: Jobs = app.extensions[JOBS]
        for name in names or jobs.table:
            jobs.run(name)
        session.expire_all()

    return run
