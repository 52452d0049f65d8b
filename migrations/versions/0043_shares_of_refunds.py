"""What each payment gives back for a refund, and what each cooperative bears of a lost dispute.

A refund of an order paid in several ways had one serial number for two transfers. Refunds agreed before keep the way
they were to be sent; what vouchers paid of them becomes a share of its own. See
`marketplace/payments/refunds/ways.py` and `marketplace/payments/disputes/rules.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

WAITING = sa.text("buyer_unit_id IS NOT NULL AND returned_at IS NULL")
GONE_BACK = "('agreed', 'sent', 'failed', 'returned')"
CHAIN = "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)"


def upgrade() -> None:
    op.create_index("uq_payment_amount", "payment", ["id", "amount_fen"], unique=True)
    change_refunds()
    create_losses()
    create_shares()
    keep_losses()
    keep_shares()


def change_refunds() -> None:
    """Room for what a lost dispute took; what vouchers alone paid has their method."""
    with op.batch_alter_table("refund") as batch:
        batch.drop_constraint(op.f("ck_refund_voucher_way"), type_="check")
        batch.drop_constraint(op.f("ck_refund_decided_by_somebody"), type_="check")
        batch.add_column(sa.Column("lost_fen", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("dispute_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(op.f("fk_refund_dispute_id"), "payment_dispute", ["dispute_id"], ["id"])
        batch.create_unique_constraint(op.f("uq_refund_dispute_id_part_id"), ["dispute_id", "part_id"])
        batch.create_check_constraint(
            op.f("ck_refund_decided_by_somebody"),
            "(decided_at IS NULL) = (decided_by IS NULL) OR dispute_id IS NOT NULL",
        )
        batch.create_check_constraint(
            op.f("ck_refund_lost"), "lost_fen >= 0 AND voucher_fen + lost_fen <= amount_fen + freight_fen"
        )
        batch.create_check_constraint(
            op.f("ck_refund_lost_by_dispute"), "lost_fen = 0 OR dispute_id IS NOT NULL"
        )
    op.execute(
        "UPDATE refund SET method = 'voucher' WHERE voucher_fen > 0 AND voucher_fen = amount_fen + freight_fen"
    )
    with op.batch_alter_table("refund") as batch:
        batch.create_check_constraint(
            op.f("ck_refund_voucher_way"),
            "method <> 'voucher' OR voucher_fen = amount_fen + freight_fen - lost_fen",
        )


def create_losses() -> None:
    """What each cooperative bears of a lost dispute."""
    op.create_table(
        "dispute_loss",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dispute_id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lost_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_dispute_loss_amount")),
        sa.ForeignKeyConstraint(
            ["dispute_id"], ["payment_dispute.id"], name=op.f("fk_dispute_loss_dispute_id")
        ),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_dispute_loss_part_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_dispute_loss_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_loss")),
        sa.UniqueConstraint("dispute_id", "part_id", name=op.f("uq_dispute_loss_dispute_id_part_id")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_dispute_loss_entry_id")),
    )
    op.create_index("ix_dispute_loss_part_id", "dispute_loss", ["part_id"])
    keys = (("id",), ("dispute_id", "part_id"), ("entry_id",))
    for statement in append_only_statements("dispute_loss", op.get_bind().dialect.name, keys=keys):
        op.execute(statement)


def create_shares() -> None:
    """What each payment gives back, as a chain."""
    op.create_table(
        "refund_share",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("refund_id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("payment_fen", sa.BigInteger(), nullable=True),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("before_fen", sa.BigInteger(), nullable=False),
        sa.Column("follows_fen", sa.BigInteger(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_fen", sa.BigInteger(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=True),
        sa.Column("serial_no", sa.String(length=60), nullable=True),
        sa.Column("returned_by", sa.Integer(), nullable=True),
        sa.Column("returned_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("amount_fen > 0 AND before_fen >= 0", name=op.f("ck_refund_share_positive")),
        sa.CheckConstraint("after_fen = before_fen + amount_fen", name=op.f("ck_refund_share_counts_up")),
        sa.CheckConstraint("after_fen <= paid_fen", name=op.f("ck_refund_share_not_more_than_paid")),
        sa.CheckConstraint(
            "payment_fen IS NULL OR payment_fen = paid_fen", name=op.f("ck_refund_share_paid")
        ),
        sa.CheckConstraint(CHAIN, name=op.f("ck_refund_share_chain")),
        sa.CheckConstraint(
            "returned_at IS NULL OR buyer_unit_id IS NOT NULL", name=op.f("ck_refund_share_to_unit")
        ),
        sa.CheckConstraint(
            "(returned_at IS NULL) = (serial_no IS NULL)", name=op.f("ck_refund_share_returned")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id", "follows_fen", "paid_fen"],
            ["refund_share.payment_id", "refund_share.after_fen", "refund_share.paid_fen"],
            name="fk_refund_share_follows",
        ),
        sa.ForeignKeyConstraint(
            ["payment_id", "payment_fen"], ["payment.id", "payment.amount_fen"], name="fk_refund_share_paid"
        ),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refund_share_refund_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_share_payment_id")),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_refund_share_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["returned_by"], ["user_account.id"], name=op.f("fk_refund_share_returned_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_share")),
        sa.UniqueConstraint("refund_id", "payment_id", name=op.f("uq_refund_share_refund_id_payment_id")),
        sa.UniqueConstraint("payment_id", "before_fen", name=op.f("uq_refund_share_payment_id_before_fen")),
        sa.UniqueConstraint("payment_id", "after_fen", "paid_fen", name="uq_refund_share_chain"),
        sa.UniqueConstraint("serial_no", name=op.f("uq_refund_share_serial_no")),
    )
    op.create_index(
        "ix_refund_share_waiting",
        "refund_share",
        ["refund_id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )


def keep_losses() -> None:
    """The losses of disputes lost before, from the entries that posted them."""
    op.execute(
        """
        INSERT INTO dispute_loss (dispute_id, part_id, amount_fen, entry_id, lost_at)
        SELECT dispute.id, part.id, transfer.amount_fen, entry.id, dispute.ended_at
        FROM entry
        JOIN transfer ON transfer.entry_id = entry.id
        JOIN payment_dispute AS dispute
            ON entry.subject_kind = 'payment_dispute' AND entry.subject_id = dispute.id
        JOIN payment ON payment.id = dispute.payment_id
        JOIN order_part AS part
            ON part.order_id = payment.order_id AND part.cooperative_id = entry.cooperative_id
        WHERE entry.kind = 'dispute_lost'
        ORDER BY entry.id
        """
    )


def keep_shares() -> None:
    """The shares of refunds agreed before: the buyer's own money, and what vouchers paid, in the order of the refunds."""
    op.execute(
        f"""
        INSERT INTO refund_share (refund_id, payment_id, payment_fen, paid_fen, before_fen, follows_fen, amount_fen,
                                  after_fen, buyer_unit_id, serial_no, returned_by, returned_at)
        SELECT refund_id, payment_id, payment_fen, paid_fen, after_fen - fen, nullif(after_fen - fen, 0), fen, after_fen,
               buyer_unit_id, serial_no, returned_by, returned_at
        FROM (
            SELECT one.*, sum(fen) OVER (PARTITION BY payment_id ORDER BY refund_id) AS after_fen
            FROM (
                SELECT refund.id AS refund_id, payment.id AS payment_id,
                       refund.amount_fen + refund.freight_fen - refund.voucher_fen AS fen,
                       {PAYMENT_FEN} AS payment_fen, {PAID_FEN} AS paid_fen, NULL AS buyer_unit_id,
                       NULL AS serial_no, NULL AS returned_by, NULL AS returned_at
                FROM refund
                JOIN payment ON payment.id = refund.payment_id
                JOIN order_part AS part ON part.id = refund.part_id
                WHERE refund.state IN {GONE_BACK}
                    AND refund.voucher_fen < refund.amount_fen + refund.freight_fen
                UNION ALL
                SELECT refund.id, payment.id, refund.voucher_fen, {PAYMENT_FEN}, {PAID_FEN}, {UNIT},
                       CASE WHEN refund.state <> 'returned' THEN NULL
                            WHEN refund.method = 'voucher' THEN refund.serial_no
                            ELSE substr(coalesce(refund.serial_no, refund.public_no), 1, 56) || ' (2)' END,
                       CASE WHEN refund.state = 'returned' THEN refund.returned_by END,
                       CASE WHEN refund.state = 'returned' THEN refund.returned_at END
                FROM refund
                JOIN payment AS own ON own.id = refund.payment_id
                JOIN payment ON payment.id = CASE
                    WHEN own.part_id IS NOT NULL OR own.method = 'voucher' THEN own.id
                    ELSE (SELECT min(id) FROM payment AS paid WHERE paid.order_id = refund.order_id
                          AND paid.method = 'voucher' AND paid.state = 'paid') END
                JOIN order_part AS part ON part.id = refund.part_id
                WHERE refund.state IN {GONE_BACK} AND refund.voucher_fen > 0
            ) AS one
        ) AS counted
        ORDER BY payment_id, after_fen
        """  # noqa: S608 - the parts are constants of this file
    )
    op.execute(
        "UPDATE refund SET serial_no = NULL, returned_by = NULL WHERE method = 'voucher' AND serial_no IS NOT NULL"
    )


