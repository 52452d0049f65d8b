"""Goods set aside for orders before the harvest, their agreed terms, and requests that are decided anew.

`lot.promised_g` and `forward_order.reserved_g` begin at nothing; what waits is set aside by the next sweep. An award
may become an order before the harvest, and a request has a further round when nothing came of an award.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0030"
down_revision = "0032"
branch_labels = None
depends_on = None

EVENTS = ("post", "amend", "open", "close", "withdraw", "award")
AWARD_KEYS = [("forward_id",), ("order_id",), ("request_id", "round")]
OLD_AWARD_KEYS = [("offer_id",), ("order_id",), ("request_id",)]
CHANGE_KEYS = [("id",)]
REOPENING_KEYS = [("forward_id",), ("order_id",), ("request_id", "round")]
AGREED = (
    "agreed_fen > 0 AND payment_days >= 1 AND payment_days <= 60 AND payment_start IS NOT NULL"
    " AND late_rate_bp >= 0 AND late_rate_bp <= 100 AND payment_basis <> ''"
    " OR agreed_fen IS NULL AND payment_days IS NULL AND payment_start IS NULL AND late_rate_bp IS NULL"
    " AND payment_basis = ''"
)
RESERVED = (
    "reserved_g >= 0 AND reserved_g <= units * net_mass_g"
    " AND (reserved_g = 0 OR (lot_id IS NOT NULL AND state IN ('confirmed', 'active')))"
)


def upgrade() -> None:
    _balance_lots(
        promised=True,
        not_negative="received_g >= 0 AND committed_g >= 0 AND promised_g >= 0",
        mass_balance="(committed_g + promised_g) * 10000 <= received_g * yield_bp",
    )
    _agree_forward_orders()
    _allow_events((*EVENTS, "reopen"))
    op.create_table(
        "request_reopening",
        sa.Column("request_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("forward_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("reopened_by", sa.Integer(), nullable=True),
        sa.Column("reopened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(order_id IS NULL) <> (forward_id IS NULL)", name=op.f("ck_request_reopening_one_order")
        ),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_request_reopening_reason")),
        sa.CheckConstraint("round >= 2", name=op.f("ck_request_reopening_round")),
        sa.ForeignKeyConstraint(
            ["forward_id"], ["forward_order.id"], name=op.f("fk_request_reopening_forward_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["customer_order.id"], name=op.f("fk_request_reopening_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["reopened_by"], ["user_account.id"], name=op.f("fk_request_reopening_reopened_by")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["purchase_request.id"], name=op.f("fk_request_reopening_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "round", name=op.f("pk_request_reopening")),
        sa.UniqueConstraint("forward_id", name=op.f("uq_request_reopening_forward_id")),
        sa.UniqueConstraint("order_id", name=op.f("uq_request_reopening_order_id")),
    )
    _guard("request_reopening", REOPENING_KEYS)
    _count_rounds()


def _balance_lots(*, promised: bool, not_negative: str, mass_balance: str) -> None:
    if promised:
        with op.batch_alter_table("lot") as batch:
            batch.add_column(sa.Column("promised_g", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("lot") as batch:
        for name, condition in (("not_negative", not_negative), ("mass_balance", mass_balance)):
            batch.drop_constraint(op.f(f"ck_lot_{name}"), type_="check")
            batch.create_check_constraint(op.f(f"ck_lot_{name}"), condition)
        if promised:
            batch.alter_column("promised_g", server_default=None)
        else:
            batch.drop_column("promised_g")


def _agree_forward_orders() -> None:
    with op.batch_alter_table("forward_order") as batch:
        batch.add_column(sa.Column("reserved_g", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("agreed_fen", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("payment_days", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("payment_start", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("late_rate_bp", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("payment_basis", sa.String(length=200), nullable=False, server_default=""))
    with op.batch_alter_table("forward_order") as batch:
        batch.alter_column("reserved_g", server_default=None)
        batch.alter_column("payment_basis", server_default=None)
        batch.create_check_constraint(
            op.f("ck_forward_order_payment_start"), "payment_start IN ('delivery', 'inspection')"
        )
        batch.create_check_constraint(op.f("ck_forward_order_agreed"), AGREED)
        batch.create_check_constraint(op.f("ck_forward_order_reserved"), RESERVED)


def _allow_events(events: Iterable[str]) -> None:
    codes = ", ".join(repr(event) for event in events)
    with op.batch_alter_table("request_change") as batch:
        batch.drop_constraint(op.f("ck_request_change_event"), type_="check")
        batch.create_check_constraint(op.f("ck_request_change_event"), f"event IN ({codes})")
    _guard("request_change", CHANGE_KEYS)


def _count_rounds() -> None:
    _unguard("request_award")
    with op.batch_alter_table("request_award") as batch:
        batch.add_column(sa.Column("round", sa.Integer(), nullable=False, server_default="1"))
        batch.add_column(sa.Column("reopened_round", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("forward_id", sa.Integer(), nullable=True))
    with op.batch_alter_table("request_award") as batch:
        batch.alter_column("round", server_default=None)
        batch.alter_column("order_id", existing_type=sa.Integer(), nullable=True)
        batch.drop_constraint(op.f("uq_request_award_offer_id"), type_="unique")
        batch.drop_constraint(op.f("pk_request_award"), type_="primary")
        batch.create_primary_key(op.f("pk_request_award"), ["request_id", "round"])
        batch.create_unique_constraint(op.f("uq_request_award_forward_id"), ["forward_id"])
        batch.create_foreign_key(op.f("fk_request_award_forward_id"), "forward_order", ["forward_id"], ["id"])
        batch.create_foreign_key(
            "fk_request_award_reopened_round",
            "request_reopening",
            ["request_id", "reopened_round"],
            ["request_id", "round"],
        )
        batch.create_check_constraint(
            op.f("ck_request_award_one_order"), "(order_id IS NULL) <> (forward_id IS NULL)"
        )
        batch.create_check_constraint(
            op.f("ck_request_award_round"),
            "round >= 1 AND (round = 1) = (reopened_round IS NULL)"
            " AND (reopened_round IS NULL OR reopened_round = round)",
        )
        batch.create_index("ix_request_award_offer", ["offer_id"])
    _guard("request_award", AWARD_KEYS)


def _guard(table: str, keys: Sequence[tuple[str, ...]]) -> None:
    """Let the database refuse any change to history. On SQLite copying a table leaves its triggers behind."""
    for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
        op.execute(statement)


def _unguard(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":  # whose triggers name the keys
        for event in ("update", "delete", "replace"):
            op.execute(f"DROP TRIGGER IF EXISTS {table}_refuse_{event}")


def downgrade() -> None:
    _unguard("request_award")
    with op.batch_alter_table("request_award") as batch:
        batch.drop_index("ix_request_award_offer")
        batch.drop_constraint(op.f("ck_request_award_round"), type_="check")
        batch.drop_constraint(op.f("ck_request_award_one_order"), type_="check")
        batch.drop_constraint("fk_request_award_reopened_round", type_="foreignkey")
        batch.drop_constraint(op.f("fk_request_award_forward_id"), type_="foreignkey")
        batch.drop_constraint(op.f("uq_request_award_forward_id"), type_="unique")
        batch.drop_constraint(op.f("pk_request_award"), type_="primary")
        batch.create_primary_key(op.f("pk_request_award"), ["request_id"])
        batch.create_unique_constraint(op.f("uq_request_award_offer_id"), ["offer_id"])
        batch.alter_column("order_id", existing_type=sa.Integer(), nullable=False)
    with op.batch_alter_table("request_award") as batch:
        for column in ("forward_id", "reopened_round", "round"):
            batch.drop_column(column)
    _guard("request_award", OLD_AWARD_KEYS)
    op.drop_table("request_reopening")
    _allow_events(EVENTS)
    with op.batch_alter_table("forward_order") as batch:
        for name in ("reserved", "agreed", "payment_start"):
            batch.drop_constraint(op.f(f"ck_forward_order_{name}"), type_="check")
        for column in ("payment_basis", "late_rate_bp", "payment_start", "payment_days", "agreed_fen"):
            batch.drop_column(column)
        batch.drop_column("reserved_g")
    _balance_lots(
        promised=False,
        not_negative="received_g >= 0 AND committed_g >= 0",
        mass_balance="committed_g * 10000 <= received_g * yield_bp",
    )
