"""A bank may inquire about a payment before it takes the money: two further states of a dispute."""

from __future__ import annotations

from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

STATES = ("needs_answer", "under_review", "won", "lost")
ENDED = ("won", "lost")


def upgrade() -> None:
    allow_states((*STATES, "inquiry", "closed"), (*ENDED, "closed"))


def downgrade() -> None:
    op.execute("DELETE FROM payment_dispute WHERE state IN ('inquiry', 'closed')")  # they moved nothing
    allow_states(STATES, ENDED)


def allow_states(states: tuple[str, ...], ended: tuple[str, ...]) -> None:
    """Let a dispute be in one of these states, and have ended in some of them."""
    with op.batch_alter_table("payment_dispute") as batch:
        batch.drop_constraint(op.f("ck_payment_dispute_state"), type_="check")
        batch.drop_constraint(op.f("ck_payment_dispute_ended"), type_="check")
        batch.create_check_constraint(op.f("ck_payment_dispute_state"), f"state IN {states}")
        batch.create_check_constraint(
            op.f("ck_payment_dispute_ended"), f"(state IN {ended}) = (ended_at IS NOT NULL)"
        )
