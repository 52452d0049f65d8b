"""Period closing and guarantees.

The tables of `marketplace/payments/closing` and `marketplace/linkage/late_corrections`; a closed period takes no
entitlement and stays closed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "guarantee_posting": [
        ("id",),
        ("scope_key", "household_id", "position"),
        ("scope_key", "household_id", "position", "standing_after_fen"),
    ],
    "late_correction": [("entitlement_id",), ("evidence_id",), ("id",), ("key",), ("public_no",)],
}
REFUSE_ENTITLEMENT = """
CREATE OR REPLACE FUNCTION refuse_entitlement_of_closed_period() RETURNS trigger LANGUAGE plpgsql AS $refuse$
DECLARE found_state text;
BEGIN
    SELECT state INTO found_state FROM linkage_period WHERE id = NEW.period_id FOR SHARE;
    IF found_state = 'closed' THEN
        RAISE EXCEPTION USING
            MESSAGE = 'the linkage period is closed and takes no entitlement',
            ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $refuse$
""".strip()
REFUSE_REOPENING = """
CREATE OR REPLACE FUNCTION refuse_reopening() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = 'the linkage period is closed and stays closed',
        ERRCODE = 'integrity_constraint_violation';
END $refuse$
""".strip()
CLOSED = {
    "sqlite": (
        (
            "CREATE TRIGGER IF NOT EXISTS entitlement_refuse_closed_period BEFORE INSERT ON entitlement "
            "WHEN EXISTS (SELECT 1 FROM linkage_period WHERE id = NEW.period_id AND state = 'closed') "
            "BEGIN SELECT RAISE(ABORT, 'the linkage period is closed and takes no entitlement'); END"
        ),
        (
            "CREATE TRIGGER IF NOT EXISTS linkage_period_refuse_reopening BEFORE UPDATE ON linkage_period "
            "WHEN OLD.state = 'closed' AND NEW.state <> 'closed' "
            "BEGIN SELECT RAISE(ABORT, 'the linkage period is closed and stays closed'); END"
        ),
    ),
    "postgresql": (
        REFUSE_ENTITLEMENT,
        (
            "CREATE OR REPLACE TRIGGER entitlement_refuse_closed_period BEFORE INSERT ON entitlement "
            "FOR EACH ROW WHEN (NEW.period_id IS NOT NULL) "
            "EXECUTE FUNCTION refuse_entitlement_of_closed_period()"
        ),
        REFUSE_REOPENING,
        (
            "CREATE OR REPLACE TRIGGER linkage_period_refuse_reopening BEFORE UPDATE ON linkage_period "
            "FOR EACH ROW WHEN (OLD.state = 'closed' AND NEW.state <> 'closed') "
            "EXECUTE FUNCTION refuse_reopening()"
        ),
    ),
}


def upgrade() -> None:
    op.create_table(
        "period_closing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("period_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "prepared",
                "confirmed",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("as_of_entitlement_id", sa.Integer(), nullable=False),
        sa.Column("figures_hash", sa.String(length=64), nullable=False),
        sa.Column("households", sa.Integer(), nullable=False),
        sa.Column("due_fen", sa.BigInteger(), nullable=False),
        sa.Column("credited_fen", sa.BigInteger(), nullable=False),
        sa.Column("standing_fen", sa.BigInteger(), nullable=False),
        sa.Column("top_up_fen", sa.BigInteger(), nullable=False),
        sa.Column("village_fen", sa.BigInteger(), nullable=False),
        sa.Column("prepared_by", sa.Integer(), nullable=False),
        sa.Column("prepared_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.Integer(), nullable=True),
        sa.Column("confirmed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'confirmed') = (confirmed_by IS NOT NULL AND confirmed_at IS NOT NULL)",
            name=op.f("ck_period_closing_confirmed"),
        ),
        sa.CheckConstraint("confirmed_by <> prepared_by", name=op.f("ck_period_closing_two_people")),
        sa.CheckConstraint(
            "top_up_fen >= 0 AND households >= 0", name=op.f("ck_period_closing_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by"], ["user_account.id"], name=op.f("fk_period_closing_confirmed_by")
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["linkage_period.id"], name=op.f("fk_period_closing_period_id")
        ),
        sa.ForeignKeyConstraint(
            ["prepared_by"], ["user_account.id"], name=op.f("fk_period_closing_prepared_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_period_closing")),
        sa.UniqueConstraint("public_no", name=op.f("uq_period_closing_public_no")),
    )
    op.create_index(op.f("ix_period_closing_period_id"), "period_closing", ["period_id"], unique=False)
    op.create_index(
        "uq_period_closing_live",
        "period_closing",
        ["period_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'cancelled'"),
        postgresql_where=sa.text("state <> 'cancelled'"),
    )
    op.create_table(
        "late_correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("corrects_period_id", sa.Integer(), nullable=False),
        sa.Column("corrects_evidence_id", sa.Integer(), nullable=True),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("evidence_id", sa.Integer(), nullable=True),
        sa.Column("entitlement_id", sa.Integer(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_late_correction_reason")),
        sa.CheckConstraint(
            "(amount_fen > 0) = (entitlement_id IS NOT NULL AND evidence_id IS NOT NULL)",
            name=op.f("ck_late_correction_upwards"),
        ),
        sa.CheckConstraint("amount_fen <> 0", name=op.f("ck_late_correction_amount")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_late_correction_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["corrects_evidence_id"], ["evidence.id"], name=op.f("fk_late_correction_corrects_evidence_id")
        ),
        sa.ForeignKeyConstraint(
            ["corrects_period_id"], ["linkage_period.id"], name=op.f("fk_late_correction_corrects_period_id")
        ),
        sa.ForeignKeyConstraint(
            ["entitlement_id"], ["entitlement.id"], name=op.f("fk_late_correction_entitlement_id")
        ),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_late_correction_evidence_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_late_correction_file_id")),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_late_correction_recorded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_correction")),
        sa.UniqueConstraint("entitlement_id", name=op.f("uq_late_correction_entitlement_id")),
        sa.UniqueConstraint("evidence_id", name=op.f("uq_late_correction_evidence_id")),
        sa.UniqueConstraint("key", name=op.f("uq_late_correction_key")),
        sa.UniqueConstraint("public_no", name=op.f("uq_late_correction_public_no")),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_late_correction_agreement_id"), "late_correction", ["agreement_id"], unique=False
    )
    op.create_index("ix_late_correction_evidence", "late_correction", ["corrects_evidence_id"], unique=False)
    op.create_index(
        "ix_late_correction_period", "late_correction", ["corrects_period_id", "id"], unique=False
    )
    op.create_table(
        "guarantee_posting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope_key", sa.String(length=60), nullable=False),
        sa.Column(
            "mechanism",
            sa.Enum(
                "contract_farming",
                "land_transfer",
                "employment",
                "production_trusteeship",
                "share_cooperation",
                "asset_lease",
                name="mechanism",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("period_id", sa.Integer(), nullable=True),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("previous_position", sa.Integer(), nullable=True),
        sa.Column(
            "direction",
            sa.Enum(
                "posted", "reduced", name="direction", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("due_fen", sa.BigInteger(), nullable=True),
        sa.Column("credited_fen", sa.BigInteger(), nullable=False),
        sa.Column("standing_before_fen", sa.BigInteger(), nullable=False),
        sa.Column("standing_after_fen", sa.BigInteger(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("posted_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "direction = 'posted' OR (due_fen IS NULL AND pool_id IS NOT NULL AND amount_fen <= credited_fen)",
            name=op.f("ck_guarantee_posting_reduced"),
        ),
        sa.CheckConstraint(
            "direction = 'reduced' OR (due_fen IS NOT NULL AND pool_id IS NULL AND amount_fen = due_fen - credited_fen - standing_before_fen)",
            name=op.f("ck_guarantee_posting_posted"),
        ),
        sa.CheckConstraint(
            "scope_key = mechanism || CASE WHEN lot_id IS NOT NULL THEN ':lot:' || CAST(lot_id AS VARCHAR) ELSE ':period:' || CAST(period_id AS VARCHAR) END",
            name=op.f("ck_guarantee_posting_scope_key"),
        ),
        sa.CheckConstraint(
            "standing_after_fen = standing_before_fen + CASE WHEN direction = 'posted' THEN amount_fen ELSE -amount_fen END",
            name=op.f("ck_guarantee_posting_standing"),
        ),
        sa.CheckConstraint(
            "(lot_id IS NULL) <> (period_id IS NULL)", name=op.f("ck_guarantee_posting_one_scope")
        ),
        sa.CheckConstraint(
            "(position = 1 AND previous_position IS NULL AND standing_before_fen = 0) OR (position > 1 AND previous_position IS NOT NULL AND previous_position = position - 1)",
            name=op.f("ck_guarantee_posting_position"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_guarantee_posting_amount")),
        sa.CheckConstraint(
            "standing_before_fen >= 0 AND standing_after_fen >= 0",
            name=op.f("ck_guarantee_posting_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_guarantee_posting_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_guarantee_posting_entry_id")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_guarantee_posting_household_id")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_guarantee_posting_lot_id")),
        sa.ForeignKeyConstraint(
            ["period_id"], ["linkage_period.id"], name=op.f("fk_guarantee_posting_period_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["linkage_pool.id"], name=op.f("fk_guarantee_posting_pool_id")),
        sa.ForeignKeyConstraint(
            ["scope_key", "household_id", "previous_position", "standing_before_fen"],
            [
                "guarantee_posting.scope_key",
                "guarantee_posting.household_id",
                "guarantee_posting.position",
                "guarantee_posting.standing_after_fen",
            ],
            name="fk_guarantee_posting_previous",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guarantee_posting")),
        sa.UniqueConstraint(
            "scope_key",
            "household_id",
            "position",
            "standing_after_fen",
            name="uq_guarantee_posting_standing",
        ),
        sa.UniqueConstraint(
            "scope_key",
            "household_id",
            "position",
            name=op.f("uq_guarantee_posting_scope_key_household_id_position"),
        ),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_guarantee_posting_cooperative_id"), "guarantee_posting", ["cooperative_id"], unique=False
    )
    op.create_index(op.f("ix_guarantee_posting_entry_id"), "guarantee_posting", ["entry_id"], unique=False)
    op.create_index(
        "ix_guarantee_posting_household", "guarantee_posting", ["household_id", "id"], unique=False
    )
    op.create_index("ix_guarantee_posting_lot", "guarantee_posting", ["lot_id", "household_id"], unique=False)
    op.create_index(
        "ix_guarantee_posting_period", "guarantee_posting", ["period_id", "household_id"], unique=False
    )
    op.create_index("ix_guarantee_posting_pool", "guarantee_posting", ["pool_id"], unique=False)
    dialect = op.get_bind().dialect.name
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, dialect, keys=keys):
            op.execute(statement)
    for statement in CLOSED[dialect]:
        op.execute(statement)


def downgrade() -> None:
    for table in ("entitlement", "linkage_period"):
        name = (
            "entitlement_refuse_closed_period"
            if table == "entitlement"
            else "linkage_period_refuse_reopening"
        )
        on_table = f" ON {table}" if op.get_bind().dialect.name == "postgresql" else ""
        op.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")
    op.drop_table("guarantee_posting")
    op.drop_table("late_correction")
    op.drop_table("period_closing")