PAYMENT_FEN = "CASE WHEN payment.part_id IS NULL THEN payment.amount_fen END"
PAID_FEN = """CASE WHEN payment.part_id IS NULL THEN payment.amount_fen ELSE part.total_fen - coalesce(
    (SELECT sum(off.amount_fen) FROM refund AS off WHERE off.part_id = part.id AND off.state = 'reduced'), 0) END"""
UNIT = """(SELECT min(batch.buyer_unit_id) FROM voucher JOIN voucher_batch AS batch ON batch.id = voucher.batch_id
    WHERE voucher.order_id = refund.order_id AND voucher.cooperative_id = refund.cooperative_id
        AND voucher.used_fen > 0)"""


def downgrade() -> None:
    op.execute("UPDATE refund SET method = 'bank_transfer' WHERE voucher_fen > 0 AND method IS NOT NULL")
    op.drop_table("refund_share")
    op.drop_table("dispute_loss")
    with op.batch_alter_table("refund") as batch:
        for name in ("voucher_way", "lost_by_dispute", "lost", "decided_by_somebody"):
            batch.drop_constraint(op.f(f"ck_refund_{name}"), type_="check")
        batch.drop_constraint(op.f("uq_refund_dispute_id_part_id"), type_="unique")
        batch.drop_constraint(op.f("fk_refund_dispute_id"), type_="foreignkey")
        batch.drop_column("dispute_id")
        batch.drop_column("lost_fen")
    with op.batch_alter_table("refund") as batch:
        batch.create_check_constraint(
            op.f("ck_refund_decided_by_somebody"), "(decided_at IS NULL) = (decided_by IS NULL)"
        )
        batch.create_check_constraint(
            op.f("ck_refund_voucher_way"), "voucher_fen = 0 OR method = 'bank_transfer'"
        )
    op.drop_index("uq_payment_amount", table_name="payment")
