"""Fills the ledger with earlier entries, so that what slows down with size shows.

The copies of an entry refer to what the entry refers to, so their foreign keys are not looked at one by one: that alone
would take longer than everything measured here.
"""

from __future__ import annotations

from sqlalchemy import Engine, text

OWN = {  # what differs between the copies of a row; everything else is the template's
    "entry": {"id": ":e + g", "public_no": "'F' || (:e + g)", "idempotency_key": "'filler:' || (:e + g)"},
    "transfer": {"id": ":t + (g - 1) * 21 + position", "entry_id": ":e + g"},
}
CHUNK = 20_000


def fill(engine: Engine, *, transfers: int) -> None:
    """Repeat the newest entry until `transfers` are stored, then let the tables be analysed."""
    with engine.connect() as connection:
        stored = connection.scalar(text("SELECT count(*) FROM transfer")) or 0
    while stored < transfers:
        count = min(CHUNK, (transfers - stored + 20) // 21)
        with engine.begin() as connection:
            _repeat(connection, count)
        stored += count * 21
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _repeat(connection: object, count: int) -> None:
    say = connection.execute  # type: ignore[attr-defined]
    template = say(text("SELECT max(entry_id) FROM settlement")).scalar_one()
    params = {
        "e": say(text("SELECT max(id) FROM entry")).scalar_one(),
        "t": say(text("SELECT max(id) FROM transfer")).scalar_one(),
        "count": count,
        "template": template,
    }
    say(text("SET LOCAL session_replication_role = replica"))
    for table, own in OWN.items():
        names = say(
            text("SELECT column_name FROM information_schema.columns WHERE table_name = :name ORDER BY 1"),
            {"name": table},
        ).scalars()
        columns = list(names)
        picked = ", ".join(own.get(name, f"r.{name}") for name in columns)
        key = "id" if table == "entry" else "entry_id"
        used = {name: value for name, value in params.items() if table == "transfer" or name != "t"}
        say(
            text(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {picked} FROM {table} r, generate_series(1, :count) g WHERE r.{key} = :template"
            ),
            used,
        )
        say(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))
