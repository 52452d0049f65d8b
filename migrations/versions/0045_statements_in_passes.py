"""Bank statements taken in pass by pass: how far each is, and whether it was stopped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bank_statement", sa.Column("lines_done", sa.Integer(), nullable=True))
    op.execute("UPDATE bank_statement SET lines_done = lines_total")
    with op.batch_alter_table("bank_statement") as batch:
        batch.alter_column("lines_done", existing_type=sa.Integer(), nullable=False)
        batch.add_column(sa.Column("stopped_at", db.UtcInstant(timezone=True), nullable=True))
        batch.add_column(sa.Column("trouble", sa.JSON(), nullable=True))
        batch.create_check_constraint(
            op.f("ck_bank_statement_lines_done"), "lines_done >= 0 AND lines_done <= lines_total"
        )
        batch.create_check_constraint(
            op.f("ck_bank_statement_stopped"), "stopped_at IS NULL OR lines_done < lines_total"
        )


def downgrade() -> None:
    with op.batch_alter_table("bank_statement") as batch:
        batch.drop_constraint(op.f("ck_bank_statement_stopped"), type_="check")
        batch.drop_constraint(op.f("ck_bank_statement_lines_done"), type_="check")
        for column in ("trouble", "stopped_at", "lines_done"):
            batch.drop_column(column)
