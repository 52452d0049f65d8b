"""Real databases for the tests: a SQLite file and a database on a real PostgreSQL, made from a migrated template.

A test gets the database of its worker. It is made afresh only when an earlier test committed something: most rule
tests roll back, and then the next test may use the same one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url

from marketplace.core.db import open_engine
from marketplace.core.schema import all_tables, head, upgrade

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
COMMITS: list[object] = []  # grows whenever any engine of this process commits
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300", "wal_level=minimal",
        "max_wal_senders=0", "autovacuum=off", "shared_buffers=64MB")  # fmt: skip


@event.listens_for(Engine, "commit")
def _note_commit(connection: object) -> None:
    COMMITS.append(None)


def lay_out(url: str) -> None:
    """Create the schema: by the migrations, or from the models while there are none."""
    if head():
        upgrade(url)
        return
    engine = open_engine(url)
    with engine.begin() as connection:
        all_tables().create_all(connection)
    engine.dispose()


class SqliteStore:
    """A file copied from a template."""

    def __init__(self, folder: Path) -> None:
        self.template = folder / "template.sqlite3"
        self.file = folder / "market.sqlite3"
        self.clean = False

    def prepare(self) -> str:
        """The URL of a database with the schema and no rows."""
        url = f"sqlite:///{self.file}"
        if not self.template.exists():
            unfinished = self.template.with_suffix(".part")
            unfinished.unlink(missing_ok=True)
            lay_out(f"sqlite:///{unfinished}")
            unfinished.rename(self.template)
        if not self.clean:
            for old in self.file.parent.glob(f"{self.file.name}*"):
                old.unlink()
            shutil.copyfile(self.template, self.file)
        self.clean = True
        return url

    def close(self) -> None:
        """Nothing to stop; pytest removes the folder."""


class PostgresqlStore:
    """A database copied from a template database, on the server at `admin_url`."""

    def __init__(self, admin_url: str, worker: str) -> None:
        self.url = make_url(admin_url)
        self.name = f"market_test_{os.getpid()}_{worker}"
        self.template = f"{self.name}_template"
        self.has_template = False
        self.clean = False
        self.admin = create_engine(admin_url, isolation_level="AUTOCOMMIT")

    def _say(self, *statements: str) -> None:
        with self.admin.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def _url_of(self, name: str) -> str:
        return self.url.set(database=name).render_as_string(hide_password=False)

    def prepare(self) -> str:
        """The URL of a database with the schema and no rows."""
        if not self.has_template:
            self._say(
                f"DROP DATABASE IF EXISTS {self.template} WITH (FORCE)",
                f"CREATE DATABASE {self.template} ENCODING 'UTF8' TEMPLATE template0",
            )
            lay_out(self._url_of(self.template))
            self.has_template = True
        if not self.clean:
            self._say(
                f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)",
                f"CREATE DATABASE {self.name} TEMPLATE {self.template} STRATEGY FILE_COPY",
            )
        self.clean = True
        return self._url_of(self.name)

    def close(self) -> None:
        """Drop both databases."""
        self._say(*(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in (self.name, self.template)))
        self.admin.dispose()


class PostgresqlServer:
    """A server of our own for one test run: Debian's binaries, a temporary folder, a socket and no port."""

    def __init__(self) -> None:
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
            [postgres.with_name("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True, stdout=subprocess.DEVNULL, **self.as_user,
        )  # fmt: skip
        settings = [
            f"-c{setting}"
            for setting in (*FAST, "listen_addresses=", f"unix_socket_directories={self.folder}")
        ]
        log = (self.folder / "log").open("wb")
        process = subprocess.Popen([postgres, "-D", data, *settings], stdout=log, stderr=log, **self.as_user)
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
