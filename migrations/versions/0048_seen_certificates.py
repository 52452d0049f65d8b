"""A cart keeps which certificates its owner saw; see `ordering/cart_changes.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cart_line", sa.Column("seen_certificates", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("cart_line", "seen_certificates")
