"""Disputes of payments on line: what a payer's bank took back, and how it ended.

See `marketplace/payments/disputes`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0037"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payment_dispute",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("provider_ref", sa.String(length=120), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "needs_answer",
                "under_review",
                "won",
                "lost",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("due_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("ended_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('won', 'lost')) = (ended_at IS NOT NULL)", name=op.f("ck_payment_dispute_ended")
        ),
        sa.CheckConstraint(
            "(answered_by IS NULL) = (answered_at IS NULL)", name=op.f("ck_payment_dispute_answered")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payment_dispute_amount")),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["user_account.id"], name=op.f("fk_payment_dispute_answered_by")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_payment_dispute_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_dispute")),
        sa.UniqueConstraint("provider_ref", name=op.f("uq_payment_dispute_provider_ref")),
        sa.UniqueConstraint("public_no", name=op.f("uq_payment_dispute_public_no")),
    )
    op.create_index("ix_payment_dispute_payment_id", "payment_dispute", ["payment_id"], unique=False)
    op.create_index("ix_payment_dispute_state", "payment_dispute", ["state", "due_at"], unique=False)


def downgrade() -> None:
    op.drop_table("payment_dispute")
