"""Payments, statements, settlements and credits.

The first tables of `marketplace/payments`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "settlement": [("entry_id",), ("line_id",)],
    "linkage_pool": [("id",)],
    "credit": [("id",), ("pool_id", "household_id"), ("public_no",)],
    "pool_distribution": [("pool_id",)],
}


def upgrade() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("lines_total", sa.Integer(), nullable=False),
        sa.Column("lines_matched", sa.Integer(), nullable=False),
        sa.Column("imported_by", sa.Integer(), nullable=True),
        sa.Column("imported_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_bank_statement_file_id")),
        sa.ForeignKeyConstraint(
            ["imported_by"], ["user_account.id"], name=op.f("fk_bank_statement_imported_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint("content_hash", name=op.f("uq_bank_statement_content_hash")),
        sa.UniqueConstraint("public_no", name=op.f("uq_bank_statement_public_no")),
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=True),
        sa.Column(
            "method",
            sa.Enum(
                "card", "bank_transfer", name="method", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "paid",
                "expired",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("provider_ref", sa.String(length=120), nullable=True),
        sa.Column("provider_payment_ref", sa.String(length=120), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=False),
        sa.Column("remittance_code", sa.String(length=12), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("expires_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("paid_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_payment_paid")),
        sa.CheckConstraint(
            "method <> 'bank_transfer' OR remittance_code IS NOT NULL",
            name=op.f("ck_payment_remittance_code"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payment_amount")),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_payment_order_id")),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_payment_part_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("part_id", name=op.f("uq_payment_part_id")),
        sa.UniqueConstraint("provider_payment_ref", name=op.f("uq_payment_provider_payment_ref")),
        sa.UniqueConstraint("provider_ref", name=op.f("uq_payment_provider_ref")),
        sa.UniqueConstraint("public_no", name=op.f("uq_payment_public_no")),
        sa.UniqueConstraint("remittance_code", name=op.f("uq_payment_remittance_code")),
    )
    op.create_index("ix_payment_order", "payment", ["order_id"], unique=False)
    op.create_index("ix_payment_state", "payment", ["state", "due_on"], unique=False)
    op.create_index(
        "uq_payment_open_card",
        "payment",
        ["order_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open' AND part_id IS NULL"),
        postgresql_where=sa.text("state = 'open' AND part_id IS NULL"),
    )
    op.create_table(
        "bank_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("statement_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("serial_no", sa.String(length=60), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("payer_name", sa.String(length=120), nullable=False),
        sa.Column("remark", sa.String(length=200), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "matched",
                "queued",
                "resolved",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "reason",
            sa.Enum(
                "no_code",
                "unknown_code",
                "several_codes",
                "wrong_amount",
                "already_paid",
                "cancelled",
                name="reason",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column("resolution", sa.String(length=300), nullable=False),
        sa.Column("resolved_by", sa.Integer(), nullable=True),
        sa.Column("resolved_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'queued') = (reason IS NOT NULL AND resolved_at IS NULL)",
            name=op.f("ck_bank_line_queued"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_bank_line_amount")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_bank_line_payment_id")),
        sa.ForeignKeyConstraint(["resolved_by"], ["user_account.id"], name=op.f("fk_bank_line_resolved_by")),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.id"], name=op.f("fk_bank_line_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_line")),
        sa.UniqueConstraint("public_no", name=op.f("uq_bank_line_public_no")),
        sa.UniqueConstraint("serial_no", name=op.f("uq_bank_line_serial_no")),
    )
    op.create_index(op.f("ix_bank_line_payment_id"), "bank_line", ["payment_id"], unique=False)
    op.create_index("ix_bank_line_state", "bank_line", ["state", "id"], unique=False)
    op.create_index(op.f("ix_bank_line_statement_id"), "bank_line", ["statement_id"], unique=False)
    op.create_table(
        "gateway_notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=120), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "paid",
                "expired",
                "failed",
                "refunded",
                "other",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("raw_type", sa.String(length=80), nullable=False),
        sa.Column("reference", sa.String(length=40), nullable=False),
        sa.Column("provider_ref", sa.String(length=120), nullable=True),
        sa.Column("payment_ref", sa.String(length=120), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("occurred_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "waiting",
                "applied",
                "repeated",
                "ignored",
                "queued",
                "resolved",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column("received_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("applied_at", db.UtcInstant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_gateway_notice_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_notice")),
        sa.UniqueConstraint("event_id", name=op.f("uq_gateway_notice_event_id")),
    )
    op.create_index("ix_gateway_notice_outcome", "gateway_notice", ["outcome", "id"], unique=False)
    op.create_table(
        "settlement",
        sa.Column("line_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("pool_fen", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("settled_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "net_fen > 0 AND pool_fen >= 0 AND pool_fen <= net_fen", name=op.f("ck_settlement_amounts")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_settlement_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_settlement_entry_id")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_settlement_line_id")),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_settlement")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_settlement_entry_id")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_settlement_cooperative_id"), "settlement", ["cooperative_id"], unique=False)
    op.create_table(
        "linkage_pool",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
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
        sa.Column(
            "attribution",
            sa.Enum(
                "direct",
                "allocated",
                name="attribution",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("period_id", sa.Integer(), nullable=True),
        sa.Column("rate_bp", sa.Integer(), nullable=False),
        sa.Column("pool_fen", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Boolean(), nullable=False),
        sa.Column("settled_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("lot_id IS NULL OR period_id IS NULL", name=op.f("ck_linkage_pool_one_scope")),
        sa.CheckConstraint("pool_fen > 0", name=op.f("ck_linkage_pool_pool")),
        sa.ForeignKeyConstraint(["line_id"], ["settlement.line_id"], name=op.f("fk_linkage_pool_line_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_linkage_pool_lot_id")),
        sa.ForeignKeyConstraint(["period_id"], ["linkage_period.id"], name=op.f("fk_linkage_pool_period_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linkage_pool")),
        info={"append_only": True},
    )
    op.create_index("ix_linkage_pool_line", "linkage_pool", ["line_id"], unique=False)
    op.create_index(
        "ix_linkage_pool_waiting",
        "linkage_pool",
        ["id"],
        unique=False,
        sqlite_where=sa.text("waiting"),
        postgresql_where=sa.text("waiting"),
    )
    op.create_table(
        "credit",
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
        sa.Column("weight_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("credited_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0 AND weight_fen > 0", name=op.f("ck_credit_positive")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_credit_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_credit_entry_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_credit_household_id")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_credit_line_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["linkage_pool.id"], name=op.f("fk_credit_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit")),
        sa.UniqueConstraint("pool_id", "household_id", name=op.f("uq_credit_pool_id_household_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_credit_public_no")),
        info={"append_only": True},
    )
    op.create_index("ix_credit_cooperative", "credit", ["cooperative_id", "id"], unique=False)
    op.create_index(op.f("ix_credit_entry_id"), "credit", ["entry_id"], unique=False)
    op.create_index("ix_credit_household", "credit", ["household_id", "id"], unique=False)
    op.create_index("ix_credit_line", "credit", ["line_id"], unique=False)
    op.create_table(
        "pool_distribution",
        sa.Column("pool_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("period_id", sa.Integer(), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("as_of_entitlement_id", sa.Integer(), nullable=False),
        sa.Column("weight_total_fen", sa.BigInteger(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("distributed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("weight_total_fen > 0", name=op.f("ck_pool_distribution_weights")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_pool_distribution_entry_id")),
        sa.ForeignKeyConstraint(
            ["period_id"], ["linkage_period.id"], name=op.f("fk_pool_distribution_period_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["linkage_pool.id"], name=op.f("fk_pool_distribution_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_pool_distribution")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_pool_distribution_entry_id"), "pool_distribution", ["entry_id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("pool_distribution")
    op.drop_table("credit")
    op.drop_table("linkage_pool")
    op.drop_table("settlement")
    op.drop_table("gateway_notice")
    op.drop_table("bank_line")
    op.drop_table("payment")
    op.drop_table("bank_statement")
