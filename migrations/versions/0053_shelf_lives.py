"""Goods past their shelf life are sold to nobody: the day until which a lot may be sold as its product, and guards
behind `catalog/lots.py`."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

LAST_DAY = {  # of a product_lot row {sold}; none where nothing is said of how long the goods keep
    "sqlite": """(SELECT date(COALESCE({sold}.produced_on, lot.harvested_on), '+' || product.shelf_life_days || ' days')
    FROM lot, product WHERE lot.id = {sold}.lot_id AND product.id = {sold}.product_id)""",
    "postgresql": """(SELECT COALESCE({sold}.produced_on, lot.harvested_on) + product.shelf_life_days
    FROM lot, product WHERE lot.id = {sold}.lot_id AND product.id = {sold}.product_id)""",
}
ORDERED_ON = {
    "sqlite": "date(o.placed_at, '+8 hours')",
    "postgresql": "(o.placed_at AT TIME ZONE 'Asia/Shanghai')::date",
}
DIFFERS = {"sqlite": "IS NOT", "postgresql": "IS DISTINCT FROM"}
IS_OVER = """EXISTS (
    SELECT 1 FROM product_lot AS sold JOIN order_line AS line ON line.id = NEW.line_id
    JOIN order_part AS part ON part.id = line.part_id JOIN customer_order AS o ON o.id = part.order_id
    WHERE sold.lot_id = NEW.lot_id AND sold.best_until < {ordered_on})"""
MISDATED = """NEW.best_until {differs} {last_day}
    OR NEW.produced_on < (SELECT harvested_on FROM lot WHERE id = NEW.lot_id)"""
IS_CLAIMED = "EXISTS (SELECT 1 FROM lot WHERE id = OLD.lot_id AND committed_g + promised_g > 0)"
HAS_LOTS = "EXISTS (SELECT 1 FROM product_lot WHERE product_id = OLD.id)"


class Guard(NamedTuple):
    """A trigger: the table, the event, when it looks (PostgreSQL allows no query there), what must not be, its words."""

    table: str
    event: str
    looks: str
    wrong: str
    words: str


GUARDS = {
    "line_lot_refuse_over": Guard(
        "line_lot", "INSERT", "1 = 1", IS_OVER, "the shelf life of this lot is over"
    ),
    "product_lot_dated": Guard(
        "product_lot", "INSERT", "1 = 1", MISDATED, "a shelf life begins at the production day"
    ),
    "product_lot_dated_anew": Guard(
        "product_lot", "UPDATE", "1 = 1", MISDATED, "a shelf life begins at the production day"
    ),
    "product_lot_keep_sold": Guard(
        "product_lot", "UPDATE", "1 = 1", IS_CLAIMED, "a lot keeps the dates it was sold with"
    ),
    "product_keep_shelf_life": Guard(
        "product",
        "UPDATE",
        "COALESCE(OLD.shelf_life_days, 0) <> COALESCE(NEW.shelf_life_days, 0)",
        HAS_LOTS,
        "goods that have lots keep their shelf life",
    ),
}


def guards(dialect: str) -> list[str]:
    """The triggers that refuse what the rules refuse."""
    statements = []
    for name, guard in GUARDS.items():
        wrong = guard.wrong.format(
            ordered_on=ORDERED_ON[dialect],
            differs=DIFFERS[dialect],
            last_day=LAST_DAY[dialect].format(sold="NEW"),
        )
        event = f"CREATE TRIGGER {name} BEFORE {guard.event} ON {guard.table}"
        if dialect == "sqlite":
            statements.append(
                f"{event} WHEN ({guard.looks}) AND ({wrong}) BEGIN SELECT RAISE(ABORT, '{guard.words}'); END"
            )
        else:
            statements += [
                (
                    f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $refuse$\nBEGIN\n"
                    f"IF {wrong} THEN RAISE EXCEPTION USING MESSAGE = '{guard.words}', "
                    f"ERRCODE = 'integrity_constraint_violation'; END IF;\nRETURN NEW;\nEND $refuse$"
                ),
                f"{event} FOR EACH ROW WHEN ({guard.looks}) EXECUTE FUNCTION {name}()",
            ]
    return statements


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.add_column("product_lot", sa.Column("produced_on", sa.Date(), nullable=True))
    op.add_column("product_lot", sa.Column("best_until", sa.Date(), nullable=True))
    op.create_index("ix_product_lot_best_until", "product_lot", ["best_until"])
    op.execute(f"UPDATE product_lot SET best_until = {LAST_DAY[dialect].format(sold='product_lot')}")  # noqa: S608
    for statement in guards(dialect):
        op.execute(statement)


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, guard in GUARDS.items():
        op.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {guard.table}" if is_postgresql else ""))
        if is_postgresql:
            op.execute(f"DROP FUNCTION {name}")
    op.drop_index("ix_product_lot_best_until", table_name="product_lot")
    op.drop_column("product_lot", "best_until")
    op.drop_column("product_lot", "produced_on")
