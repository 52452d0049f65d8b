"""A form that is sent twice makes one product and one story; see `add_product` and `save_story`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

TABLES = ("product", "story")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("idempotency_key", sa.String(length=64), nullable=True))
        op.create_index(
            f"uq_{table}_idempotency_key", table, ["cooperative_id", "idempotency_key"], unique=True
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_index(f"uq_{table}_idempotency_key", table_name=table)
        op.drop_column(table, "idempotency_key")
