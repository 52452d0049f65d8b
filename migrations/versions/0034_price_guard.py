"""The price guard: reference prices and the policy on them, explanations, and the check kept with each version.

Products get the keys by which the same goods are recognised; an order line keeps the reference of the day it was sold.
See `marketplace/catalog/prices`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.catalog.prices.specs import goods_key_of, spec_key_of
from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0034"
down_revision = "0031"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "reference_price": [("category_code", "spec_key", "region_code", "source", "observed_on"), ("id",)],
    "price_check": [("version_id",)],
}
KINDS = ("cooperative_entry", "certificate")
NEW_KINDS = ("listing_change", "price_explanation")
STEPS = """
INSERT INTO review_step (kind, region_code, position, step, name_zh, name_en, role, notice_days)
SELECT '{kind}', '36', 1, 'decision', '{zh}', '{en}', 'county_reviewer', 0 FROM region WHERE code = '36'
"""


def codes(name: str, *values: str) -> sa.Enum:
    """A column of codes with its check."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def allow(values: tuple[str, ...]) -> None:
    """Replace the check on the kinds of reviews."""
    listed = ", ".join(repr(value) for value in values)
    for table in ("review_step", "review_case"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"ck_{table}_kind"), type_="check")
            batch.create_check_constraint(op.f(f"ck_{table}_kind"), f"kind IN ({listed})")


def upgrade() -> None:
    allow(KINDS + NEW_KINDS)
    op.execute(STEPS.format(kind="listing_change", zh="县级核对", en="County check"))
    op.execute(STEPS.format(kind="price_explanation", zh="县级核定", en="County decision"))
    _key_products()
    op.create_index(
        "uq_price_tier_price", "price_tier", ["version_id", "min_quantity", "unit_price_fen"], unique=True
    )
    op.add_column("order_line", sa.Column("reference_per_kg_fen", sa.BigInteger(), nullable=True))
    _create_references()
    _create_checks()
    _create_sheets()
    dialect = op.get_bind().dialect.name
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, dialect, keys=keys):
            op.execute(statement)


def _key_products() -> None:
    with op.batch_alter_table("product") as batch:
        for column in ("spec_key", "goods_key"):
            batch.add_column(sa.Column(column, sa.String(length=60), nullable=False, server_default=""))
    products = sa.table(
        "product",
        *(sa.column(name) for name in ("id", "name", "specification", "spec_key", "goods_key")),
    )
    bind = op.get_bind()
    for row in bind.execute(sa.select(products.c.id, products.c.name, products.c.specification)).all():
        keys = {"spec_key": spec_key_of(row.specification, row.name), "goods_key": goods_key_of(row.name)}
        bind.execute(sa.update(products).where(products.c.id == row.id).values(**keys))
    with op.batch_alter_table("product") as batch:
        batch.alter_column("spec_key", server_default=None)
        batch.alter_column("goods_key", server_default=None)
    op.create_index("ix_product_spec", "product", ["category_code", "spec_key"])
    op.create_index("ix_product_goods", "product", ["cooperative_id", "category_code", "goods_key"])


