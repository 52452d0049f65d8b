"""A roster's check can be stopped, and a reader's first steps are shown until they are put away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0038"
down_revision = "0036a"
branch_labels = None
depends_on = None

STATES = ("uploaded", "checking", "checked", "taking", "taken", "failed")


def upgrade() -> None:
    allow_states((*STATES, "stopped"))
    op.add_column("user_account", sa.Column("tour_put_away_at", db.UtcInstant(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("user_account", "tour_put_away_at")
    op.execute("UPDATE roster_import SET state = 'uploaded' WHERE state = 'stopped'")
    allow_states(STATES)


def allow_states(states: tuple[str, ...]) -> None:
    """Let an import be in one of these states and in no other."""
    quoted = ", ".join(f"'{state}'" for state in states)
    with op.batch_alter_table("roster_import") as batch:
        batch.drop_constraint(op.f("ck_roster_import_state"), type_="check")
        batch.create_check_constraint(op.f("ck_roster_import_state"), f"state IN ({quoted})")
