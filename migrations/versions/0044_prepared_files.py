"""Files that people ask for and the worker makes; see `marketplace/identity/downloads`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

STATES = ("waiting", "running", "ready", "cancelled", "failed", "expired")
CHECKS = {
    "finished": "(state IN ('waiting', 'running')) = (finished_at IS NULL)",
    "open": "(finished_at IS NULL) = (open_key IS NOT NULL)",
    "expires": "(state IN ('ready', 'expired')) = (expires_at IS NOT NULL)",
    "reason": "(state = 'failed') = (reason <> '')",
    "not_negative": "done_count >= 0 AND total_count >= 0 AND size_bytes >= 0 AND attempt >= 0",
}


def upgrade() -> None:
    instant = db.UtcInstant(timezone=True)
    op.create_table(
        "prepared_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("asked_at", instant, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("locale", sa.String(length=10), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*STATES, name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("open_key", sa.String(length=64), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("done_count", sa.Integer(), nullable=False),
        sa.Column("total_count", sa.Integer(), nullable=False),
        sa.Column("progressed_at", instant, nullable=True),
        sa.Column("finished_at", instant, nullable=True),
        sa.Column("expires_at", instant, nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_prepared_file_{name}")) for name, rule in CHECKS.items()),
        sa.ForeignKeyConstraint(["asked_by"], ["user_account.id"], name=op.f("fk_prepared_file_asked_by")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_prepared_file_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prepared_file")),
        sa.UniqueConstraint("public_no", name=op.f("uq_prepared_file_public_no")),
        sa.UniqueConstraint("asked_by", "open_key", name=op.f("uq_prepared_file_asked_by_open_key")),
    )
    op.create_index("ix_prepared_file_asked_by", "prepared_file", ["asked_by", "id"])
    op.create_index("ix_prepared_file_state", "prepared_file", ["state", "id"])


def downgrade() -> None:
    op.drop_table("prepared_file")
