"""Parts that are due to settle.

When a part had nothing left to settle, and a small index of those that have; see `marketplace/payments/due_lines`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

DUE = sa.text("accepted_at IS NOT NULL AND paid_at IS NOT NULL AND settled_at IS NULL")
CLOSE_SETTLED = """
UPDATE order_part SET settled_at = (
    SELECT max(settlement.settled_at) FROM settlement
    JOIN order_line ON order_line.id = settlement.line_id WHERE order_line.part_id = order_part.id
)
WHERE NOT EXISTS (
    SELECT 1 FROM order_line LEFT JOIN settlement ON settlement.line_id = order_line.id
    WHERE order_line.part_id = order_part.id AND settlement.line_id IS NULL
)
"""


def upgrade() -> None:
    op.add_column("order_part", sa.Column("settled_at", db.UtcInstant(timezone=True), nullable=True))
    op.execute(CLOSE_SETTLED)
    op.create_index("ix_order_part_due", "order_part", ["id"], sqlite_where=DUE, postgresql_where=DUE)


def downgrade() -> None:
    op.drop_index("ix_order_part_due", "order_part")
    op.drop_column("order_part", "settled_at")