def _create_references() -> None:
    op.create_table(
        "price_policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("above_bp", "below_bp", "change_bp", "min_quotes", "valid_days", "explained_days")
        ),
        sa.Column("basis", sa.String(length=200), nullable=False),
        sa.CheckConstraint("basis <> ''", name=op.f("ck_price_policy_basis")),
        sa.CheckConstraint(
            "above_bp BETWEEN 0 AND 10000 AND below_bp BETWEEN 0 AND 10000",
            name=op.f("ck_price_policy_bounds"),
        ),
        sa.CheckConstraint("change_bp BETWEEN 0 AND 10000", name=op.f("ck_price_policy_change")),
        sa.CheckConstraint("min_quotes BETWEEN 1 AND 100", name=op.f("ck_price_policy_min_quotes")),
        sa.CheckConstraint(
            "valid_days BETWEEN 1 AND 1000 AND explained_days BETWEEN 1 AND 1000",
            name=op.f("ck_price_policy_days"),
        ),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_price_policy_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_policy")),
        sa.UniqueConstraint("region_code", "from_on", name=op.f("uq_price_policy_region_code_from_on")),
    )
    op.create_table(
        "reference_price",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("category_code", sa.String(length=40), nullable=False),
        sa.Column("spec_key", sa.String(length=60), nullable=False),
        sa.Column("specification", sa.String(length=60), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("source", codes("source", "sheet", "live"), nullable=False),
        sa.Column("source_name", sa.String(length=80), nullable=False),
        sa.Column("per_kg_fen", sa.BigInteger(), nullable=False),
        sa.Column("quotes", sa.Integer(), nullable=False),
        sa.Column("observed_on", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("per_kg_fen BETWEEN 1 AND 100000000", name=op.f("ck_reference_price_price")),
        sa.CheckConstraint(
            "quotes >= 0 AND (source = 'live') = (quotes > 0)", name=op.f("ck_reference_price_quotes")
        ),
        sa.CheckConstraint("source_name <> ''", name=op.f("ck_reference_price_source_name")),
        sa.ForeignKeyConstraint(
            ["category_code"], ["category.code"], name=op.f("fk_reference_price_category_code")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_reference_price_recorded_by")
        ),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_reference_price_region_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_price")),
        sa.UniqueConstraint(
            "category_code", "spec_key", "region_code", "source", "observed_on",
            name=op.f("uq_reference_price_category_code_spec_key_region_code_source_observed_on"),
        ),
        info={"append_only": True},
    )  # fmt: skip
    op.create_index("ix_reference_price_day", "reference_price", ["observed_on", "id"])


def _create_checks() -> None:
    op.create_table(
        "price_explanation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("kind", codes("kind", "above", "low"), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_mass_g", sa.Integer(), nullable=False),
        sa.Column("reference_per_kg_fen", sa.BigInteger(), nullable=False),
        sa.Column("reference_on", sa.Date(), nullable=False),
        sa.Column("reference_from", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("state", codes("state", "waiting", "accepted", "returned", "refused"), nullable=False),
        sa.Column("explained_by", sa.Integer(), nullable=False),
        sa.Column("explained_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("valid_until_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "unit_price_fen > 0 AND net_mass_g > 0", name=op.f("ck_price_explanation_positive")
        ),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_price_explanation_reason")),
        sa.CheckConstraint(
            "(state = 'waiting') = (decided_at IS NULL)", name=op.f("ck_price_explanation_decided")
        ),
        sa.CheckConstraint(
            "(state = 'accepted') = (valid_until_on IS NOT NULL)", name=op.f("ck_price_explanation_valid")
        ),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> explained_by", name=op.f("ck_price_explanation_two_people")
        ),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_price_explanation_{column}"))
            for column, target in (
                ("product_id", "product.id"),
                ("cooperative_id", "cooperative.id"),
                ("file_id", "stored_file.id"),
                ("explained_by", "user_account.id"),
                ("decided_by", "user_account.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_explanation")),
        sa.UniqueConstraint("public_no", name=op.f("uq_price_explanation_public_no")),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "uq_price_explanation_waiting", "price_explanation", ["product_id"], unique=True,
        sqlite_where=waiting, postgresql_where=waiting,
    )  # fmt: skip
    op.create_index(
        "uq_price_explanation_price", "price_explanation", ["id", "product_id", "unit_price_fen"], unique=True
    )
    op.create_index("ix_price_explanation_product", "price_explanation", ["product_id", "id"])
    op.create_index("ix_price_explanation_cooperative", "price_explanation", ["cooperative_id", "id"])
    op.create_table(
        "price_check",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("min_quantity", sa.Integer(), nullable=False),
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
        sa.Column("relists_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("min_quantity = 1", name=op.f("ck_price_check_first_tier")),
        sa.CheckConstraint("net_mass_g > 0 AND unit_price_fen > 0", name=op.f("ck_price_check_positive")),
        sa.CheckConstraint(
            "reference_per_kg_fen BETWEEN 1 AND 100000000", name=op.f("ck_price_check_reference")
        ),
        sa.CheckConstraint(
            "(reference_per_kg_fen IS NULL) = (reference_on IS NULL)"
            " AND (reference_per_kg_fen IS NULL) = (reference_source IS NULL)"
            " AND (reference_per_kg_fen IS NULL) = (verdict = 'none')",
            name=op.f("ck_price_check_whole"),
        ),
        sa.CheckConstraint(
            "(explanation_id IS NULL) = (explained_fen IS NULL)", name=op.f("ck_price_check_explained")
        ),
        sa.CheckConstraint(
            "explained_fen IS NULL OR explained_fen >= unit_price_fen",
            name=op.f("ck_price_check_as_explained"),
        ),
        sa.CheckConstraint(
            "reference_per_kg_fen IS NULL OR explanation_id IS NOT NULL OR"
            " unit_price_fen * 10000000 <= reference_per_kg_fen * net_mass_g * (10000 + above_bp)",
            name=op.f("ck_price_check_within"),
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "min_quantity", "unit_price_fen"],
            ["price_tier.version_id", "price_tier.min_quantity", "price_tier.unit_price_fen"],
            name="fk_price_check_tier",
        ),
        sa.ForeignKeyConstraint(
            ["explanation_id", "product_id", "explained_fen"],
            ["price_explanation.id", "price_explanation.product_id", "price_explanation.unit_price_fen"],
            name="fk_price_check_explanation",
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["listing_version.id"], name=op.f("fk_price_check_version_id")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_price_check_product_id")),
        sa.ForeignKeyConstraint(["relists_id"], ["listing.id"], name=op.f("fk_price_check_relists_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_price_check")),
        info={"append_only": True},
    )
    op.create_index("ix_price_check_product", "price_check", ["product_id", "version_id"])
    op.create_index("ix_price_check_verdict", "price_check", ["verdict", "version_id"])


def _create_sheets() -> None:
    op.create_table(
        "catalog_sheet",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("kind", codes("kind", "references", "listings"), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("state", codes("state", "checked", "taken"), nullable=False),
        sa.Column("rows_good", sa.Integer(), nullable=False),
        sa.Column("rows_bad", sa.Integer(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("uploaded_by", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Integer(), nullable=True),
        sa.Column("taken_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("rows_good >= 0 AND rows_bad >= 0", name=op.f("ck_catalog_sheet_not_negative")),
        sa.CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name=op.f("ck_catalog_sheet_taken")),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_catalog_sheet_{column}"))
            for column, target in (
                ("organisation_id", "organisation.id"),
                ("file_id", "stored_file.id"),
                ("uploaded_by", "user_account.id"),
                ("taken_by", "user_account.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_sheet")),
        sa.UniqueConstraint("public_no", name=op.f("uq_catalog_sheet_public_no")),
    )
    op.create_index("ix_catalog_sheet_organisation", "catalog_sheet", ["organisation_id", "kind", "id"])
    op.create_index(op.f("ix_catalog_sheet_content_hash"), "catalog_sheet", ["content_hash"])


def downgrade() -> None:
    for table in ("catalog_sheet", "price_check", "price_explanation", "reference_price", "price_policy"):
        op.drop_table(table)
    op.drop_column("order_line", "reference_per_kg_fen")
    op.drop_index("uq_price_tier_price", "price_tier")
    op.drop_index("ix_product_spec", "product")
    op.drop_index("ix_product_goods", "product")
    with op.batch_alter_table("product") as batch:
        batch.drop_column("spec_key")
        batch.drop_column("goods_key")
    op.execute("DELETE FROM review_step WHERE kind IN ('listing_change', 'price_explanation')")
    allow(KINDS)
