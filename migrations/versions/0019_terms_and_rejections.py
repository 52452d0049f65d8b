"""What a unit's order and its parts carry besides: terms of payment, a wished day, union purchases, and the states and
moves of goods that are rejected, replaced, contested or returned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATES = (
    "awaiting_approval", "awaiting_payment", "placed", "confirmed", "shipped", "received", "accepted", "cancelled",
)  # fmt: skip
NEW_STATES = ("part_rejected", "disputed", "returned")
EVENTS = ("approve", "reject", "pay", "expire", "cancel", "confirm", "decline", "ship", "receive", "accept")
NEW_EVENTS = (
    "deem_accepted", "reject_goods", "agree_rejection", "agree_return", "replace", "contest", "withdraw_rejection",
    "invoice", "evaluate",
)  # fmt: skip
STATUTORY = """
UPDATE customer_order SET payment_days = 30, payment_start = 'inspection', late_rate_bp = 5,
    payment_basis = '国务院令第 728 号（第 802 号修订）'
WHERE buyer_unit_id IS NOT NULL
"""


def codes(column: str, values: tuple[str, ...]) -> str:
    """The text of a column's check on its codes."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def allow(table: str, column: str, values: tuple[str, ...]) -> None:
    """Replace the check on the codes of a column."""
    with op.batch_alter_table(table) as batch:
        batch.drop_constraint(op.f(f"ck_{table}_{column}"), type_="check")
        batch.create_check_constraint(op.f(f"ck_{table}_{column}"), codes(column, values))


def guard_history() -> None:
    """Copying a table on SQLite leaves its triggers behind."""
    if op.get_bind().dialect.name == "sqlite":
        for statement in append_only_statements("part_change", "sqlite", keys=[("id",)]):
            op.execute(statement)


def upgrade() -> None:
    allow("customer_order", "kind", ("personal", "canteen", "union"))
    allow("cart_line", "kind", ("personal", "canteen", "union"))
    allow("order_part", "state", STATES + NEW_STATES)
    allow("part_change", "state", STATES + NEW_STATES)
    allow("part_change", "event", EVENTS + NEW_EVENTS)
    guard_history()
    with op.batch_alter_table("customer_order") as batch:
        batch.add_column(sa.Column("deliver_on", sa.Date(), nullable=True))
        batch.add_column(sa.Column("payment_days", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("payment_start", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("late_rate_bp", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("payment_basis", sa.String(length=200), nullable=False, server_default=""))
    op.execute(STATUTORY)
    with op.batch_alter_table("customer_order") as batch:
        batch.alter_column("payment_basis", server_default=None)
        batch.drop_constraint(op.f("ck_customer_order_unit_of_canteen"), type_="check")
        batch.create_check_constraint(
            op.f("ck_customer_order_unit_of_kind"), "(kind = 'personal') = (buyer_unit_id IS NULL)"
        )
        batch.create_check_constraint(
            op.f("ck_customer_order_payment_start"), codes("payment_start", ("delivery", "inspection"))
        )
        batch.create_check_constraint(
            op.f("ck_customer_order_terms_of_unit"),
            "(buyer_unit_id IS NULL) = (payment_days IS NULL) AND (buyer_unit_id IS NULL) = (payment_start IS NULL)"
            " AND (buyer_unit_id IS NULL) = (late_rate_bp IS NULL)",
        )
        batch.create_check_constraint(
            op.f("ck_customer_order_payment_days"), "payment_days >= 1 AND payment_days <= 60"
        )
        batch.create_check_constraint(
            op.f("ck_customer_order_late_rate"), "late_rate_bp >= 0 AND late_rate_bp <= 100"
        )
    with op.batch_alter_table("order_part") as batch:
        batch.add_column(sa.Column("invoiced_at", db.UtcInstant(timezone=True), nullable=True))
        batch.add_column(sa.Column("evaluated_at", db.UtcInstant(timezone=True), nullable=True))
        batch.create_check_constraint(
            op.f("ck_order_part_evaluated"),
            "evaluated_at IS NULL OR (accepted_at IS NOT NULL AND paid_at IS NOT NULL)",
        )
        batch.create_check_constraint(
            op.f("ck_order_part_invoiced"), "invoiced_at IS NULL OR accepted_at IS NOT NULL"
        )


def downgrade() -> None:
    with op.batch_alter_table("order_part") as batch:
        batch.drop_constraint(op.f("ck_order_part_evaluated"), type_="check")
        batch.drop_constraint(op.f("ck_order_part_invoiced"), type_="check")
        batch.drop_column("invoiced_at")
        batch.drop_column("evaluated_at")
    with op.batch_alter_table("customer_order") as batch:
        for name in ("unit_of_kind", "payment_start", "terms_of_unit", "payment_days", "late_rate"):
            batch.drop_constraint(op.f(f"ck_customer_order_{name}"), type_="check")
        for column in ("deliver_on", "payment_days", "payment_start", "late_rate_bp", "payment_basis"):
            batch.drop_column(column)
        batch.create_check_constraint(
            op.f("ck_customer_order_unit_of_canteen"), "(kind = 'canteen') = (buyer_unit_id IS NOT NULL)"
        )
    allow("part_change", "event", EVENTS)
    allow("part_change", "state", STATES)
    allow("order_part", "state", STATES)
    allow("cart_line", "kind", ("personal", "canteen"))
    allow("customer_order", "kind", ("personal", "canteen"))
    guard_history()
