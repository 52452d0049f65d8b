"""Income slips.

What a household's slip said when it was issued, and withdrawals; see `marketplace/payments/slips`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "income_slip": [("household_id", "idempotency_key"), ("id",), ("public_no",), ("token",)],
    "income_slip_withdrawal": [("slip_id",)],
}


def upgrade() -> None:
    op.create_table(
        "income_slip",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=True),
        sa.Column("since_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("issued_by", sa.Integer(), nullable=False),
        sa.Column("issued_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("until_on >= since_on", name=op.f("ck_income_slip_span")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_income_slip_household_id")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_income_slip_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["issued_by"], ["user_account.id"], name=op.f("fk_income_slip_issued_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_income_slip")),
        sa.UniqueConstraint(
            "household_id", "idempotency_key", name=op.f("uq_income_slip_household_id_idempotency_key")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_income_slip_public_no")),
        sa.UniqueConstraint("token", name=op.f("uq_income_slip_token")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_income_slip_cooperative_id"), "income_slip", ["cooperative_id"], unique=False)
    op.create_index("ix_income_slip_household", "income_slip", ["household_id", "id"], unique=False)
    op.create_table(
        "income_slip_withdrawal",
        sa.Column("slip_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("withdrawn_by", sa.Integer(), nullable=False),
        sa.Column("withdrawn_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_income_slip_withdrawal_reason")),
        sa.ForeignKeyConstraint(
            ["slip_id"], ["income_slip.id"], name=op.f("fk_income_slip_withdrawal_slip_id")
        ),
        sa.ForeignKeyConstraint(
            ["withdrawn_by"], ["user_account.id"], name=op.f("fk_income_slip_withdrawal_withdrawn_by")
        ),
        sa.PrimaryKeyConstraint("slip_id", name=op.f("pk_income_slip_withdrawal")),
        info={"append_only": True},
    )
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("income_slip_withdrawal")
    op.drop_table("income_slip")
