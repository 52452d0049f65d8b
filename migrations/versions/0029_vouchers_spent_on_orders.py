"""Vouchers spent on staff orders.

A voucher may pay a part of an order that was placed online, and several vouchers one order; what vouchers paid of it is
a payment of its own, and a refund says how much of it goes back to the unit that bought them. See
`marketplace/payments/vouchers/spending.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0029"
down_revision = "0036"
branch_labels = None
depends_on = None

METHODS = ("card", "bank_transfer")
LIVE = sa.text("released_at IS NULL")


def upgrade() -> None:
    allow_methods((*METHODS, "voucher"))
    with op.batch_alter_table("refund") as batch:
        batch.add_column(sa.Column("voucher_fen", sa.BigInteger(), nullable=False, server_default="0"))
        batch.create_check_constraint(
            op.f("ck_refund_voucher"), "voucher_fen >= 0 AND voucher_fen <= amount_fen"
        )
        batch.create_check_constraint(
            op.f("ck_refund_voucher_way"), "voucher_fen = 0 OR method = 'bank_transfer'"
        )
    with op.batch_alter_table("refund") as batch:
        batch.alter_column("voucher_fen", existing_type=sa.BigInteger(), server_default=None)
    with op.batch_alter_table("voucher") as batch:
        batch.drop_constraint(op.f("uq_voucher_order_id"), type_="unique")
    op.create_index(op.f("ix_voucher_order_id"), "voucher", ["order_id"], unique=False)
    op.create_index("uq_voucher_terms", "voucher", ["id", "cooperative_id", "face_fen"], unique=True)
    op.create_index("uq_order_part_terms", "order_part", ["id", "cooperative_id", "total_fen"], unique=True)
    op.create_table(
        "voucher_spend",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("voucher_id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column("face_fen", sa.BigInteger(), nullable=False),
        sa.Column("part_fen", sa.BigInteger(), nullable=False),
        sa.Column("before_fen", sa.BigInteger(), nullable=False),
        sa.Column("follows_fen", sa.BigInteger(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_fen", sa.BigInteger(), nullable=False),
        sa.Column("spent_by", sa.Integer(), nullable=False),
        sa.Column("spent_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column("released_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name=op.f("ck_voucher_spend_chain"),
        ),
        sa.CheckConstraint(
            "after_fen = before_fen + amount_fen AND after_fen <= part_fen",
            name=op.f("ck_voucher_spend_within"),
        ),
        sa.CheckConstraint("amount_fen > 0 AND amount_fen <= face_fen", name=op.f("ck_voucher_spend_amount")),
        sa.CheckConstraint("before_fen >= 0", name=op.f("ck_voucher_spend_not_negative")),
        sa.CheckConstraint(
            "released_at IS NULL OR payment_id IS NULL", name=op.f("ck_voucher_spend_one_end")
        ),
        sa.ForeignKeyConstraint(
            ["voucher_id", "cooperative_id", "face_fen"],
            ["voucher.id", "voucher.cooperative_id", "voucher.face_fen"],
            name="fk_voucher_spend_voucher",
        ),
        sa.ForeignKeyConstraint(
            ["part_id", "cooperative_id", "part_fen"],
            ["order_part.id", "order_part.cooperative_id", "order_part.total_fen"],
            name="fk_voucher_spend_part",
        ),
        sa.ForeignKeyConstraint(
            ["part_id", "follows_fen", "buyer_unit_id"],
            ["voucher_spend.part_id", "voucher_spend.after_fen", "voucher_spend.buyer_unit_id"],
            name="fk_voucher_spend_follows",
        ),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_voucher_spend_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_voucher_spend_payment_id")),
        sa.ForeignKeyConstraint(["spent_by"], ["user_account.id"], name=op.f("fk_voucher_spend_spent_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voucher_spend")),
        sa.UniqueConstraint("part_id", "after_fen", "buyer_unit_id", name="uq_voucher_spend_chain"),
        sa.UniqueConstraint("part_id", "before_fen", name=op.f("uq_voucher_spend_part_id_before_fen")),
    )
    op.create_index(op.f("ix_voucher_spend_payment_id"), "voucher_spend", ["payment_id"], unique=False)
    op.create_index(
        "uq_voucher_spend_live",
        "voucher_spend",
        ["voucher_id"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )


def allow_methods(codes: tuple[str, ...]) -> None:
    """Renew the checks on the methods of payments and of refunds."""
    listed = ", ".join(repr(code) for code in codes)
    for table in ("payment", "refund"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"ck_{table}_method"), type_="check")
            batch.create_check_constraint(op.f(f"ck_{table}_method"), f"method IN ({listed})")


def downgrade() -> None:
    op.drop_table("voucher_spend")
    op.drop_index("uq_order_part_terms", table_name="order_part")
    op.drop_index("uq_voucher_terms", table_name="voucher")
    op.drop_index(op.f("ix_voucher_order_id"), table_name="voucher")
    with op.batch_alter_table("voucher") as batch:
        batch.create_unique_constraint(op.f("uq_voucher_order_id"), ["order_id"])
    with op.batch_alter_table("refund") as batch:
        batch.drop_constraint(op.f("ck_refund_voucher_way"), type_="check")
        batch.drop_constraint(op.f("ck_refund_voucher"), type_="check")
        batch.drop_column("voucher_fen")
    allow_methods(METHODS)
