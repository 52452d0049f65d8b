"""Registry corrections: sets that one person proposes and another agrees to, frozen line by line."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KEYS = [("id",), ("set_id", "pool_id", "household_id")]


def upgrade() -> None:
    op.create_table(
        "correction_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "ineligible",
                "merged",
                "split",
                "moved",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "posted",
                "declined",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("other_household_id", sa.Integer(), nullable=True),
        sa.Column("cooperative_id", sa.Integer(), nullable=True),
        sa.Column("county_code", sa.String(length=12), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("share_bp", sa.Integer(), nullable=True),
        sa.Column("village_code", sa.String(length=12), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("pools", sa.Integer(), nullable=False),
        sa.Column("taken_fen", sa.BigInteger(), nullable=False),
        sa.Column("given_fen", sa.BigInteger(), nullable=False),
        sa.Column("unallocated_fen", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("proposed_by", sa.Integer(), nullable=False),
        sa.Column("proposed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "(kind = 'moved') = (village_code IS NOT NULL)", name=op.f("ck_correction_set_village_of_move")
        ),
        sa.CheckConstraint(
            "(kind = 'split') = (share_bp IS NOT NULL)", name=op.f("ck_correction_set_share_of_split")
        ),
        sa.CheckConstraint(
            "(kind IN ('merged', 'split')) = (other_household_id IS NOT NULL)",
            name=op.f("ck_correction_set_other_household"),
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL)", name=op.f("ck_correction_set_decided")
        ),
        sa.CheckConstraint(
            "state <> 'declined' OR note <> ''", name=op.f("ck_correction_set_declined_with_reason")
        ),
        sa.CheckConstraint(
            "(decided_at IS NULL) = (decided_by IS NULL)", name=op.f("ck_correction_set_decided_by_somebody")
        ),
        sa.CheckConstraint("decided_by <> proposed_by", name=op.f("ck_correction_set_two_people")),
        sa.CheckConstraint(
            "other_household_id <> household_id", name=op.f("ck_correction_set_two_households")
        ),
        sa.CheckConstraint("share_bp > 0 AND share_bp < 10000", name=op.f("ck_correction_set_share")),
        sa.CheckConstraint(
            "taken_fen >= 0 AND given_fen >= 0 AND taken_fen = given_fen + unallocated_fen",
            name=op.f("ck_correction_set_amounts"),
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_correction_set_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["county_code"], ["region.code"], name=op.f("fk_correction_set_county_code")),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_correction_set_decided_by")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_correction_set_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["other_household_id"], ["household.id"], name=op.f("fk_correction_set_other_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["user_account.id"], name=op.f("fk_correction_set_proposed_by")
        ),
        sa.ForeignKeyConstraint(
            ["village_code"], ["region.code"], name=op.f("fk_correction_set_village_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction_set")),
        sa.UniqueConstraint("public_no", name=op.f("uq_correction_set_public_no")),
    )
    op.create_index(
        op.f("ix_correction_set_cooperative_id"), "correction_set", ["cooperative_id"], unique=False
    )
    op.create_index(op.f("ix_correction_set_county_code"), "correction_set", ["county_code"], unique=False)
    op.create_index(op.f("ix_correction_set_household_id"), "correction_set", ["household_id"], unique=False)
    op.create_index("ix_correction_set_state", "correction_set", ["state", "id"], unique=False)
    op.create_index(
        "uq_correction_set_open",
        "correction_set",
        ["household_id"],
        unique=True,
        sqlite_where=sa.text("state = 'proposed'"),
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_table(
        "correction_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("before_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "before_fen >= 0 AND after_fen >= 0 AND before_fen <> after_fen",
            name=op.f("ck_correction_line_change"),
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_correction_line_household_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["linkage_pool.id"], name=op.f("fk_correction_line_pool_id")),
        sa.ForeignKeyConstraint(["set_id"], ["correction_set.id"], name=op.f("fk_correction_line_set_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction_line")),
        sa.UniqueConstraint(
            "set_id", "pool_id", "household_id", name=op.f("uq_correction_line_set_id_pool_id_household_id")
        ),
        info={"append_only": True},
    )
    op.create_index("ix_correction_line_pool", "correction_line", ["pool_id"], unique=False)
    for statement in append_only_statements("correction_line", op.get_bind().dialect.name, keys=KEYS):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("correction_line")
    op.drop_table("correction_set")
