"""Daily reconciliation: what the provider's balance said, each comparison, and each difference.

See `marketplace/payments/reconciliation`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0036a"
down_revision = "0030a"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "channel_move": [("id",), ("ref",)],
    "reconciliation_run": [("id",), ("public_no",)],
}


def upgrade() -> None:
    op.create_table(
        "channel_move",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ref", sa.String(length=120), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "charge",
                "refund",
                "dispute",
                "dispute_reversal",
                "transfer",
                "payout",
                "other",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("source_ref", sa.String(length=120), nullable=False),
        sa.Column("payment_ref", sa.String(length=120), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("fetched_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen <> 0 OR fee_fen <> 0", name=op.f("ck_channel_move_moves")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_move")),
        sa.UniqueConstraint("ref", name=op.f("uq_channel_move_ref")),
        info={"append_only": True},
    )
    op.create_index("ix_channel_move_occurred_at", "channel_move", ["occurred_at"], unique=False)
    op.create_index("ix_channel_move_payment_ref", "channel_move", ["payment_ref"], unique=False)
    op.create_table(
        "reconciliation_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column(
            "channel",
            sa.Enum(
                "card", "bank_transfer", name="channel", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("key", sa.String(length=140), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "not_in_ledger",
                "not_at_channel",
                "amount_differs",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "proposed",
                "resolved",
                "cleared",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("channel_fen", sa.BigInteger(), nullable=False),
        sa.Column("ledger_fen", sa.BigInteger(), nullable=False),
        sa.Column("found_on", sa.Date(), nullable=False),
        sa.Column("found_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("explanation", sa.String(length=300), nullable=False),
        sa.Column("proposed_by", sa.Integer(), nullable=True),
        sa.Column("proposed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Integer(), nullable=True),
        sa.Column("ended_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolved_by IS NOT NULL)", name=op.f("ck_reconciliation_item_resolved")
        ),
        sa.CheckConstraint(
            "(state IN ('resolved', 'cleared')) = (ended_at IS NOT NULL)",
            name=op.f("ck_reconciliation_item_ended"),
        ),
        sa.CheckConstraint(
            "proposed_by IS NULL OR explanation <> ''", name=op.f("ck_reconciliation_item_explained")
        ),
        sa.CheckConstraint(
            "state NOT IN ('proposed', 'resolved') OR proposed_by IS NOT NULL",
            name=op.f("ck_reconciliation_item_proposed"),
        ),
        sa.CheckConstraint(
            "(proposed_by IS NULL) = (proposed_at IS NULL)", name=op.f("ck_reconciliation_item_proposed_at")
        ),
        sa.CheckConstraint("channel_fen <> ledger_fen", name=op.f("ck_reconciliation_item_differs")),
        sa.CheckConstraint("resolved_by <> proposed_by", name=op.f("ck_reconciliation_item_two_people")),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["user_account.id"], name=op.f("fk_reconciliation_item_proposed_by")
        ),
        sa.ForeignKeyConstraint(
            ["resolved_by"], ["user_account.id"], name=op.f("fk_reconciliation_item_resolved_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_item")),
        sa.UniqueConstraint("public_no", name=op.f("uq_reconciliation_item_public_no")),
    )
    op.create_index(
        "ix_reconciliation_item_channel", "reconciliation_item", ["channel", "key", "id"], unique=False
    )
    op.create_index(
        "ix_reconciliation_item_state", "reconciliation_item", ["state", "found_on", "id"], unique=False
    )
    op.create_index(
        "uq_reconciliation_item_key",
        "reconciliation_item",
        ["channel", "key"],
        unique=True,
        sqlite_where=sa.text("state IN ('open', 'proposed')"),
        postgresql_where=sa.text("state IN ('open', 'proposed')"),
    )
    op.create_table(
        "reconciliation_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column(
            "channel",
            sa.Enum(
                "card", "bank_transfer", name="channel", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("day_count", sa.Integer(), nullable=False),
        sa.Column("day_fen", sa.BigInteger(), nullable=False),
        sa.Column("fees_fen", sa.BigInteger(), nullable=False),
        sa.Column("channel_fen", sa.BigInteger(), nullable=False),
        sa.Column("ledger_fen", sa.BigInteger(), nullable=False),
        sa.Column("in_transit_fen", sa.BigInteger(), nullable=False),
        sa.Column("difference_fen", sa.BigInteger(), nullable=False),
        sa.Column("ran_by", sa.Integer(), nullable=True),
        sa.Column("ran_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "channel_fen = ledger_fen + in_transit_fen + difference_fen",
            name=op.f("ck_reconciliation_run_adds_up"),
        ),
        sa.CheckConstraint("day_count >= 0 AND fees_fen >= 0", name=op.f("ck_reconciliation_run_counts")),
        sa.ForeignKeyConstraint(["ran_by"], ["user_account.id"], name=op.f("fk_reconciliation_run_ran_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_run")),
        sa.UniqueConstraint("public_no", name=op.f("uq_reconciliation_run_public_no")),
        info={"append_only": True},
    )
    op.create_index("ix_reconciliation_run_day", "reconciliation_run", ["channel", "day", "id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("reconciliation_run")
    op.drop_table("reconciliation_item")
    op.drop_table("channel_move")
