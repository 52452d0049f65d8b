"""Requests, offers and supplies.

The tables of `marketplace/procurement/requests`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0023a"
down_revision = "0022"
branch_labels = None
depends_on = None

HISTORY = {
    "request_change": [("id",)],
    "request_version": [
        ("id",),
        (
            "id",
            "request_id",
            "deadline_at",
            "ceiling_fen_per_kg",
            "min_linkage_bp",
            "deliver_from",
            "deliver_until",
        ),
        ("request_id", "version"),
    ],
    "offer_version": [("id",), ("offer_id", "version"), ("offered_by", "idempotency_key")],
    "request_award": [("offer_id",), ("order_id",), ("request_id",)],
}


def upgrade() -> None:
    op.create_table(
        "purchase_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "open",
                "closed",
                "awarded",
                "withdrawn",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("posted_by", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("posted_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("version >= 1", name=op.f("ck_purchase_request_version")),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_purchase_request_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["posted_by"], ["user_account.id"], name=op.f("fk_purchase_request_posted_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_request")),
        sa.UniqueConstraint(
            "posted_by", "idempotency_key", name=op.f("uq_purchase_request_posted_by_idempotency_key")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_purchase_request_public_no")),
    )
    op.create_index("ix_purchase_request_state", "purchase_request", ["state", "id"], unique=False)
    op.create_index("ix_purchase_request_unit", "purchase_request", ["buyer_unit_id", "id"], unique=False)
    op.create_table(
        "offer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "standing",
                "withdrawn",
                "won",
                "lost",
                "void",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outcome_read_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "outcome_read_at IS NULL OR state IN ('won', 'lost', 'void')", name=op.f("ck_offer_outcome_read")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_offer_version")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["cooperative.id"], name=op.f("fk_offer_cooperative_id")),
        sa.ForeignKeyConstraint(["request_id"], ["purchase_request.id"], name=op.f("fk_offer_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
        sa.UniqueConstraint("id", "request_id", name=op.f("uq_offer_id_request_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_offer_public_no")),
        sa.UniqueConstraint("request_id", "cooperative_id", name=op.f("uq_offer_request_id_cooperative_id")),
    )
    op.create_index("ix_offer_cooperative", "offer", ["cooperative_id", "state", "id"], unique=False)
    op.create_index(
        "uq_offer_won",
        "offer",
        ["request_id"],
        unique=True,
        sqlite_where=sa.text("state = 'won'"),
        postgresql_where=sa.text("state = 'won'"),
    )
    op.create_table(
        "request_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column(
            "event",
            sa.Enum(
                "post",
                "amend",
                "open",
                "close",
                "withdraw",
                "award",
                name="event",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "open",
                "closed",
                "awarded",
                "withdrawn",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("actor_user_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=60), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["purchase_request.id"], name=op.f("fk_request_change_request_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_change")),
    )
    op.create_index(op.f("ix_request_change_request_id"), "request_change", ["request_id"], unique=False)
    op.create_table(
        "request_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("category_code", sa.String(length=40), nullable=False),
        sa.Column("specification", sa.String(length=500), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("deliver_from", sa.Date(), nullable=False),
        sa.Column("deliver_until", sa.Date(), nullable=False),
        sa.Column("county_code", sa.String(length=12), nullable=True),
        sa.Column("ceiling_fen_per_kg", sa.BigInteger(), nullable=False),
        sa.Column("min_linkage_bp", sa.Integer(), nullable=False),
        sa.Column("min_households", sa.Integer(), nullable=True),
        sa.Column("deadline_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("deadline_on", sa.Date(), nullable=False),
        sa.Column("payment_days", sa.Integer(), nullable=False),
        sa.Column(
            "payment_start",
            sa.Enum(
                "delivery",
                "inspection",
                name="payment_start",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("late_rate_bp", sa.Integer(), nullable=False),
        sa.Column("payment_basis", sa.String(length=200), nullable=False),
        sa.Column("written_by", sa.Integer(), nullable=False),
        sa.Column("written_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "deadline_on < deliver_until", name=op.f("ck_request_version_deadline_before_window_ends")
        ),
        sa.CheckConstraint("deliver_until >= deliver_from", name=op.f("ck_request_version_window")),
        sa.CheckConstraint(
            "late_rate_bp >= 0 AND late_rate_bp <= 100", name=op.f("ck_request_version_late_rate")
        ),
        sa.CheckConstraint("mass_g > 0 AND ceiling_fen_per_kg > 0", name=op.f("ck_request_version_positive")),
        sa.CheckConstraint("min_households >= 5", name=op.f("ck_request_version_households")),
        sa.CheckConstraint(
            "min_linkage_bp >= 0 AND min_linkage_bp <= 10000", name=op.f("ck_request_version_linkage")
        ),
        sa.CheckConstraint(
            "payment_days >= 1 AND payment_days <= 60", name=op.f("ck_request_version_payment_days")
        ),
        sa.ForeignKeyConstraint(
            ["category_code"], ["category.code"], name=op.f("fk_request_version_category_code")
        ),
        sa.ForeignKeyConstraint(
            ["county_code"], ["region.code"], name=op.f("fk_request_version_county_code")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["purchase_request.id"], name=op.f("fk_request_version_request_id")
        ),
        sa.ForeignKeyConstraint(
            ["written_by"], ["user_account.id"], name=op.f("fk_request_version_written_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_version")),
        sa.UniqueConstraint("request_id", "version", name=op.f("uq_request_version_request_id_version")),
    )
    op.create_index(
        op.f("ix_request_version_category_code"), "request_version", ["category_code"], unique=False
    )
    op.create_index(op.f("ix_request_version_deadline_at"), "request_version", ["deadline_at"], unique=False)
    op.create_index(op.f("ix_request_version_request_id"), "request_version", ["request_id"], unique=False)
    op.create_index(
        "uq_request_version_terms",
        "request_version",
        [
            "id",
            "request_id",
            "deadline_at",
            "ceiling_fen_per_kg",
            "min_linkage_bp",
            "deliver_from",
            "deliver_until",
        ],
        unique=True,
    )
    op.create_table(
        "supply",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("category_code", sa.String(length=40), nullable=False),
        sa.Column("commodity", sa.String(length=60), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=True),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("village_code", sa.String(length=12), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("ask_fen_per_kg", sa.BigInteger(), nullable=False),
        sa.Column("ready_from", sa.Date(), nullable=False),
        sa.Column("ready_until", sa.Date(), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("posted_by", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("posted_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("withdrawn_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("commodity <> ''", name=op.f("ck_supply_commodity")),
        sa.CheckConstraint("mass_g > 0 AND ask_fen_per_kg > 0", name=op.f("ck_supply_positive")),
        sa.CheckConstraint("ready_until >= ready_from", name=op.f("ck_supply_window")),
        sa.ForeignKeyConstraint(["category_code"], ["category.code"], name=op.f("fk_supply_category_code")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_supply_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_supply_lot_id")),
        sa.ForeignKeyConstraint(["posted_by"], ["user_account.id"], name=op.f("fk_supply_posted_by")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_supply_product_id")),
        sa.ForeignKeyConstraint(["village_code"], ["region.code"], name=op.f("fk_supply_village_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply")),
        sa.UniqueConstraint("posted_by", "idempotency_key", name=op.f("uq_supply_posted_by_idempotency_key")),
        sa.UniqueConstraint("public_no", name=op.f("uq_supply_public_no")),
    )
    op.create_index(op.f("ix_supply_category_code"), "supply", ["category_code"], unique=False)
    op.create_index("ix_supply_cooperative", "supply", ["cooperative_id", "id"], unique=False)
    op.create_index(op.f("ix_supply_lot_id"), "supply", ["lot_id"], unique=False)
    op.create_index(op.f("ix_supply_product_id"), "supply", ["product_id"], unique=False)
    op.create_index("ix_supply_ready", "supply", ["ready_until"], unique=False)
    op.create_table(
        "offer_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("request_version_id", sa.Integer(), nullable=False),
        sa.Column("deadline_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("ceiling_fen_per_kg", sa.BigInteger(), nullable=False),
        sa.Column("min_linkage_bp", sa.Integer(), nullable=False),
        sa.Column("deliver_from", sa.Date(), nullable=False),
        sa.Column("deliver_until", sa.Date(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("listing_version_id", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_mass_g", sa.Integer(), nullable=False),
        sa.Column("linkage_bp", sa.Integer(), nullable=False),
        sa.Column("households", sa.Integer(), nullable=False),
        sa.Column("certificate_no", sa.String(length=40), nullable=False),
        sa.Column("deliver_on", sa.Date(), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("offered_by", sa.Integer(), nullable=False),
        sa.Column("offered_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "deliver_on >= deliver_from AND deliver_on <= deliver_until", name=op.f("ck_offer_version_window")
        ),
        sa.CheckConstraint("linkage_bp >= min_linkage_bp", name=op.f("ck_offer_version_linkage")),
        sa.CheckConstraint("offered_at < deadline_at", name=op.f("ck_offer_version_in_time")),
        sa.CheckConstraint(
            "unit_price_fen * 1000 <= ceiling_fen_per_kg * net_mass_g", name=op.f("ck_offer_version_ceiling")
        ),
        sa.CheckConstraint(
            "units > 0 AND unit_price_fen > 0 AND net_mass_g > 0", name=op.f("ck_offer_version_positive")
        ),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_offer_version_listing_id")),
        sa.ForeignKeyConstraint(
            ["listing_version_id"], ["listing_version.id"], name=op.f("fk_offer_version_listing_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["offer_id", "request_id"],
            ["offer.id", "offer.request_id"],
            name=op.f("fk_offer_version_offer_id_request_id"),
        ),
        sa.ForeignKeyConstraint(
            ["offered_by"], ["user_account.id"], name=op.f("fk_offer_version_offered_by")
        ),
        sa.ForeignKeyConstraint(
            [
                "request_version_id",
                "request_id",
                "deadline_at",
                "ceiling_fen_per_kg",
                "min_linkage_bp",
                "deliver_from",
                "deliver_until",
            ],
            [
                "request_version.id",
                "request_version.request_id",
                "request_version.deadline_at",
                "request_version.ceiling_fen_per_kg",
                "request_version.min_linkage_bp",
                "request_version.deliver_from",
                "request_version.deliver_until",
            ],
            name="fk_offer_version_terms",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_version")),
        sa.UniqueConstraint("offer_id", "version", name=op.f("uq_offer_version_offer_id_version")),
        sa.UniqueConstraint(
            "offered_by", "idempotency_key", name=op.f("uq_offer_version_offered_by_idempotency_key")
        ),
    )
    op.create_index(op.f("ix_offer_version_listing_id"), "offer_version", ["listing_id"], unique=False)
    op.create_index(op.f("ix_offer_version_offer_id"), "offer_version", ["offer_id"], unique=False)
    op.create_table(
        "request_award",
        sa.Column("request_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("offer_version_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("is_cheapest", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("awarded_by", sa.Integer(), nullable=False),
        sa.Column("awarder_name", sa.String(length=60), nullable=False),
        sa.Column("awarded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("is_cheapest OR reason <> ''", name=op.f("ck_request_award_reason")),
        sa.ForeignKeyConstraint(
            ["awarded_by"], ["user_account.id"], name=op.f("fk_request_award_awarded_by")
        ),
        sa.ForeignKeyConstraint(
            ["offer_id", "request_id"],
            ["offer.id", "offer.request_id"],
            name=op.f("fk_request_award_offer_id_request_id"),
        ),
        sa.ForeignKeyConstraint(
            ["offer_version_id"], ["offer_version.id"], name=op.f("fk_request_award_offer_version_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_request_award_order_id")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["purchase_request.id"], name=op.f("fk_request_award_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_request_award")),
        sa.UniqueConstraint("offer_id", name=op.f("uq_request_award_offer_id")),
        sa.UniqueConstraint("order_id", name=op.f("uq_request_award_order_id")),
    )
    guard_history()


def guard_history() -> None:
    """Let the database refuse any change to history."""
    dialect = op.get_bind().dialect.name
    for table, keys in HISTORY.items():
        for statement in append_only_statements(table, dialect, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("request_award")
    op.drop_table("offer_version")
    op.drop_table("supply")
    op.drop_table("request_version")
    op.drop_table("request_change")
    op.drop_table("offer")
    op.drop_table("purchase_request")
