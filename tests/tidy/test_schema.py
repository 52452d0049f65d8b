"""The migrations lead exactly to the models, on both databases, triggers included."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, PrimaryKeyConstraint, create_engine, inspect, text

from marketplace.core.schema import _migrating, all_tables, migrations, upgrade

TRIGGERS = {
    "sqlite": "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT DISTINCT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal",
}


def test_migrations_lead_to_the_models(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, all_tables())
    assert found == []


def test_history_is_guarded_by_triggers(engine: Engine) -> None:
    history = {table.name for table in all_tables().sorted_tables if table.info.get("append_only")}
    with engine.connect() as connection:
        guarded = set(connection.scalars(text(TRIGGERS[engine.dialect.name])))
    assert history
    assert history <= guarded


def test_every_named_constraint_stands_in_the_database(engine: Engine) -> None:
    found, preparer = inspect(engine), engine.dialect.identifier_preparer
    missing = []
    for table in all_tables().sorted_tables:
        there = {
            row["name"]
            for rows in (
                found.get_check_constraints(table.name),
                found.get_unique_constraints(table.name),
                found.get_foreign_keys(table.name),
            )
            for row in rows
        }
        named = {
            str(preparer.format_constraint(constraint)).strip('"')
            for constraint in table.constraints
            if not isinstance(constraint, PrimaryKeyConstraint)
        }
        missing += sorted(f"{table.name}: {name}" for name in named - there)
    assert missing == []


def test_migrations_can_be_undone_and_done_again(database_url: str) -> None:
    with _migrating(database_url) as connection:
        config = migrations()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    upgrade(database_url)
    engine = create_engine(database_url)
    assert set(all_tables().tables) < set(inspect(engine).get_table_names())
    engine.dispose()
