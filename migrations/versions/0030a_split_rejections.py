"""A rejection may be answered by sending a part again and taking the rest off the price."""

from __future__ import annotations

from collections.abc import Iterable

from alembic import op

from marketplace.core.append_only import append_only_statements

revision = "0030a"
down_revision = "0031a"
branch_labels = None
depends_on = None

OUTCOMES = ("agreed", "returned", "replaced", "withdrawn")


def upgrade() -> None:
    _allow(
        (*OUTCOMES, "split"), "side <> 'mediator' OR (reason <> '' AND outcome NOT IN ('replaced', 'split'))"
    )


def _allow(outcomes: Iterable[str], mediated: str) -> None:
    codes = ", ".join(repr(one) for one in outcomes)
    with op.batch_alter_table("rejection_outcome") as batch:
        for name, condition in (("outcome", f"outcome IN ({codes})"), ("mediated", mediated)):
            batch.drop_constraint(op.f(f"ck_rejection_outcome_{name}"), type_="check")
            batch.create_check_constraint(op.f(f"ck_rejection_outcome_{name}"), condition)
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":  # copying a table leaves its triggers behind
        for statement in append_only_statements("rejection_outcome", dialect, keys=[("inspection_id",)]):
            op.execute(statement)


def downgrade() -> None:
    _allow(OUTCOMES, "side <> 'mediator' OR (reason <> '' AND outcome <> 'replaced')")
