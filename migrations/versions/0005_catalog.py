"""Products, certificates and versioned listings.

The first tables of `marketplace/catalog`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "listing_version": [("id",), ("listing_id", "version")],
    "linkage_term": [("id",), ("version_id", "mechanism")],
    "price_tier": [("id",), ("version_id", "min_quantity")],
}


def upgrade() -> None:
    op.create_table(
        "category",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("parent_code", sa.String(length=40), nullable=True),
        sa.Column("name_zh", sa.String(length=40), nullable=False),
        sa.Column("name_en", sa.String(length=80), nullable=False),
        sa.Column("path", sa.String(length=160), nullable=False),
        sa.Column("needs_certificate", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["parent_code"], ["category.code"], name=op.f("fk_category_parent_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_category")),
    )
    op.create_index(op.f("ix_category_parent_code"), "category", ["parent_code"], unique=False)
    op.create_table(
        "linkage_floor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("category_code", sa.String(length=40), nullable=False),
        sa.Column("min_bp", sa.Integer(), nullable=False),
        sa.CheckConstraint("min_bp >= 0 AND min_bp <= 10000", name=op.f("ck_linkage_floor_min_bp")),
        sa.ForeignKeyConstraint(
            ["category_code"], ["category.code"], name=op.f("fk_linkage_floor_category_code")
        ),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_linkage_floor_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linkage_floor")),
        sa.UniqueConstraint(
            "region_code",
            "year",
            "category_code",
            name=op.f("uq_linkage_floor_region_code_year_category_code"),
        ),
    )
    op.create_table(
        "product",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("category_code", sa.String(length=40), nullable=False),
        sa.Column("village_code", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("specification", sa.String(length=60), nullable=False),
        sa.Column("unit_name", sa.String(length=10), nullable=False),
        sa.Column("net_mass_g", sa.Integer(), nullable=False),
        sa.Column("gross_mass_g", sa.Integer(), nullable=False),
        sa.Column("shelf_life_days", sa.Integer(), nullable=True),
        sa.Column("storage", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("archived_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("net_mass_g > 0 AND gross_mass_g >= net_mass_g", name=op.f("ck_product_mass")),
        sa.ForeignKeyConstraint(["category_code"], ["category.code"], name=op.f("fk_product_category_code")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_product_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["village_code"], ["region.code"], name=op.f("fk_product_village_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("public_no", name=op.f("uq_product_public_no")),
    )
    op.create_index(op.f("ix_product_category_code"), "product", ["category_code"], unique=False)
    op.create_index("ix_product_cooperative", "product", ["cooperative_id", "id"], unique=False)
    op.create_table(
        "certificate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("green_food", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("enterprise_no", sa.String(length=40), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "under_review",
                "valid",
                "rejected",
                "returned",
                "revoked",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("expires_on > issued_on", name=op.f("ck_certificate_dates")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_certificate_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_certificate_file_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_certificate_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        sa.UniqueConstraint("kind", "number", name=op.f("uq_certificate_kind_number")),
        sa.UniqueConstraint("public_no", name=op.f("uq_certificate_public_no")),
    )
    op.create_index(op.f("ix_certificate_cooperative_id"), "certificate", ["cooperative_id"], unique=False)
    op.create_index("ix_certificate_product", "certificate", ["product_id", "state"], unique=False)
    op.create_table(
        "listing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "published",
                "withdrawn",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("current_version_id", sa.Integer(), nullable=True),
        sa.Column("published_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("sold_units", sa.Integer(), nullable=False),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state <> 'published' OR current_version_id IS NOT NULL",
            name=op.f("ck_listing_published_has_version"),
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_listing_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["current_version_id"],
            ["listing_version.id"],
            name="fk_listing_current_version_id",
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_listing_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing")),
        sa.UniqueConstraint("product_id", name=op.f("uq_listing_product_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_listing_public_no")),
    )
    op.create_index(op.f("ix_listing_cooperative_id"), "listing", ["cooperative_id"], unique=False)
    op.create_index("ix_listing_state", "listing", ["state", "published_at"], unique=False)
    op.create_table(
        "product_lot",
        sa.Column("lot_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_product_lot_lot_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_product_lot_product_id")),
        sa.PrimaryKeyConstraint("lot_id", name=op.f("pk_product_lot")),
    )
    op.create_index(op.f("ix_product_lot_product_id"), "product_lot", ["product_id"], unique=False)
    op.create_table(
        "product_picture",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("large_address", sa.String(length=64), nullable=False),
        sa.Column("small_address", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("alt_text", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_product_picture_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_picture")),
        sa.UniqueConstraint(
            "product_id", "large_address", name=op.f("uq_product_picture_product_id_large_address")
        ),
    )
    op.create_index(
        op.f("ix_product_picture_large_address"), "product_picture", ["large_address"], unique=False
    )
    op.create_index(op.f("ix_product_picture_product_id"), "product_picture", ["product_id"], unique=False)
    op.create_index(
        op.f("ix_product_picture_small_address"), "product_picture", ["small_address"], unique=False
    )
    op.create_table(
        "index_task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("asked_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_index_task_listing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_task")),
    )
    op.create_index(op.f("ix_index_task_listing_id"), "index_task", ["listing_id"], unique=False)
    op.create_table(
        "listing_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("unit_name", sa.String(length=10), nullable=False),
        sa.Column("net_mass_g", sa.Integer(), nullable=False),
        sa.Column("certificate_id", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_listing_version_certificate_id")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user_account.id"], name=op.f("fk_listing_version_created_by")
        ),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_listing_version_listing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_version")),
        sa.UniqueConstraint("listing_id", "version", name=op.f("uq_listing_version_listing_id_version")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_listing_version_listing_id"), "listing_version", ["listing_id"], unique=False)
    op.create_table(
        "linkage_term",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column(
            "mechanism",
            sa.Enum(
                "contract_farming",
                "land_transfer",
                "employment",
                "production_trusteeship",
                "share_cooperation",
                "asset_lease",
                name="mechanism",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("rate_bp", sa.Integer(), nullable=False),
        sa.CheckConstraint("rate_bp > 0 AND rate_bp <= 10000", name=op.f("ck_linkage_term_rate")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["listing_version.id"], name=op.f("fk_linkage_term_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linkage_term")),
        sa.UniqueConstraint("version_id", "mechanism", name=op.f("uq_linkage_term_version_id_mechanism")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_linkage_term_version_id"), "linkage_term", ["version_id"], unique=False)
    op.create_table(
        "price_tier",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("min_quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.Integer(), nullable=False),
        sa.CheckConstraint("min_quantity > 0 AND unit_price_fen > 0", name=op.f("ck_price_tier_positive")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["listing_version.id"], name=op.f("fk_price_tier_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_tier")),
        sa.UniqueConstraint("version_id", "min_quantity", name=op.f("uq_price_tier_version_id_min_quantity")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_price_tier_version_id"), "price_tier", ["version_id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)
    if op.get_bind().dialect.name != "sqlite":  # there the table was made with it
        op.create_foreign_key(
            "fk_listing_current_version_id", "listing", "listing_version", ["current_version_id"], ["id"]
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("fk_listing_current_version_id", "listing", type_="foreignkey")
    op.drop_table("price_tier")
    op.drop_table("linkage_term")
    op.drop_table("listing_version")
    op.drop_table("index_task")
    op.drop_table("product_picture")
    op.drop_table("product_lot")
    op.drop_table("listing")
    op.drop_table("certificate")
    op.drop_table("product")
    op.drop_table("linkage_floor")
    op.drop_table("category")
