"""Carts, orders, parts and the lots they hold.

The first tables of `marketplace/ordering`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "part_change": [("id",)],
    "order_line": [("id",), ("part_id", "listing_version_id"), ("public_no",)],
    "line_lot": [("id",), ("line_id", "lot_id")],
}


def upgrade() -> None:
    op.create_table(
        "customer_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("personal", "canteen", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("buyer_user_id", sa.Integer(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=True),
        sa.Column("buyer_county_code", sa.String(length=12), nullable=True),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("recipient_name", sa.String(length=60), nullable=False),
        sa.Column("recipient_phone", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("placed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Integer(), nullable=True),
        sa.Column("approved_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("rejection_reason", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "(kind = 'canteen') = (buyer_unit_id IS NOT NULL)", name=op.f("ck_customer_order_unit_of_canteen")
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> buyer_user_id",
            name=op.f("ck_customer_order_separate_duties"),
        ),
        sa.CheckConstraint("total_fen > 0", name=op.f("ck_customer_order_total")),
        sa.ForeignKeyConstraint(
            ["approved_by"], ["user_account.id"], name=op.f("fk_customer_order_approved_by")
        ),
        sa.ForeignKeyConstraint(
            ["buyer_county_code"], ["region.code"], name=op.f("fk_customer_order_buyer_county_code")
        ),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_customer_order_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["buyer_user_id"], ["user_account.id"], name=op.f("fk_customer_order_buyer_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_order")),
        sa.UniqueConstraint(
            "buyer_user_id", "idempotency_key", name=op.f("uq_customer_order_buyer_user_id_idempotency_key")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_customer_order_public_no")),
    )
    op.create_index("ix_customer_order_buyer", "customer_order", ["buyer_user_id", "id"], unique=False)
    op.create_index(op.f("ix_customer_order_placed_at"), "customer_order", ["placed_at"], unique=False)
    op.create_index("ix_customer_order_unit", "customer_order", ["buyer_unit_id", "id"], unique=False)
    op.create_table(
        "order_part",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "awaiting_approval",
                "awaiting_payment",
                "placed",
                "confirmed",
                "shipped",
                "received",
                "accepted",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("carrier", sa.String(length=40), nullable=False),
        sa.Column("waybill_no", sa.String(length=40), nullable=False),
        sa.Column("shipped_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("received_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("accepted_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("paid_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("total_fen > 0", name=op.f("ck_order_part_total")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_order_part_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_order_part_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_part")),
        sa.UniqueConstraint("order_id", "cooperative_id", name=op.f("uq_order_part_order_id_cooperative_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_order_part_public_no")),
    )
    op.create_index(
        "ix_order_part_cooperative", "order_part", ["cooperative_id", "state", "id"], unique=False
    )
    op.create_index(op.f("ix_order_part_order_id"), "order_part", ["order_id"], unique=False)
    op.create_index("ix_order_part_settling", "order_part", ["state", "paid_at"], unique=False)
    op.create_table(
        "cart_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("personal", "canteen", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("added_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_cart_line_quantity")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_cart_line_listing_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_cart_line_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cart_line")),
        sa.UniqueConstraint(
            "user_id", "kind", "listing_id", name=op.f("uq_cart_line_user_id_kind_listing_id")
        ),
    )
    op.create_table(
        "part_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column(
            "event",
            sa.Enum(
                "approve",
                "reject",
                "pay",
                "expire",
                "cancel",
                "confirm",
                "decline",
                "ship",
                "receive",
                "accept",
                name="event",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "awaiting_approval",
                "awaiting_payment",
                "placed",
                "confirmed",
                "shipped",
                "received",
                "accepted",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("actor_user_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=60), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_part_change_part_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_part_change")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_part_change_part_id"), "part_change", ["part_id"], unique=False)
    op.create_table(
        "order_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("listing_version_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("unit_name", sa.String(length=10), nullable=False),
        sa.Column("net_mass_g", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("certificate_no", sa.String(length=40), nullable=False),
        sa.CheckConstraint("net_fen = quantity * unit_price_fen", name=op.f("ck_order_line_net")),
        sa.CheckConstraint("quantity > 0 AND unit_price_fen > 0", name=op.f("ck_order_line_positive")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_order_line_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["listing_version_id"], ["listing_version.id"], name=op.f("fk_order_line_listing_version_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_order_line_order_id")),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_order_line_part_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_line")),
        sa.UniqueConstraint(
            "part_id", "listing_version_id", name=op.f("uq_order_line_part_id_listing_version_id")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_order_line_public_no")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_order_line_cooperative_id"), "order_line", ["cooperative_id"], unique=False)
    op.create_index(
        op.f("ix_order_line_listing_version_id"), "order_line", ["listing_version_id"], unique=False
    )
    op.create_index(op.f("ix_order_line_order_id"), "order_line", ["order_id"], unique=False)
    op.create_index(op.f("ix_order_line_part_id"), "order_line", ["part_id"], unique=False)
    op.create_table(
        "line_lot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_line_lot_mass")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_line_lot_line_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_line_lot_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_lot")),
        sa.UniqueConstraint("line_id", "lot_id", name=op.f("uq_line_lot_line_id_lot_id")),
        info={"append_only": True},
    )
    op.create_index("ix_line_lot_lot_id", "line_lot", ["lot_id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("line_lot")
    op.drop_table("order_line")
    op.drop_table("part_change")
    op.drop_table("cart_line")
    op.drop_table("order_part")
    op.drop_table("customer_order")
