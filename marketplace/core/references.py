"""References of busy histories, which PostgreSQL looks at once a statement instead of once a row.

A foreign key looks up every value of every row by itself: two thirds of what settling a line costs. A table marked with
`REFERENCES_AT_ONCE` has a trigger instead, which after each INSERT or COPY looks for what the whole statement refers to
and refuses it with the error of a foreign key. Models declare their ForeignKey as everywhere; on SQLite they are real.

A reference must not lose its target later either. The rows of the table itself never change (only histories may be
marked), so the targets must not: histories refuse that anyway, any other target refuses to be deleted, emptied or
numbered anew whether something refers to it or not. Hence nobody has to hold the target of a row that is not committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Dialect, ForeignKeyConstraint, Table

REFERENCES_AT_ONCE = {"references_at_once": True}
KEEP = """
CREATE OR REPLACE FUNCTION refuse_to_lose() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = 'rows of ' || TG_TABLE_NAME || ' are referred to for ever, ' || TG_OP || ' is refused',
        ERRCODE = 'foreign_key_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
END $refuse$
""".strip()
LOOK = """
CREATE OR REPLACE FUNCTION {table}_references() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $look$
DECLARE lost record;
BEGIN
    SELECT * INTO lost FROM (
        {lookups}
    ) AS lookup LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            MESSAGE = format('{table}.%s refers to a row of %s that is not there', lost.name, lost.target),
            DETAIL = format('Key (%s)=(%s) is not present in table "%s".', lost.name, lost.key, lost.target),
            ERRCODE = 'foreign_key_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = '{table}',
            COLUMN = lost.name, CONSTRAINT = 'fk_{table}_' || lost.name;
    END IF;
    RETURN NULL;
END $look$
""".strip()
LOOKUP = """
SELECT '{name}' AS name, '{target}' AS target, given.key
        FROM (SELECT DISTINCT {name} AS key FROM new_rows WHERE {name} IS NOT NULL) AS given
        WHERE NOT EXISTS (
            SELECT FROM {schema}.{target} AS target WHERE target.{target_key} OPERATOR(pg_catalog.=) given.key
        )
""".strip()


@dataclass(frozen=True, order=True)
class Reference:
    """A column whose value is a key of `target`."""

    name: str
    target: str
    target_key: str = "id"


def has_references_at_once(table: Table) -> bool:
    """Whether `table` is marked."""
    return bool(table.info.get("references_at_once"))


def references_of(table: Table) -> list[Reference]:
    """The references of a table whose foreign keys are of one column each, in the order of the columns' names."""
    return sorted(
        Reference(key.parent.name, key.column.table.name, key.column.name) for key in table.foreign_keys
    )


def is_foreign_key_of(dialect: Dialect, constraint: object) -> bool:
    """Whether a constraint of the models is one that a database of `dialect` has as a trigger instead."""
    return (
        dialect.name == "postgresql"
        and isinstance(constraint, ForeignKeyConstraint)
        and has_references_at_once(constraint.table)
    )


def look_statements(table_name: str, references: Sequence[Reference], *, schema: str) -> list[str]:
    """The DDL (PostgreSQL) that looks at `references` after each statement; running it again changes nothing.

    Tables are those of `schema`, whatever the writer's search path.
    """
    lookups = "\n        UNION ALL\n        ".join(
        LOOKUP.format(schema=schema, name=one.name, target=one.target, target_key=one.target_key)
        for one in references
    )
    trigger = (
        f"CREATE OR REPLACE TRIGGER {table_name}_references AFTER INSERT ON {table_name}"
        f" REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {table_name}_references()"
    )
    return [LOOK.format(table=table_name, lookups=lookups), trigger]


def keep_statements(targets: Iterable[str]) -> list[str]:
    """The DDL (PostgreSQL) that keeps the rows and the `id` of each of the tables `targets`; may be run again."""
    statements = [KEEP]
    for target in targets:
        begin, run = f"CREATE OR REPLACE TRIGGER {target}_keep", "EXECUTE FUNCTION refuse_to_lose()"
        statements += [
            f"{begin}_rows BEFORE DELETE ON {target} FOR EACH ROW {run}",
            f"{begin}_keys BEFORE UPDATE ON {target} FOR EACH ROW WHEN (NEW.id <> OLD.id) {run}",
            f"{begin}_all BEFORE TRUNCATE ON {target} FOR EACH STATEMENT {run}",
        ]
    return statements
