"""Employment and asset lease.

Attendance with each person's day over all cooperatives, and the rent receipts of village assets with their rosters; see
the models of the two mechanisms for what the columns mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "asset_rent_receipt": [("asset_no", "receipt_no"), ("id",), ("public_no",)],
    "asset_rent_share": [("id",), ("receipt_id", "household_id")],
    "attendance": [("id",)],
}


def upgrade() -> None:
    op.create_table(
        "asset_rent_receipt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("village_code", sa.String(length=12), nullable=False),
        sa.Column("period_id", sa.Integer(), nullable=False),
        sa.Column("asset_no", sa.String(length=30), nullable=False),
        sa.Column("receipt_no", sa.String(length=30), nullable=False),
        sa.Column("lease_no", sa.String(length=40), nullable=False),
        sa.Column("resolution_no", sa.String(length=40), nullable=False),
        sa.Column("rent_fen", sa.BigInteger(), nullable=False),
        sa.Column("retain_bp", sa.Integer(), nullable=False),
        sa.Column("retained_fen", sa.BigInteger(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "rent_fen > 0 AND rent_fen <= 10000000000", name=op.f("ck_asset_rent_receipt_rent")
        ),
        sa.CheckConstraint("retain_bp >= 0 AND retain_bp < 10000", name=op.f("ck_asset_rent_receipt_retain")),
        sa.CheckConstraint(
            "retained_fen = rent_fen * retain_bp / 10000", name=op.f("ck_asset_rent_receipt_retained")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_asset_rent_receipt_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_asset_rent_receipt_file_id")),
        sa.ForeignKeyConstraint(
            ["period_id"], ["linkage_period.id"], name=op.f("fk_asset_rent_receipt_period_id")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_asset_rent_receipt_recorded_by")
        ),
        sa.ForeignKeyConstraint(
            ["village_code"], ["region.code"], name=op.f("fk_asset_rent_receipt_village_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_rent_receipt")),
        sa.UniqueConstraint("asset_no", "receipt_no", name=op.f("uq_asset_rent_receipt_asset_no_receipt_no")),
        sa.UniqueConstraint("public_no", name=op.f("uq_asset_rent_receipt_public_no")),
        info={"append_only": True},
    )
    op.create_index(
        "ix_asset_rent_receipt_asset", "asset_rent_receipt", ["cooperative_id", "asset_no"], unique=False
    )
    op.create_index(
        op.f("ix_asset_rent_receipt_period_id"), "asset_rent_receipt", ["period_id"], unique=False
    )
    op.create_table(
        "labour_day",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("worked_on", sa.Date(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.CheckConstraint("minutes >= 0 AND minutes <= 960", name=op.f("ck_labour_day_sixteen_hours")),
        sa.ForeignKeyConstraint(["person_id"], ["household_member.id"], name=op.f("fk_labour_day_person_id")),
        sa.PrimaryKeyConstraint("person_id", "worked_on", name=op.f("pk_labour_day")),
    )
    op.create_table(
        "asset_rent_share",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("receipt_id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("plan_weight", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "plan_weight > 0 AND plan_weight <= 1000000", name=op.f("ck_asset_rent_share_weight")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_asset_rent_share_household_id")
        ),
        sa.ForeignKeyConstraint(["id"], ["evidence.id"], name=op.f("fk_asset_rent_share_id")),
        sa.ForeignKeyConstraint(
            ["receipt_id"], ["asset_rent_receipt.id"], name=op.f("fk_asset_rent_share_receipt_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_rent_share")),
        sa.UniqueConstraint(
            "receipt_id", "household_id", name=op.f("uq_asset_rent_share_receipt_id_household_id")
        ),
        info={"append_only": True},
    )
    op.create_table(
        "attendance",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("worked_on", sa.Date(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("period_id", sa.Integer(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("piece_kind", sa.String(length=20), nullable=True),
        sa.Column("pieces", sa.Integer(), nullable=True),
        sa.Column("starts_minute", sa.Integer(), nullable=True),
        sa.Column("ends_minute", sa.Integer(), nullable=True),
        sa.CheckConstraint("(lot_id IS NULL) <> (period_id IS NULL)", name=op.f("ck_attendance_one_scope")),
        sa.CheckConstraint(
            "(minutes IS NULL) <> (pieces IS NULL)", name=op.f("ck_attendance_minutes_or_pieces")
        ),
        sa.CheckConstraint("(pieces IS NULL) = (piece_kind IS NULL)", name=op.f("ck_attendance_kind")),
        sa.CheckConstraint(
            "(starts_minute IS NULL) = (ends_minute IS NULL)", name=op.f("ck_attendance_both_times")
        ),
        sa.CheckConstraint("minutes <= ends_minute - starts_minute", name=op.f("ck_attendance_within_times")),
        sa.CheckConstraint("minutes > 0 AND minutes <= 960", name=op.f("ck_attendance_minutes")),
        sa.CheckConstraint("pieces > 0 AND pieces <= 100000", name=op.f("ck_attendance_pieces")),
        sa.ForeignKeyConstraint(["id"], ["evidence.id"], name=op.f("fk_attendance_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_attendance_lot_id")),
        sa.ForeignKeyConstraint(["period_id"], ["linkage_period.id"], name=op.f("fk_attendance_period_id")),
        sa.ForeignKeyConstraint(
            ["person_id", "worked_on"],
            ["labour_day.person_id", "labour_day.worked_on"],
            name=op.f("fk_attendance_person_id_worked_on"),
        ),
        sa.ForeignKeyConstraint(["person_id"], ["household_member.id"], name=op.f("fk_attendance_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance")),
        info={"append_only": True},
    )
    op.create_index("ix_attendance_day", "attendance", ["worked_on"], unique=False)
    op.create_index(op.f("ix_attendance_lot_id"), "attendance", ["lot_id"], unique=False)
    op.create_index(op.f("ix_attendance_period_id"), "attendance", ["period_id"], unique=False)
    op.create_index("ix_attendance_person", "attendance", ["person_id", "worked_on"], unique=False)
    op.create_table(
        "labour_span",
        sa.Column("evidence_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("worked_on", sa.Date(), nullable=False),
        sa.Column("starts_minute", sa.Integer(), nullable=False),
        sa.Column("ends_minute", sa.Integer(), nullable=False),
        sa.Column("previous_ends_minute", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "previous_ends_minute <= starts_minute", name=op.f("ck_labour_span_after_previous")
        ),
        sa.CheckConstraint(
            "starts_minute >= 0 AND ends_minute > starts_minute AND ends_minute <= 1440",
            name=op.f("ck_labour_span_minutes"),
        ),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_labour_span_evidence_id")),
        sa.ForeignKeyConstraint(
            ["person_id", "worked_on", "previous_ends_minute"],
            ["labour_span.person_id", "labour_span.worked_on", "labour_span.ends_minute"],
            name=op.f("fk_labour_span_person_id_worked_on_previous_ends_minute"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["household_member.id"], name=op.f("fk_labour_span_person_id")
        ),
        sa.PrimaryKeyConstraint("evidence_id", name=op.f("pk_labour_span")),
        sa.UniqueConstraint(
            "person_id",
            "worked_on",
            "ends_minute",
            name=op.f("uq_labour_span_person_id_worked_on_ends_minute"),
        ),
        sa.UniqueConstraint(
            "person_id",
            "worked_on",
            "previous_ends_minute",
            name=op.f("uq_labour_span_person_id_worked_on_previous_ends_minute"),
        ),
    )
    op.create_index(
        "uq_labour_span_first",
        "labour_span",
        ["person_id", "worked_on"],
        unique=True,
        sqlite_where=sa.text("previous_ends_minute IS NULL"),
        postgresql_where=sa.text("previous_ends_minute IS NULL"),
    )
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("labour_span")
    op.drop_table("attendance")
    op.drop_table("asset_rent_share")
    op.drop_table("labour_day")
    op.drop_table("asset_rent_receipt")
