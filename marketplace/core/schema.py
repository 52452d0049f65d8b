"""The schema of a database: the tables every room declares, and the migrations that bring a database to them.

Leaves the migrations themselves to `migrations/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, event, text
from sqlalchemy.engine import make_url

from marketplace.core.db import Base

TOP = Path(__file__).resolve().parents[2]
ROOMS = TOP / "marketplace"
MIGRATION_LOCK = 362_020_26  # one migration at a time on PostgreSQL; any constant does


def all_tables() -> MetaData:
    """The tables of every room: modules called `models` or `*_models`, imported so that they register."""
    for path in sorted(ROOMS.rglob("*.py")):
        parts = path.relative_to(TOP).with_suffix("").parts
        if any(part == "models" or part.endswith("_models") for part in parts):
            import_module(".".join(parts).removesuffix(".__init__"))
    return Base.metadata


def migrations() -> Config:
    """Alembic's configuration, from pyproject.toml."""
    return Config(toml_file=TOP / "pyproject.toml")


def head() -> str | None:
    """The newest migration."""
    return ScriptDirectory.from_config(migrations()).get_current_head()


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest migration, in one transaction; a current one is left alone.

    Raises whatever the database answers; then nothing was changed.
    """
    with _migrating(url) as connection:
        if MigrationContext.configure(connection).get_current_revision() == head():
            return
        config = migrations()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        broken = connection.execute(text("PRAGMA foreign_key_check")).first() if _is_sqlite(url) else None
        if broken:
            raise RuntimeError(f"the migration left a reference without a target: {broken}")


@contextmanager
def _migrating(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    if _is_sqlite(url):
        event.listen(engine, "connect", _unlock_tables)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            if not _is_sqlite(url):
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            yield connection
    finally:
        engine.dispose()


def _unlock_tables(connection: Any, _record: object) -> None:
    """SQLite changes a table by copying it, which foreign keys forbid; `upgrade` checks them afterwards."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=OFF")


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"
