"""The floor: the very rows that settling wrote, loaded with COPY into tables of the same columns, keys and indexes."""

from __future__ import annotations

import time

from sqlalchemy import Engine

TABLES = ("entry", "transfer", "settlement", "linkage_pool", "pool_distribution", "credit")


def make_tables(engine: Engine) -> None:
    """Empty copies of the tables with everything but foreign keys and triggers."""
    with engine.begin() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"CREATE TABLE copy_{table} (LIKE {table} INCLUDING ALL)")


def copy(engine: Engine) -> tuple[int, float]:
    """Load what was settled since the last time, in one transaction; returns lines and seconds."""
    raw = engine.raw_connection()
    driver = raw.driver_connection
    try:
        with driver.cursor() as cursor:
            rows = {table: _new_rows(cursor, table) for table in TABLES}
            driver.commit()
            began = time.perf_counter()
            for table in TABLES:
                with cursor.copy(f"COPY copy_{table} FROM STDIN") as target:
                    target.write(rows[table])
            driver.commit()
            took = time.perf_counter() - began
            return rows["settlement"].count(b"\n"), took
    finally:
        raw.close()


def _new_rows(cursor: object, table: str) -> bytes:
    key = "line_id" if table == "settlement" else "pool_id" if table == "pool_distribution" else "id"
    query = f"SELECT * FROM {table} t WHERE t.{key} > (SELECT coalesce(max({key}), 0) FROM copy_{table}) ORDER BY {key}"
    with cursor.copy(f"COPY ({query}) TO STDOUT") as source:  # type: ignore[attr-defined]
        return b"".join(bytes(piece) for piece in source)
