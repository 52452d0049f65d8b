"""Orders before the harvest, their deposits, and the account that deposits are held in.

The tables of `marketplace/procurement/forward` and `marketplace/payments/deposits`; see their models for what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0023"
down_revision = "0023a"
branch_labels = None
depends_on = None

HISTORY = {
    "forward_change": [("id",)],
    "forward_delivery": [("id",), ("order_id",)],
    "deposit_move": [("entry_id",), ("id",)],
}

KINDS = {  # who owns an account of each kind
    "clearing": ("channel",),
    "buyer_receivable": ("buyer_unit_id",),
    "order_escrow": ("cooperative_id",),
    "cooperative_payable": ("cooperative_id",),
    "cooperative_unallocated": ("cooperative_id",),
    "village_payable": ("cooperative_id", "village_code"),
    "household_payable": ("cooperative_id", "household_id"),
    "payout_clearing": ("cooperative_id",),
    "bank": (),
    "fees": ("channel",),
}
NEW_KINDS = {"deposit_held": ("cooperative_id", "buyer_unit_id")}
ACCOUNT_KEYS = [("id",), ("key",)]


def upgrade() -> None:
    allow_accounts({**KINDS, **NEW_KINDS})
    op.create_table(
        "forward_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("unit_name", sa.String(length=10), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("net_mass_g", sa.Integer(), nullable=False),
        sa.Column("price_fen_per_kg", sa.BigInteger(), nullable=False),
        sa.Column("floor_fen_per_kg", sa.BigInteger(), nullable=False),
        sa.Column("deposit_bp", sa.Integer(), nullable=False),
        sa.Column("deposit_fen", sa.BigInteger(), nullable=False),
        sa.Column("harvest_on", sa.Date(), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "awaiting",
                "proposed",
                "confirmed",
                "active",
                "done",
                "ended",
                "declined",
                "withdrawn",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("delivered_units", sa.Integer(), nullable=False),
        sa.Column("ordered_by", sa.Integer(), nullable=False),
        sa.Column("approved_by", sa.Integer(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("ordered_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state IN ('ended', 'declined', 'withdrawn')) = (reason <> '')",
            name=op.f("ck_forward_order_reason"),
        ),
        sa.CheckConstraint(
            "approved_by IS NOT NULL OR state IN ('awaiting', 'withdrawn')",
            name=op.f("ck_forward_order_approved"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> ordered_by", name=op.f("ck_forward_order_separate_duties")
        ),
        sa.CheckConstraint("delivered_units = 0 OR lot_id IS NOT NULL", name=op.f("ck_forward_order_lot")),
        sa.CheckConstraint(
            "delivered_units >= 0 AND delivered_units <= units", name=op.f("ck_forward_order_delivered")
        ),
        sa.CheckConstraint(
            "deposit_bp > 0 AND deposit_bp <= 10000 AND deposit_fen > 0",
            name=op.f("ck_forward_order_deposit"),
        ),
        sa.CheckConstraint(
            "floor_fen_per_kg > 0 AND floor_fen_per_kg <= price_fen_per_kg",
            name=op.f("ck_forward_order_prices"),
        ),
        sa.CheckConstraint("units > 0 AND net_mass_g > 0", name=op.f("ck_forward_order_positive")),
        sa.ForeignKeyConstraint(
            ["approved_by"], ["user_account.id"], name=op.f("fk_forward_order_approved_by")
        ),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_forward_order_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_forward_order_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_forward_order_listing_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_forward_order_lot_id")),
        sa.ForeignKeyConstraint(
            ["ordered_by"], ["user_account.id"], name=op.f("fk_forward_order_ordered_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forward_order")),
        sa.UniqueConstraint(
            "ordered_by", "idempotency_key", name=op.f("uq_forward_order_ordered_by_idempotency_key")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_forward_order_public_no")),
    )
    op.create_index(
        "ix_forward_order_cooperative", "forward_order", ["cooperative_id", "state", "id"], unique=False
    )
    op.create_index(op.f("ix_forward_order_listing_id"), "forward_order", ["listing_id"], unique=False)
    op.create_index(op.f("ix_forward_order_lot_id"), "forward_order", ["lot_id"], unique=False)
    op.create_index("ix_forward_order_unit", "forward_order", ["buyer_unit_id", "id"], unique=False)
    op.create_table(
        "forward_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("forward_id", sa.Integer(), nullable=False),
        sa.Column(
            "event",
            sa.Enum(
                "order",
                "approve",
                "reject",
                "confirm",
                "decline",
                "withdraw",
                "pay_deposit",
                "name_lot",
                "deliver",
                "finish",
                "end",
                name="event",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "awaiting",
                "proposed",
                "confirmed",
                "active",
                "done",
                "ended",
                "declined",
                "withdrawn",
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
        sa.ForeignKeyConstraint(
            ["forward_id"], ["forward_order.id"], name=op.f("fk_forward_change_forward_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forward_change")),
    )
    op.create_index(op.f("ix_forward_change_forward_id"), "forward_change", ["forward_id"], unique=False)
    op.create_table(
        "forward_delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("forward_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("arranged_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("units > 0 AND unit_price_fen > 0", name=op.f("ck_forward_delivery_positive")),
        sa.ForeignKeyConstraint(
            ["forward_id"], ["forward_order.id"], name=op.f("fk_forward_delivery_forward_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["customer_order.id"], name=op.f("fk_forward_delivery_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forward_delivery")),
        sa.UniqueConstraint("order_id", name=op.f("uq_forward_delivery_order_id")),
    )
    op.create_index(op.f("ix_forward_delivery_forward_id"), "forward_delivery", ["forward_id"], unique=False)
    op.create_table(
        "deposit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("forward_id", sa.Integer(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "paid",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("used_fen", sa.BigInteger(), nullable=False),
        sa.Column("returned_fen", sa.BigInteger(), nullable=False),
        sa.Column("remittance_code", sa.String(length=12), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("paid_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("bank_line_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_deposit_paid")),
        sa.CheckConstraint(
            "state = 'paid' OR used_fen + returned_fen = 0", name=op.f("ck_deposit_only_what_came")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_deposit_amount")),
        sa.CheckConstraint("used_fen + returned_fen <= amount_fen", name=op.f("ck_deposit_within")),
        sa.CheckConstraint("used_fen >= 0 AND returned_fen >= 0", name=op.f("ck_deposit_not_negative")),
        sa.ForeignKeyConstraint(["bank_line_id"], ["bank_line.id"], name=op.f("fk_deposit_bank_line_id")),
        sa.ForeignKeyConstraint(["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_deposit_buyer_unit_id")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_deposit_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["forward_id"], ["forward_order.id"], name=op.f("fk_deposit_forward_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposit")),
        sa.UniqueConstraint("bank_line_id", name=op.f("uq_deposit_bank_line_id")),
        sa.UniqueConstraint("forward_id", name=op.f("uq_deposit_forward_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_deposit_public_no")),
        sa.UniqueConstraint("remittance_code", name=op.f("uq_deposit_remittance_code")),
    )
    op.create_index(op.f("ix_deposit_cooperative_id"), "deposit", ["cooperative_id"], unique=False)
    op.create_index("ix_deposit_state", "deposit", ["state", "id"], unique=False)
    op.create_index("ix_deposit_unit", "deposit", ["buyer_unit_id", "id"], unique=False)
    op.create_table(
        "deposit_move",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("deposit_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "received",
                "set_off",
                "restored",
                "returned",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("moved_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind IN ('set_off', 'restored')) = (payment_id IS NOT NULL)", name=op.f("ck_deposit_move_bill")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_deposit_move_amount")),
        sa.ForeignKeyConstraint(["deposit_id"], ["deposit.id"], name=op.f("fk_deposit_move_deposit_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_deposit_move_entry_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_deposit_move_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposit_move")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_deposit_move_entry_id")),
    )
    op.create_index(op.f("ix_deposit_move_deposit_id"), "deposit_move", ["deposit_id"], unique=False)
    op.create_index(op.f("ix_deposit_move_payment_id"), "deposit_move", ["payment_id"], unique=False)
    op.create_table(
        "deposit_return",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("deposit_id", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("serial_no", sa.String(length=60), nullable=True),
        sa.Column("returned_by", sa.Integer(), nullable=True),
        sa.Column("returned_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("amount_fen > 0 AND reason <> ''", name=op.f("ck_deposit_return_amount")),
        sa.CheckConstraint(
            "(serial_no IS NULL) = (returned_at IS NULL)", name=op.f("ck_deposit_return_returned")
        ),
        sa.ForeignKeyConstraint(["deposit_id"], ["deposit.id"], name=op.f("fk_deposit_return_deposit_id")),
        sa.ForeignKeyConstraint(
            ["returned_by"], ["user_account.id"], name=op.f("fk_deposit_return_returned_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposit_return")),
        sa.UniqueConstraint("deposit_id", name=op.f("uq_deposit_return_deposit_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_deposit_return_public_no")),
        sa.UniqueConstraint("serial_no", name=op.f("uq_deposit_return_serial_no")),
    )
    op.create_index("ix_deposit_return_waiting", "deposit_return", ["returned_at", "id"], unique=False)
    for table, keys in HISTORY.items():
        guard(table, keys)


def allow_accounts(kinds: dict[str, tuple[str, ...]]) -> None:
    """Renew the checks on the kinds of accounts and on who owns them."""
    checks = {"kind": f"kind IN ({quoted(kinds)})"}
    for column in ("cooperative_id", "buyer_unit_id"):
        owned = [kind for kind, owners in kinds.items() if column in owners]
        checks[f"owner_{column}"] = f"(kind IN ({quoted(owned)})) = ({column} IS NOT NULL)"
    with op.batch_alter_table("account") as batch:
        for name, condition in checks.items():
            batch.drop_constraint(op.f(f"ck_account_{name}"), type_="check")
            batch.create_check_constraint(op.f(f"ck_account_{name}"), condition)
    if op.get_bind().dialect.name == "sqlite":  # copying a table leaves its triggers behind
        guard("account", ACCOUNT_KEYS)


def quoted(codes: Iterable[str]) -> str:
    """Codes as a list in SQL."""
    return ", ".join(repr(code) for code in codes)


def guard(table: str, keys: Sequence[tuple[str, ...]]) -> None:
    """Let the database refuse any change to history."""
    for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("deposit_return")
    op.drop_table("deposit_move")
    op.drop_table("deposit")
    op.drop_table("forward_delivery")
    op.drop_table("forward_change")
    op.drop_table("forward_order")
    allow_accounts(KINDS)
