"""Accounts, entries and transfers.

The first tables of `marketplace/ledger`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0003"
down_revision = "0002b"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "entry": [("id",), ("idempotency_key",), ("public_no",)],
    "account": [("id",), ("key",)],
    "transfer": [("entry_id", "position"), ("id",)],
}


def upgrade() -> None:
    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_no", sa.String(length=24), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "payment_received",
                "accepted_on_credit",
                "late_interest",
                "line_settled",
                "pool_distributed",
                "guarantee",
                "guarantee_reduced",
                "refund",
                "reversal",
                "relief",
                "payout_sent",
                "payout_confirmed",
                "payout_failed",
                "adjustment",
                name="entrykind",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("occurred_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=True),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_user_id", sa.Integer(), nullable=True),
        sa.Column("reverses_entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.CheckConstraint(
            "reverses_entry_id IS NULL OR reason <> ''", name=op.f("ck_entry_reversal_has_reason")
        ),
        sa.CheckConstraint("reverses_entry_id <> id", name=op.f("ck_entry_reverses_another")),
        sa.ForeignKeyConstraint(["actor_user_id"], ["user_account.id"], name=op.f("fk_entry_actor_user_id")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["cooperative.id"], name=op.f("fk_entry_cooperative_id")),
        sa.ForeignKeyConstraint(["reverses_entry_id"], ["entry.id"], name=op.f("fk_entry_reverses_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entry")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_entry_idempotency_key")),
        sa.UniqueConstraint("public_no", name=op.f("uq_entry_public_no")),
        info={"append_only": True},
    )
    op.create_index("ix_entry_cooperative", "entry", ["cooperative_id", "id"], unique=False)
    op.create_index(op.f("ix_entry_reverses_entry_id"), "entry", ["reverses_entry_id"], unique=False)
    op.create_index("ix_entry_subject", "entry", ["subject_kind", "subject_id"], unique=False)
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "clearing",
                "buyer_receivable",
                "order_escrow",
                "cooperative_payable",
                "cooperative_unallocated",
                "village_payable",
                "household_payable",
                "payout_clearing",
                "bank",
                "fees",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("cooperative_id", sa.Integer(), nullable=True),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=True),
        sa.Column("household_id", sa.Integer(), nullable=True),
        sa.Column("village_code", sa.String(length=12), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=True),
        sa.CheckConstraint(
            "(kind IN ('buyer_receivable')) = (buyer_unit_id IS NOT NULL)",
            name=op.f("ck_account_owner_buyer_unit_id"),
        ),
        sa.CheckConstraint(
            "(kind IN ('clearing', 'fees')) = (channel IS NOT NULL)", name=op.f("ck_account_owner_channel")
        ),
        sa.CheckConstraint(
            "(kind IN ('household_payable')) = (household_id IS NOT NULL)",
            name=op.f("ck_account_owner_household_id"),
        ),
        sa.CheckConstraint(
            "(kind IN ('order_escrow', 'cooperative_payable', 'cooperative_unallocated', 'village_payable', 'household_payable', 'payout_clearing')) = (cooperative_id IS NOT NULL)",
            name=op.f("ck_account_owner_cooperative_id"),
        ),
        sa.CheckConstraint(
            "(kind IN ('village_payable')) = (village_code IS NOT NULL)",
            name=op.f("ck_account_owner_village_code"),
        ),
        sa.ForeignKeyConstraint(["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_account_buyer_unit_id")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_account_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_account_household_id")),
        sa.ForeignKeyConstraint(["village_code"], ["region.code"], name=op.f("fk_account_village_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("key", name=op.f("uq_account_key")),
        info={"append_only": True},
    )
    op.create_index("ix_account_cooperative", "account", ["cooperative_id", "kind"], unique=False)
    op.create_index("ix_account_household", "account", ["household_id"], unique=False)
    op.create_table(
        "transfer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("debit_account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("credit_account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_transfer_amount")),
        sa.CheckConstraint("debit_account_id <> credit_account_id", name=op.f("ck_transfer_two_accounts")),
        sa.CheckConstraint("position >= 1", name=op.f("ck_transfer_position")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_transfer_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["credit_account_id"], ["account.id"], name=op.f("fk_transfer_credit_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["debit_account_id"], ["account.id"], name=op.f("fk_transfer_debit_account_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_transfer_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("entry_id", "position", name=op.f("uq_transfer_entry_id_position")),
        info={"append_only": True},
    )
    op.create_index("ix_transfer_credit_account", "transfer", ["credit_account_id", "id"], unique=False)
    op.create_index("ix_transfer_debit_account", "transfer", ["debit_account_id", "id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("transfer")
    op.drop_table("account")
    op.drop_table("entry")
