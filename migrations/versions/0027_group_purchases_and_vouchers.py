"""Group purchases and pickup vouchers.

Shared baskets of staff with their deadline, who takes part and what each wants; see
`marketplace/procurement/group_purchases`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "group_purchase",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=True),
        sa.Column("organiser_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column(
            "paying",
            sa.Enum("each", "union", name="paying", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("recipient_name", sa.String(length=60), nullable=False),
        sa.Column("recipient_phone", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=150), nullable=False),
        sa.Column("deadline_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "ordered",
                "empty",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("closed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("ck_group_purchase_closed")),
        sa.CheckConstraint(
            "order_id IS NULL OR (paying = 'union' AND state = 'ordered')",
            name=op.f("ck_group_purchase_union_order"),
        ),
        sa.CheckConstraint(
            "paying <> 'union' OR buyer_unit_id IS NOT NULL", name=op.f("ck_group_purchase_union_of_unit")
        ),
        sa.CheckConstraint(
            "paying <> 'union' OR state <> 'ordered' OR order_id IS NOT NULL",
            name=op.f("ck_group_purchase_ordered"),
        ),
        sa.CheckConstraint(
            "buyer_unit_id IS NULL OR buyer_unit_id = organisation_id",
            name=op.f("ck_group_purchase_own_unit"),
        ),
        sa.CheckConstraint("deadline_at > opened_at", name=op.f("ck_group_purchase_deadline")),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_group_purchase_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_group_purchase_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_group_purchase_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["organiser_id"], ["user_account.id"], name=op.f("fk_group_purchase_organiser_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_purchase")),
        sa.UniqueConstraint("order_id", name=op.f("uq_group_purchase_order_id")),
        sa.UniqueConstraint(
            "organiser_id", "idempotency_key", name=op.f("uq_group_purchase_organiser_id_idempotency_key")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_group_purchase_public_no")),
    )
    op.create_index("ix_group_purchase_due", "group_purchase", ["state", "deadline_at"], unique=False)
    op.create_index(
        "ix_group_purchase_organisation", "group_purchase", ["organisation_id", "id"], unique=False
    )
    op.create_index(
        "uq_group_purchase_terms", "group_purchase", ["id", "organisation_id", "deadline_at"], unique=True
    )
    op.create_table(
        "group_member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("deadline_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("joined_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column(
            "shortfall",
            sa.Enum(
                "out_of_stock",
                "not_for_sale",
                "not_ordered",
                name="shortfall",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("shortfall_title", sa.String(length=80), nullable=False),
        sa.Column("handed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("handed_by", sa.Integer(), nullable=True),
        sa.CheckConstraint("name <> ''", name=op.f("ck_group_member_name")),
        sa.CheckConstraint("(handed_at IS NULL) = (handed_by IS NULL)", name=op.f("ck_group_member_handed")),
        sa.CheckConstraint(
            "handed_at IS NULL OR shortfall IS NULL", name=op.f("ck_group_member_handed_something")
        ),
        sa.CheckConstraint("joined_at < deadline_at", name=op.f("ck_group_member_in_time")),
        sa.CheckConstraint("order_id IS NULL OR shortfall IS NULL", name=op.f("ck_group_member_outcome")),
        sa.ForeignKeyConstraint(
            ["group_id", "organisation_id", "deadline_at"],
            ["group_purchase.id", "group_purchase.organisation_id", "group_purchase.deadline_at"],
            name="fk_group_member_terms",
        ),
        sa.ForeignKeyConstraint(["handed_by"], ["user_account.id"], name=op.f("fk_group_member_handed_by")),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_group_member_order_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_group_member_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_member")),
        sa.UniqueConstraint("group_id", "user_id", name=op.f("uq_group_member_group_id_user_id")),
        sa.UniqueConstraint("order_id", name=op.f("uq_group_member_order_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_group_member_public_no")),
    )
    op.create_index(op.f("ix_group_member_user_id"), "group_member", ["user_id"], unique=False)
    op.create_index("uq_group_member_terms", "group_member", ["id", "group_id", "deadline_at"], unique=True)
    op.create_table(
        "group_share",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("deadline_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("put_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("put_at < deadline_at", name=op.f("ck_group_share_in_time")),
        sa.CheckConstraint("quantity BETWEEN 1 AND 100000", name=op.f("ck_group_share_quantity")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_group_share_listing_id")),
        sa.ForeignKeyConstraint(
            ["member_id", "group_id", "deadline_at"],
            ["group_member.id", "group_member.group_id", "group_member.deadline_at"],
            name="fk_group_share_terms",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_share")),
        sa.UniqueConstraint(
            "group_id", "member_id", "listing_id", name=op.f("uq_group_share_group_id_member_id_listing_id")
        ),
    )
    op.create_index(op.f("ix_group_share_listing_id"), "group_share", ["listing_id"], unique=False)
    op.create_index(op.f("ix_group_share_member_id"), "group_share", ["member_id"], unique=False)


def downgrade() -> None:
    op.drop_table("group_share")
    op.drop_table("group_member")
    op.drop_table("group_purchase")
