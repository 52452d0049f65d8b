"""Refunds, and what they take back of credits.

What counts up is a chain of rows: see the models of `marketplace/payments/refunds`. The two unique indexes let a row
name the quantity and the amount it counts against.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "refund_line": [("id",), ("refund_id", "line_id")],
    "refunded_line": [
        ("id",),
        ("line_id", "after_quantity"),
        ("line_id", "before_quantity"),
        ("refund_id", "line_id"),
    ],
    "credit_addition": [
        ("entry_id", "pool_id", "household_id"),
        ("id",),
        ("id", "amount_fen"),
        ("public_no",),
    ],
    "credit_reversal": [
        ("addition_id", "after_fen"),
        ("addition_id", "before_fen"),
        ("credit_id", "after_fen"),
        ("credit_id", "before_fen"),
        ("id",),
    ],
}


def upgrade() -> None:
    op.create_index("uq_order_line_sold", "order_line", ["id", "quantity", "unit_price_fen"], unique=True)
    op.create_index("uq_credit_amount", "credit", ["id", "amount_fen"], unique=True)
    op.create_table(
        "refund",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "asked",
                "declined",
                "reduced",
                "agreed",
                "sent",
                "failed",
                "returned",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column(
            "method",
            sa.Enum(
                "card", "bank_transfer", name="method", native_enum=False, create_constraint=True, length=40
            ),
            nullable=True,
        ),
        sa.Column("provider_refund_ref", sa.String(length=120), nullable=True),
        sa.Column("failure", sa.String(length=300), nullable=False),
        sa.Column("serial_no", sa.String(length=60), nullable=True),
        sa.Column("returned_by", sa.Integer(), nullable=True),
        sa.Column("returned_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'asked') = (decided_at IS NULL)", name=op.f("ck_refund_decided")),
        sa.CheckConstraint(
            "(state = 'returned') = (returned_at IS NOT NULL)", name=op.f("ck_refund_returned")
        ),
        sa.CheckConstraint("state <> 'declined' OR note <> ''", name=op.f("ck_refund_declined_with_reason")),
        sa.CheckConstraint(
            "state NOT IN ('agreed', 'sent', 'failed', 'returned') OR method IS NOT NULL",
            name=op.f("ck_refund_way"),
        ),
        sa.CheckConstraint(
            "(decided_at IS NULL) = (decided_by IS NULL)", name=op.f("ck_refund_decided_by_somebody")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_amount")),
        sa.CheckConstraint("decided_by <> asked_by", name=op.f("ck_refund_separate_duties")),
        sa.ForeignKeyConstraint(["asked_by"], ["user_account.id"], name=op.f("fk_refund_asked_by")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_refund_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["user_account.id"], name=op.f("fk_refund_decided_by")),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_refund_order_id")),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_refund_part_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id")),
        sa.ForeignKeyConstraint(["returned_by"], ["user_account.id"], name=op.f("fk_refund_returned_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("asked_by", "idempotency_key", name=op.f("uq_refund_asked_by_idempotency_key")),
        sa.UniqueConstraint("provider_refund_ref", name=op.f("uq_refund_provider_refund_ref")),
        sa.UniqueConstraint("public_no", name=op.f("uq_refund_public_no")),
        sa.UniqueConstraint("serial_no", name=op.f("uq_refund_serial_no")),
    )
    op.create_index(op.f("ix_refund_cooperative_id"), "refund", ["cooperative_id"], unique=False)
    op.create_index(op.f("ix_refund_order_id"), "refund", ["order_id"], unique=False)
    op.create_index("ix_refund_part", "refund", ["part_id", "id"], unique=False)
    op.create_index(op.f("ix_refund_payment_id"), "refund", ["payment_id"], unique=False)
    op.create_index("ix_refund_state", "refund", ["state", "method", "id"], unique=False)
    op.create_table(
        "refund_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("refund_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_fen = quantity * unit_price_fen", name=op.f("ck_refund_line_amount")),
        sa.CheckConstraint("quantity > 0 AND unit_price_fen > 0", name=op.f("ck_refund_line_positive")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_refund_line_line_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refund_line_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_line")),
        sa.UniqueConstraint("refund_id", "line_id", name=op.f("uq_refund_line_refund_id_line_id")),
        info={"append_only": True},
    )
    op.create_index("ix_refund_line_line", "refund_line", ["line_id"], unique=False)
    op.create_table(
        "refunded_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("refund_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("line_quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("before_quantity", sa.Integer(), nullable=False),
        sa.Column("follows_quantity", sa.Integer(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("after_quantity", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_settlement", sa.Boolean(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("refunded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(before_quantity = 0) = (follows_quantity IS NULL) AND (follows_quantity IS NULL OR follows_quantity = before_quantity)",
            name=op.f("ck_refunded_line_chain"),
        ),
        sa.CheckConstraint(
            "after_quantity <= line_quantity", name=op.f("ck_refunded_line_not_more_than_bought")
        ),
        sa.CheckConstraint(
            "after_quantity = before_quantity + quantity", name=op.f("ck_refunded_line_counts_up")
        ),
        sa.CheckConstraint("amount_fen = quantity * unit_price_fen", name=op.f("ck_refunded_line_amount")),
        sa.CheckConstraint("quantity > 0 AND before_quantity >= 0", name=op.f("ck_refunded_line_positive")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_refunded_line_entry_id")),
        sa.ForeignKeyConstraint(
            ["line_id", "follows_quantity"],
            ["refunded_line.line_id", "refunded_line.after_quantity"],
            name=op.f("fk_refunded_line_line_id_follows_quantity"),
        ),
        sa.ForeignKeyConstraint(
            ["line_id", "line_quantity", "unit_price_fen"],
            ["order_line.id", "order_line.quantity", "order_line.unit_price_fen"],
            name=op.f("fk_refunded_line_line_id_line_quantity_unit_price_fen"),
        ),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refunded_line_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunded_line")),
        sa.UniqueConstraint(
            "line_id", "after_quantity", name=op.f("uq_refunded_line_line_id_after_quantity")
        ),
        sa.UniqueConstraint(
            "line_id", "before_quantity", name=op.f("uq_refunded_line_line_id_before_quantity")
        ),
        sa.UniqueConstraint("refund_id", "line_id", name=op.f("uq_refunded_line_refund_id_line_id")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_refunded_line_entry_id"), "refunded_line", ["entry_id"], unique=False)
    op.create_table(
        "credit_addition",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
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
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("credited_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_credit_addition_positive")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_credit_addition_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_credit_addition_entry_id")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_credit_addition_household_id")
        ),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_credit_addition_line_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["linkage_pool.id"], name=op.f("fk_credit_addition_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_addition")),
        sa.UniqueConstraint(
            "entry_id",
            "pool_id",
            "household_id",
            name=op.f("uq_credit_addition_entry_id_pool_id_household_id"),
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_credit_addition_public_no")),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_credit_addition_cooperative_id"), "credit_addition", ["cooperative_id"], unique=False
    )
    op.create_index("ix_credit_addition_household", "credit_addition", ["household_id", "id"], unique=False)
    op.create_index("ix_credit_addition_line", "credit_addition", ["line_id"], unique=False)
    op.create_index("ix_credit_addition_pool", "credit_addition", ["pool_id"], unique=False)
    op.create_index("uq_credit_addition_amount", "credit_addition", ["id", "amount_fen"], unique=True)
    op.create_table(
        "credit_reversal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("credit_id", sa.Integer(), nullable=True),
        sa.Column("addition_id", sa.Integer(), nullable=True),
        sa.Column("share_fen", sa.BigInteger(), nullable=False),
        sa.Column("before_fen", sa.BigInteger(), nullable=False),
        sa.Column("follows_fen", sa.BigInteger(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_fen", sa.BigInteger(), nullable=False),
        sa.Column("relief_fen", sa.BigInteger(), nullable=False),
        sa.Column(
            "cause",
            sa.Enum(
                "refund", "correction", name="cause", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
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
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reversed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name=op.f("ck_credit_reversal_chain"),
        ),
        sa.CheckConstraint(
            "(credit_id IS NULL) <> (addition_id IS NULL)", name=op.f("ck_credit_reversal_one_share")
        ),
        sa.CheckConstraint("after_fen <= share_fen", name=op.f("ck_credit_reversal_not_more_than_credited")),
        sa.CheckConstraint("after_fen = before_fen + amount_fen", name=op.f("ck_credit_reversal_counts_up")),
        sa.CheckConstraint("amount_fen > 0 AND before_fen >= 0", name=op.f("ck_credit_reversal_positive")),
        sa.CheckConstraint(
            "relief_fen >= 0 AND relief_fen <= amount_fen", name=op.f("ck_credit_reversal_relief")
        ),
        sa.ForeignKeyConstraint(
            ["addition_id", "follows_fen"],
            ["credit_reversal.addition_id", "credit_reversal.after_fen"],
            name=op.f("fk_credit_reversal_addition_id_follows_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["addition_id", "share_fen"],
            ["credit_addition.id", "credit_addition.amount_fen"],
            name=op.f("fk_credit_reversal_addition_id_share_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_credit_reversal_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["credit_id", "follows_fen"],
            ["credit_reversal.credit_id", "credit_reversal.after_fen"],
            name=op.f("fk_credit_reversal_credit_id_follows_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["credit_id", "share_fen"],
            ["credit.id", "credit.amount_fen"],
            name=op.f("fk_credit_reversal_credit_id_share_fen"),
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_credit_reversal_entry_id")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_credit_reversal_household_id")
        ),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_credit_reversal_line_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["linkage_pool.id"], name=op.f("fk_credit_reversal_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_reversal")),
        sa.UniqueConstraint(
            "addition_id", "after_fen", name=op.f("uq_credit_reversal_addition_id_after_fen")
        ),
        sa.UniqueConstraint(
            "addition_id", "before_fen", name=op.f("uq_credit_reversal_addition_id_before_fen")
        ),
        sa.UniqueConstraint("credit_id", "after_fen", name=op.f("uq_credit_reversal_credit_id_after_fen")),
        sa.UniqueConstraint("credit_id", "before_fen", name=op.f("uq_credit_reversal_credit_id_before_fen")),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_credit_reversal_cooperative_id"), "credit_reversal", ["cooperative_id"], unique=False
    )
    op.create_index(op.f("ix_credit_reversal_entry_id"), "credit_reversal", ["entry_id"], unique=False)
    op.create_index("ix_credit_reversal_household", "credit_reversal", ["household_id", "id"], unique=False)
    op.create_index("ix_credit_reversal_line", "credit_reversal", ["line_id"], unique=False)
    op.create_index("ix_credit_reversal_pool", "credit_reversal", ["pool_id", "id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("credit_reversal")
    op.drop_table("credit_addition")
    op.drop_table("refunded_line")
    op.drop_table("refund_line")
    op.drop_table("refund")
    op.drop_index("uq_credit_amount", table_name="credit")
    op.drop_index("uq_order_line_sold", table_name="order_line")
