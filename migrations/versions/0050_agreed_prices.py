"""Prices agreed on requests and before the harvest are held against the price guard; see `catalog/prices/agreed.py`."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

CHECK_KEYS = [("id",), ("id", "unit_price_fen", "net_mass_g")]
OFFER_KEYS = [("id",), ("offer_id", "version"), ("offered_by", "idempotency_key")]
TARGET = ["id", "unit_price_fen", "net_mass_g"]
CHECKED = (
    "(price_check_id IS NULL) = (checked_fen IS NULL) AND (checked_fen IS NULL"
    " OR checked_fen = COALESCE(agreed_fen, (2 * price_fen_per_kg * net_mass_g + 1000) / 2000))"
)
WHOLE = (
    "(reference_per_kg_fen IS NULL) = (reference_on IS NULL)"
    " AND (reference_per_kg_fen IS NULL) = (reference_source IS NULL)"
    " AND (reference_per_kg_fen IS NULL) = (verdict = 'none')"
)
WITHIN = (
    "reference_per_kg_fen IS NULL OR explanation_id IS NOT NULL OR"
    " unit_price_fen * 10000000 <= reference_per_kg_fen * net_mass_g * (10000 + above_bp)"
)
CHECKS = {
    "positive": "net_mass_g > 0 AND unit_price_fen > 0",
    "reference": "reference_per_kg_fen BETWEEN 1 AND 100000000",
    "whole": WHOLE,
    "explained": "(explanation_id IS NULL) = (explained_fen IS NULL)",
    "as_explained": "explained_fen IS NULL OR explained_fen >= unit_price_fen",
    "within": WITHIN,
}
UNHELD = """NOT EXISTS (
    SELECT 1 FROM agreed_price_check AS held JOIN listing AS sold ON sold.product_id = held.product_id
    WHERE held.id = NEW.price_check_id AND sold.id = NEW.listing_id)"""
WORDS = "an agreed price is held against the price guard first"


def codes(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def guards(table: str, dialect: str) -> Iterator[str]:
    """What keeps an unheld price out of a table."""
    name = f"{table}_refuse_unheld_price"
    if dialect == "sqlite":
        yield (
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN {UNHELD} BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
        )
        return
    yield (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $refuse$\nBEGIN\n"
        f"IF {UNHELD} THEN RAISE EXCEPTION USING MESSAGE = '{WORDS}', "
        "ERRCODE = 'integrity_constraint_violation'; END IF;\nRETURN NEW;\nEND $refuse$"
    )
    yield f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"


def add_checks() -> None:
    op.create_table(
        "agreed_price_check",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_mass_g", sa.BigInteger(), nullable=False),
        sa.Column("verdict", codes("verdict", "none", "fits", "low", "above"), nullable=False),
        sa.Column("above_bp", sa.Integer(), nullable=False),
        sa.Column("reference_per_kg_fen", sa.BigInteger(), nullable=True),
        sa.Column("reference_on", sa.Date(), nullable=True),
        sa.Column("reference_source", codes("reference_source", "sheet", "live"), nullable=True),
        sa.Column("reference_from", sa.String(length=80), nullable=False),
        sa.Column("quotes", sa.Integer(), nullable=False),
        sa.Column("explanation_id", sa.Integer(), nullable=True),
        sa.Column("explained_fen", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", db.UtcInstant(timezone=True), nullable=False),
        *(
            sa.CheckConstraint(said, name=op.f(f"ck_agreed_price_check_{name}"))
            for name, said in CHECKS.items()
        ),
        sa.ForeignKeyConstraint(
            ["explanation_id", "product_id", "explained_fen"],
            ["price_explanation.id", "price_explanation.product_id", "price_explanation.unit_price_fen"],
            name="fk_agreed_price_check_explanation",
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_agreed_price_check_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreed_price_check")),
        sa.UniqueConstraint(*TARGET, name=op.f("uq_agreed_price_check_id_unit_price_fen_net_mass_g")),
    )
    op.create_index("ix_agreed_price_check_product", "agreed_price_check", ["product_id", "id"])


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    add_checks()
    with op.batch_alter_table("offer_version") as batch:
        batch.add_column(sa.Column("price_check_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            "fk_offer_version_price_check",
            "agreed_price_check",
            ["price_check_id", "unit_price_fen", "net_mass_g"],
            TARGET,
        )
    with op.batch_alter_table("forward_order") as batch:
        batch.add_column(sa.Column("price_check_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("checked_fen", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("forward_order") as batch:
        batch.create_check_constraint(op.f("ck_forward_order_checked"), CHECKED)
        batch.create_foreign_key(
            "fk_forward_order_price_check",
            "agreed_price_check",
            ["price_check_id", "checked_fen", "net_mass_g"],
            TARGET,
        )
    for table, keys in (("agreed_price_check", CHECK_KEYS), ("offer_version", OFFER_KEYS)):
        for statement in append_only_statements(
            table, dialect, keys=keys
        ):  # copying a table leaves them behind
            op.execute(statement)
    for table in ("offer_version", "forward_order"):
        for statement in guards(table, dialect):
            op.execute(statement)


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    for table in ("offer_version", "forward_order"):
        name = f"{table}_refuse_unheld_price"
        op.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if dialect == "postgresql" else ""))
        if dialect == "postgresql":
            op.execute(f"DROP FUNCTION {name}")
    with op.batch_alter_table("forward_order") as batch:
        batch.drop_constraint("fk_forward_order_price_check", type_="foreignkey")
        batch.drop_constraint(op.f("ck_forward_order_checked"), type_="check")
        batch.drop_column("checked_fen")
        batch.drop_column("price_check_id")
    with op.batch_alter_table("offer_version") as batch:
        batch.drop_constraint("fk_offer_version_price_check", type_="foreignkey")
        batch.drop_column("price_check_id")
    for statement in append_only_statements("offer_version", dialect, keys=OFFER_KEYS):
        op.execute(statement)
    op.drop_table("agreed_price_check")
