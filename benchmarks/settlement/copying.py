"""The floor: the very rows that settling wrote, loaded with COPY into tables of the same columns, keys and indexes; and
once more into tables that have the foreign keys as well, to see what these cost.
"""

from __future__ import annotations

import time

from sqlalchemy import Engine

from marketplace.core.schema import all_tables

PLAIN, CHECKED = "copy", "checked_copy"
TABLES = ("entry", "transfer", "settlement", "linkage_pool", "pool_distribution", "credit")


def make_tables(engine: Engine) -> None:
    """Empty copies of the tables with everything but triggers; one of each without foreign keys."""
    with engine.begin() as connection:
        for table in TABLES:
            for prefix in (PLAIN, CHECKED):
                connection.exec_driver_sql(f"CREATE TABLE {prefix}_{table} (LIKE {table} INCLUDING ALL)")
            for key in all_tables().tables[table].foreign_keys:
                add = f"ADD FOREIGN KEY ({key.parent.name}) REFERENCES {key.column.table.name} ({key.column.name})"
                connection.exec_driver_sql(f"ALTER TABLE {CHECKED}_{table} {add}")


def copy(engine: Engine, prefix: str = PLAIN) -> tuple[int, float]:
    """Load what was settled since the last time, in one transaction; returns lines and seconds."""
    raw = engine.raw_connection()
    driver = raw.driver_connection
    try:
        with driver.cursor() as cursor:
            rows = {table: _new_rows(cursor, table, prefix) for table in TABLES}
            driver.commit()
            began = time.perf_counter()
            for table in TABLES:
                with cursor.copy(f"COPY {prefix}_{table} FROM STDIN") as target:
                    target.write(rows[table])
            driver.commit()
            took = time.perf_counter() - began
            return rows["settlement"].count(b"\n"), took
    finally:
        raw.close()


def _new_rows(cursor: object, table: str, prefix: str) -> bytes:
    key = "line_id" if table == "settlement" else "pool_id" if table == "pool_distribution" else "id"
    last = f"SELECT coalesce(max({key}), 0) FROM {prefix}_{table}"
    query = f"SELECT * FROM {table} t WHERE t.{key} > ({last}) ORDER BY {key}"
    with cursor.copy(f"COPY ({query}) TO STDOUT") as source:  # type: ignore[attr-defined]
        return b"".join(bytes(piece) for piece in source)
