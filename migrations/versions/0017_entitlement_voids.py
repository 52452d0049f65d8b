"""Entitlements that weigh no more.

Those of households already found ineligible, by corrections that were agreed to, are voided from this migration on: what
was shared out until then was shared out by their weights.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements
from marketplace.core.clock import now

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KEYS = [("entitlement_id",)]
VOID_OF_AGREED = """
INSERT INTO entitlement_void (entitlement_id, correction_no, reason, voided_at)
SELECT entitlement.id, correction_set.public_no, correction_set.reason, :at
FROM entitlement
JOIN evidence ON evidence.id = entitlement.evidence_id
LEFT JOIN late_correction ON late_correction.entitlement_id = entitlement.id
LEFT JOIN evidence AS corrected ON corrected.id = late_correction.corrects_evidence_id
LEFT JOIN linkage_period ON linkage_period.id = late_correction.corrects_period_id
JOIN correction_set ON correction_set.id = (
    SELECT min(first.id) FROM correction_set AS first
    WHERE first.household_id = entitlement.household_id
        AND first.kind = 'ineligible' AND first.state = 'posted' AND first.decided_at >= entitlement.recorded_at
        AND first.from_on <= coalesce(corrected.occurred_on, linkage_period.starts_on, evidence.occurred_on)
)
"""


def upgrade() -> None:
    op.create_table(
        "entitlement_void",
        sa.Column("entitlement_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("correction_no", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("voided_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("correction_no <> '' AND reason <> ''", name=op.f("ck_entitlement_void_cause")),
        sa.ForeignKeyConstraint(
            ["entitlement_id"], ["entitlement.id"], name=op.f("fk_entitlement_void_entitlement_id")
        ),
        sa.PrimaryKeyConstraint("entitlement_id", name=op.f("pk_entitlement_void")),
        info={"append_only": True},
    )
    op.create_index("ix_entitlement_void_correction", "entitlement_void", ["correction_no"])
    voided = sa.text(VOID_OF_AGREED).bindparams(sa.bindparam("at", now(), type_=db.UtcInstant(timezone=True)))
    op.execute(voided)
    for statement in append_only_statements("entitlement_void", op.get_bind().dialect.name, keys=KEYS):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("entitlement_void")
