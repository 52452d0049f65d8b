"""Paying on line: the provider's pages opened for a payment, by the means the buyer chose.

See `marketplace/payments/online`. Notices keep why a try to pay did not succeed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0036"
down_revision = "0028"
branch_labels = None
depends_on = None

KINDS = ("paid", "expired", "failed", "refunded", "other")


def upgrade() -> None:
    op.create_table(
        "payment_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "method",
            sa.Enum(
                "card",
                "alipay",
                "wechat_pay",
                name="method",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("locale", sa.String(length=10), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "closing",
                "closed",
                "paid",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("expires_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("provider_ref", sa.String(length=120), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=False),
        sa.Column("qr_text", sa.Text(), nullable=False),
        sa.Column("failure", sa.String(length=60), nullable=False),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("ended_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('closed', 'paid')) = (ended_at IS NOT NULL)", name=op.f("ck_payment_attempt_ended")
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_payment_attempt_number")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_payment_attempt_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_attempt")),
        sa.UniqueConstraint("payment_id", "number", name=op.f("uq_payment_attempt_payment_id_number")),
        sa.UniqueConstraint("provider_ref", name=op.f("uq_payment_attempt_provider_ref")),
    )
    op.create_index("ix_payment_attempt_state", "payment_attempt", ["state", "id"], unique=False)
    op.create_index(
        "uq_payment_attempt_open",
        "payment_attempt",
        ["payment_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    with op.batch_alter_table("gateway_notice") as batch:
        batch.add_column(sa.Column("failure", sa.String(length=60), nullable=False, server_default=""))
    with op.batch_alter_table("gateway_notice") as batch:
        batch.alter_column("failure", server_default=None)
    allow_kinds(*KINDS, "disputed")
    op.create_index("ix_gateway_notice_payment_ref", "gateway_notice", ["payment_ref"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_gateway_notice_payment_ref", table_name="gateway_notice")
    allow_kinds(*KINDS)
    with op.batch_alter_table("gateway_notice") as batch:
        batch.drop_column("failure")
    op.drop_table("payment_attempt")


def allow_kinds(*kinds: str) -> None:
    """Renew the check on the kinds of notices."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("gateway_notice") as batch:
        batch.drop_constraint(op.f("ck_gateway_notice_kind"), type_="check")
        batch.create_check_constraint(op.f("ck_gateway_notice_kind"), f"kind IN ({listed})")
