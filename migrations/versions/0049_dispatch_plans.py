"""On which days cooperatives deliver; see `ordering/dispatch`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

KEYS = [("cooperative_id", "version"), ("id",)]


def upgrade() -> None:
    op.create_table(
        "dispatch_plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("weekdays", sa.Integer(), nullable=False),
        sa.Column("lead_days", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_dispatch_plan_version")),
        sa.CheckConstraint("weekdays BETWEEN 1 AND 127", name=op.f("ck_dispatch_plan_weekdays")),
        sa.CheckConstraint("lead_days BETWEEN 0 AND 30", name=op.f("ck_dispatch_plan_lead_days")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_dispatch_plan_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user_account.id"], name=op.f("fk_dispatch_plan_created_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_plan")),
        sa.UniqueConstraint(
            "cooperative_id", "version", name=op.f("uq_dispatch_plan_cooperative_id_version")
        ),
    )
    for statement in append_only_statements("dispatch_plan", op.get_bind().dialect.name, keys=KEYS):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("dispatch_plan")
