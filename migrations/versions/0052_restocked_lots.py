"""A lot that gains or loses goods leaves word for the search index; see `marketplace/catalog/index_tasks.py`.

Evidence is recorded below the catalogue, which it knows nothing of, so the lot itself tells.
"""

from __future__ import annotations

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

NAME = "lot_index_anew"
CHANGED = "OLD.received_g <> NEW.received_g OR OLD.promised_g <> NEW.promised_g"
NOW = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')", "postgresql": "now()"}


def _word(dialect: str) -> str:
    return (
        f"INSERT INTO index_task (listing_id, asked_at) SELECT listing.id, {NOW[dialect]} FROM product_lot "  # noqa: S608 - all of it is written here
        "JOIN listing ON listing.product_id = product_lot.product_id WHERE product_lot.lot_id = NEW.id;"
    )


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    event = f"CREATE TRIGGER {NAME} AFTER UPDATE ON lot FOR EACH ROW WHEN ({CHANGED})"
    if dialect == "sqlite":
        op.execute(f"{event} BEGIN {_word(dialect)} END")
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $word$\nBEGIN\n"
        f"{_word(dialect)}\nRETURN NULL;\nEND $word$"
    )
    op.execute(f"{event} EXECUTE FUNCTION {NAME}()")


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(f"DROP TRIGGER IF EXISTS {NAME}" + (" ON lot" if is_postgresql else ""))
    if is_postgresql:
        op.execute(f"DROP FUNCTION {NAME}")
