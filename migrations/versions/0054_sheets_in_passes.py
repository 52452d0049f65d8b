"""Long sheets are checked and taken pass by pass: how far each is, who asked for it, and whether it was stopped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

TABLES = ("evidence_sheet", "catalog_sheet")
STATES = ("checked", "taken")
GOING_ON = ("checking", "taking")
SWEPT = "state IN ('checking', 'taking') AND stopped_at IS NULL"
COUNTS = ("rows_total", "rows_done")


def upgrade() -> None:
    for table in TABLES:
        for column in COUNTS:
            op.add_column(table, sa.Column(column, sa.Integer(), nullable=True))
        op.execute(f"UPDATE {table} SET rows_total = rows_good + rows_bad, rows_done = rows_good + rows_bad")  # noqa: S608
        with op.batch_alter_table(table) as batch:
            for column in COUNTS:
                batch.alter_column(column, existing_type=sa.Integer(), nullable=False)
            batch.add_column(sa.Column("asked_by", sa.Integer(), nullable=True))
            batch.add_column(sa.Column("stopped_at", db.UtcInstant(timezone=True), nullable=True))
            batch.create_foreign_key(op.f(f"fk_{table}_asked_by"), "user_account", ["asked_by"], ["id"])
            batch.create_check_constraint(
                op.f(f"ck_{table}_rows_done"), "rows_done >= 0 AND rows_done <= rows_total"
            )
            batch.create_check_constraint(
                op.f(f"ck_{table}_stopped"), "stopped_at IS NULL OR rows_done < rows_total"
            )
        allow_states(table, (*STATES, *GOING_ON))
        op.create_index(
            f"ix_{table}_going_on",
            table,
            ["id"],
            sqlite_where=sa.text(SWEPT),
            postgresql_where=sa.text(SWEPT),
        )
    op.add_column("evidence_sheet", sa.Column("household_ids", sa.JSON(), nullable=True))
    op.execute("UPDATE evidence_sheet SET household_ids = '[]'")
    with op.batch_alter_table("evidence_sheet") as batch:
        batch.alter_column("household_ids", existing_type=sa.JSON(), nullable=False)


def downgrade() -> None:
    op.drop_column("evidence_sheet", "household_ids")
    for table in TABLES:
        op.drop_index(f"ix_{table}_going_on", table_name=table)
        op.execute(f"UPDATE {table} SET state = 'checked' WHERE state IN {GOING_ON}")  # noqa: S608
        allow_states(table, STATES)
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"ck_{table}_stopped"), type_="check")
            batch.drop_constraint(op.f(f"ck_{table}_rows_done"), type_="check")
            batch.drop_constraint(op.f(f"fk_{table}_asked_by"), type_="foreignkey")
            for column in ("stopped_at", "asked_by", *COUNTS):
                batch.drop_column(column)


def allow_states(table: str, states: tuple[str, ...]) -> None:
    """Let a sheet be in one of these states and in no other."""
    quoted = ", ".join(f"'{state}'" for state in states)
    with op.batch_alter_table(table) as batch:
        batch.drop_constraint(op.f(f"ck_{table}_state"), type_="check")
        batch.create_check_constraint(op.f(f"ck_{table}_state"), f"state IN ({quoted})")
