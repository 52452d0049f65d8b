"""What Alembic runs for each command: which tables, which database."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine

from config import Settings
from marketplace.core.references import is_foreign_key_of
from marketplace.core.schema import all_tables


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out what is not a model: the job queue makes its own tables."""
    return not (kind == "table" and name is not None and name.startswith("huey_"))


def include_object(thing: object, *_about: object) -> bool:
    """Leave out the foreign keys that this database has as triggers."""
    return not is_foreign_key_of(context.get_context().dialect, thing)


def run(connection: object) -> None:
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        target_metadata=all_tables(),
        include_name=include_name,
        include_object=include_object,
        render_as_batch=True,
        compare_type=True,
        user_module_prefix="db.",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(Settings().database_url).connect() as opened:
        run(opened)
