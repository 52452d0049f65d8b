"""Rebuilds of the search index that an operator asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0031a"
down_revision = "0033"
branch_labels = None
depends_on = None

STATES = ("waiting", "running", "done", "cancelled", "failed")


def upgrade() -> None:
    op.create_table(
        "index_rebuild",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*STATES, name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("open_mark", sa.Integer(), nullable=True),
        sa.Column("done_count", sa.Integer(), nullable=False),
        sa.Column("total_count", sa.Integer(), nullable=False),
        sa.Column("progressed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("cancel_asked_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("finished_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "(state IN ('waiting', 'running')) = (finished_at IS NULL)",
            name=op.f("ck_index_rebuild_finished"),
        ),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (open_mark IS NOT NULL)", name=op.f("ck_index_rebuild_open")
        ),
        sa.CheckConstraint("open_mark = 1", name=op.f("ck_index_rebuild_open_mark")),
        sa.CheckConstraint("done_count >= 0 AND total_count >= 0", name=op.f("ck_index_rebuild_counts")),
        sa.ForeignKeyConstraint(["asked_by"], ["user_account.id"], name=op.f("fk_index_rebuild_asked_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_rebuild")),
        sa.UniqueConstraint("public_no", name=op.f("uq_index_rebuild_public_no")),
    )
    op.create_index("uq_index_rebuild_open", "index_rebuild", ["open_mark"], unique=True)


def downgrade() -> None:
    op.drop_table("index_rebuild")
