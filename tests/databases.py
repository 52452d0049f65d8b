"""Real databases for the tests: a SQLite file and a database on a real PostgreSQL, made from a migrated template.

A test gets the database of its worker. It is made afresh only when an earlier test committed something: most rule
tests roll back, and then the next test may use the same one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import PoolResetState, QueuePool

from marketplace.core.db import open_engine
from marketplace.core.schema import upgrade

SHAPE = """
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O'),
       (SELECT count(*) FROM pg_constraint),
       (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
"""
TABLES = """
SELECT quote_ident(relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
ORDER BY relname
"""
END_WHAT_IS_UNFINISHED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND state <> 'idle'
"""
PR_SET_PDEATHSIG = 1
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
COMMITS: list[object] = []  # grows whenever any engine of this process commits
NEW_CLUSTER = ("-A", "trust", "-E", "UTF8", "--locale=C", "-N")
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300", "wal_level=minimal",
        "max_wal_senders=0", "autovacuum=off", "shared_buffers=64MB")  # fmt: skip


@event.listens_for(Engine, "commit")
def _note_commit(connection: object) -> None:
    COMMITS.append(None)


class Engines:
    """The engines of one database, kept for the whole run: what one has compiled it need not compile again.

    Each use has its own, so that a test which counts statements counts only those it is about.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Engine] = {}

    def lend(self, url: str, use: str) -> Engine:
        """The engine for a use of the database, such as that of the pages."""
        if (url, use) not in self._kept:
            self._kept[url, use] = opened = open_engine(url, pool_size=32)
            if opened.dialect.name == "sqlite":
                event.listen(opened, "connect", _do_not_wait_for_the_disk)
            else:
                event.listen(opened, "reset", _forget_settings)
        return self._kept[url, use]

    def rest(self) -> None:
        """Between two tests: connections that were given back are kept, what a test has forgotten is not."""
        for engine in self._kept.values():
            pool = engine.pool
            if isinstance(pool, QueuePool) and pool.checkedout():
                engine.dispose()

    def disconnect(self) -> None:
        """Close what is open; an engine connects again when it is asked."""
        for engine in self._kept.values():
            engine.dispose()


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def _forget_settings(connection: Any, _record: object, state: PoolResetState) -> None:
    """What a test has SET is gone when the connection comes back."""
    if not state.terminate_only and not connection.closed:
        connection.rollback()
        connection.autocommit = True
        connection.execute("RESET ALL")
        connection.autocommit = False


class SqliteStore:
    """A file copied from a template."""

    def __init__(self, folder: Path) -> None:
        self.engines = Engines()
        self.template = folder / "template.sqlite3"
        self.file = folder / "market.sqlite3"
        self.clean = False

    def prepare(self) -> str:
        """The URL of a database with the schema and no rows."""
        url = f"sqlite:///{self.file}"
        if not self.template.exists():
            unfinished = self.template.with_suffix(".part")
            unfinished.unlink(missing_ok=True)
            upgrade(f"sqlite:///{unfinished}")
            unfinished.rename(self.template)
        if not self.clean:
            self.engines.disconnect()
            for old in self.file.parent.glob(f"{self.file.name}*"):
                old.unlink()
            shutil.copyfile(self.template, self.file)
        self.clean = True
        return url

    def close(self) -> None:
        """Close what is open; pytest removes the folder."""
        self.engines.disconnect()


class PostgresqlStore:
    """A database copied from a template database, on the server at `admin_url`.

    A copy takes half a second, so a used database is emptied instead where that leaves it as new: the triggers that
    protect the ledger are held off for it, which only a superuser can do. Connections are kept, because the server
    learns the tables anew for each.
    """

    def __init__(self, admin_url: str, worker: str) -> None:
        self.engines = Engines()
        self.url = make_url(admin_url)
        self.name = f"market_test_{os.getpid()}_{worker}"
        self.template = f"{self.name}_template"
        self.shape: object = None  # tells a changed schema
        self.filled = ""  # asks for the tables that have rows
        self.born_with: Sequence[str] = ()  # those which have rows of the migrations
        self.clean = False
        self.admin = create_engine(admin_url, isolation_level="AUTOCOMMIT")
        self.broom = create_engine(self._url_of(self.name), pool_size=1, pool_pre_ping=True)

    def _say(self, *statements: str) -> None:
        with self.admin.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def _url_of(self, name: str) -> str:
        return self.url.set(database=name).render_as_string(hide_password=False)

    def prepare(self) -> str:
        """The URL of a database with the schema and no rows."""
        if self.shape is None:
            self._say(
                f"DROP DATABASE IF EXISTS {self.template} WITH (FORCE)",
                f"CREATE DATABASE {self.template} ENCODING 'UTF8' TEMPLATE template0",
            )
            upgrade(self._url_of(self.template))
            self._copy()
            with self.broom.begin() as connection:
                names = connection.scalars(text(TABLES)).all()
                self.filled = " UNION ALL ".join(
                    f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in names
                )
                self.born_with = connection.scalars(text(self.filled)).all()
                self.shape = connection.execute(text(SHAPE)).one()
        elif not self.clean and not self._emptied():
            self._copy()
        self.clean = True
        return self._url_of(self.name)

    def _copy(self) -> None:
        self.broom.dispose()
        self.engines.disconnect()
        self._say(
            f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)",
            f"CREATE DATABASE {self.name} TEMPLATE {self.template}",
        )

    def _emptied(self) -> bool:
        """Remove what a test committed; False when a copy is needed because it changed more than rows."""
        with self.admin.connect() as connection:
            connection.execute(text(END_WHAT_IS_UNFINISHED), {"name": self.name})
        with self.broom.begin() as connection:
            if not connection.scalar(text("SELECT usesuper FROM pg_user WHERE usename = current_user")):
                return False
            if connection.execute(text(SHAPE)).one() != self.shape:
                return False
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for table in connection.scalars(text(self.filled)).all():
                connection.execute(text(f"DELETE FROM {table}"))
            return connection.scalars(text(self.filled)).all() == self.born_with

    def close(self) -> None:
        """Drop both databases."""
        self.broom.dispose()
        self.engines.disconnect()
        self._say(*(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in (self.name, self.template)))
        self.admin.dispose()


def _end_with_parent() -> None:
    """Linux: a run that is killed takes its server along."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


class PostgresqlServer:
    """A server of our own for one test run: Debian's binaries, a temporary folder, a socket and no port.

    `settings` are PostgreSQL's; those of the tests trade the safety of their data for speed.
    """

    def __init__(self, settings: Sequence[str] = FAST) -> None:
        self.settings = settings
        if not BINARIES:
            raise FileNotFoundError("PostgreSQL is not installed: apt-get install -y postgresql")
        self.folder = Path(tempfile.mkdtemp(prefix="market-pg-"))
        self.as_user: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self.as_user |= {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres", "postgres")
        self.process = self._start()

    @property
    def url(self) -> str:
        """Where an administrator connects."""
        return f"postgresql+psycopg://postgres@/postgres?host={self.folder}"

    def _start(self) -> subprocess.Popen[bytes]:
        postgres = BINARIES[-1]
        data = self.folder / "data"
        subprocess.run(
            [postgres.with_name("initdb"), "-D", data, "-U", "postgres", *NEW_CLUSTER],
            check=True, stdout=subprocess.DEVNULL, **self.as_user,
        )  # fmt: skip
        settings = [
            f"-c{setting}"
            for setting in (*self.settings, "listen_addresses=", f"unix_socket_directories={self.folder}")
        ]
        log = (self.folder / "log").open("wb")
        process = subprocess.Popen(
            [postgres, "-D", data, *settings],
            stdout=log,
            stderr=log,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - it starts before any thread
            **self.as_user,
        )
        log.close()
        for _ in range(200):
            ready = subprocess.run([postgres.with_name("pg_isready"), "-q", "-h", self.folder], check=False)
            if ready.returncode == 0:
                return process
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End the server and remove its folder."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def borrowed(store: SqliteStore | PostgresqlStore) -> Iterator[str]:
    """The URL of a clean database; what was committed meanwhile makes the next test's database a new one."""
    url = store.prepare()
    before = len(COMMITS)
    try:
        yield url
    finally:
        store.clean = len(COMMITS) == before
        store.engines.rest()
