"""The migrations lead exactly to the models, on both databases, triggers included."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, PrimaryKeyConstraint, create_engine, inspect, text

from marketplace.core.append_only import is_append_only
from marketplace.core.references import (
    has_references_at_once,
    is_foreign_key_of,
    look_statements,
    references_of,
)
from marketplace.core.schema import _migrating, all_tables, migrations, upgrade

TRIGGERS = {
    "sqlite": "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT DISTINCT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal",
}


BODY = "SELECT prosrc FROM pg_proc WHERE proname = :name"


def test_migrations_lead_to_the_models(engine: Engine) -> None:
    def include(thing: object, *_about: object) -> bool:
        return not is_foreign_key_of(engine.dialect, thing)

    with engine.connect() as connection:
        options = {"compare_type": True, "include_object": include}
        context = MigrationContext.configure(connection, opts=options)
        found = compare_metadata(context, all_tables())
    assert found == []


def test_history_is_guarded_by_triggers(engine: Engine) -> None:
    history = {table.name for table in all_tables().sorted_tables if table.info.get("append_only")}
    with engine.connect() as connection:
        guarded = set(connection.scalars(text(TRIGGERS[engine.dialect.name])))
    assert history
    assert history <= guarded


@pytest.mark.databases("postgresql")
def test_references_that_are_looked_at_once_are_those_of_the_models(engine: Engine) -> None:
    """For each marked table the trigger of its references; for each target the triggers that keep it."""
    tables = all_tables().tables
    marked = [table for table in tables.values() if has_references_at_once(table)]
    assert {table.name for table in marked} == {"transfer", "credit"}
    with engine.connect() as connection:
        triggers = set(connection.scalars(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")))
        for table in marked:
            references = references_of(table)
            assert is_append_only(table)
            assert len(references) == len(table.foreign_key_constraints)
            look = look_statements(table.name, references, schema="public")[0]
            body = connection.scalar(text(BODY), {"name": f"{table.name}_references"})
            assert f"$look${body}$look$" in look
            assert f"{table.name}_references" in triggers
            for target in {tables[one.target] for one in references}:
                kept = {f"{target.name}_keep_{what}" for what in ("rows", "keys", "all")}
                assert is_append_only(target) or kept <= triggers


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
            and not is_foreign_key_of(engine.dialect, constraint)
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
