"""Advances, charges and grain prices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "advance": [("id",)],
    "charge": [("evidence_id", "kind"), ("id",), ("id", "amount_fen"), ("public_no",)],
    "charge_collection": [
        ("charge_id", "position"),
        ("charge_id", "position", "collected_after_fen"),
        ("entry_id",),
        ("id",),
    ],
    "grain_price": [("id",), ("region_code", "year", "version")],
    "parcel_year_price": [("id",)],
    "slip_quota": [("id",)],
}


def upgrade() -> None:
    op.create_table(
        "charge",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("evidence_id", sa.Integer(), nullable=True),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "advance_repaid",
                "service_fee",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("charged_on", sa.Date(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_charge_amount")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_charge_agreement_id")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_charge_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_charge_evidence_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_charge_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge")),
        sa.UniqueConstraint("evidence_id", "kind", name=op.f("uq_charge_evidence_id_kind")),
        sa.UniqueConstraint("id", "amount_fen", name=op.f("uq_charge_id_amount_fen")),
        sa.UniqueConstraint("public_no", name=op.f("uq_charge_public_no")),
        info={"append_only": True},
    )
    op.create_index("ix_charge_agreement", "charge", ["agreement_id", "kind"], unique=False)
    op.create_index(op.f("ix_charge_cooperative_id"), "charge", ["cooperative_id"], unique=False)
    op.create_index("ix_charge_household", "charge", ["household_id", "id"], unique=False)
    op.create_table(
        "advance",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("receipt_no", sa.String(length=40), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_fen > 0 AND amount_fen <= 10000000", name=op.f("ck_advance_amount")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_advance_agreement_id")),
        sa.ForeignKeyConstraint(["id"], ["evidence.id"], name=op.f("fk_advance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_advance")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_advance_agreement_id"), "advance", ["agreement_id"], unique=False)
    op.create_table(
        "slip_quota",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("before_g", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("before_g >= 0", name=op.f("ck_slip_quota_before")),
        sa.ForeignKeyConstraint(["id"], ["weigh_slip.id"], name=op.f("fk_slip_quota_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slip_quota")),
        info={"append_only": True},
    )
    op.create_table(
        "charge_collection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("charge_id", sa.Integer(), nullable=False),
        sa.Column("charge_fen", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("previous_position", sa.Integer(), nullable=True),
        sa.Column("collected_before_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("collected_after_fen", sa.BigInteger(), nullable=False),
        sa.Column("money_fen", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("collected_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_charge_collection_amount")),
        sa.CheckConstraint(
            "collected_after_fen = collected_before_fen + amount_fen", name=op.f("ck_charge_collection_sum")
        ),
        sa.CheckConstraint("collected_after_fen <= charge_fen", name=op.f("ck_charge_collection_within")),
        sa.CheckConstraint(
            "(position = 1 AND previous_position IS NULL AND collected_before_fen = 0) "
            "OR (position > 1 AND previous_position IS NOT NULL AND previous_position = position - 1)",
            name=op.f("ck_charge_collection_position"),
        ),
        sa.ForeignKeyConstraint(
            ["charge_id", "charge_fen"],
            ["charge.id", "charge.amount_fen"],
            name=op.f("fk_charge_collection_charge_id_charge_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["charge_id", "previous_position", "collected_before_fen"],
            [
                "charge_collection.charge_id",
                "charge_collection.position",
                "charge_collection.collected_after_fen",
            ],
            name="fk_charge_collection_previous",
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_charge_collection_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge_collection")),
        sa.UniqueConstraint("charge_id", "position", name=op.f("uq_charge_collection_charge_id_position")),
        sa.UniqueConstraint(
            "charge_id", "position", "collected_after_fen", name="uq_charge_collection_standing"
        ),
        sa.UniqueConstraint("entry_id", name=op.f("uq_charge_collection_entry_id")),
        info={"append_only": True},
    )
    op.create_table(
        "evidence_sheet",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=40), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column(
            "state",
            sa.Enum("checked", "taken", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("rows_good", sa.Integer(), nullable=False),
        sa.Column("rows_bad", sa.Integer(), nullable=False),
        sa.Column("households", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("uploaded_by", sa.Integer(), nullable=True),
        sa.Column("uploaded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Integer(), nullable=True),
        sa.Column("taken_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "rows_good >= 0 AND rows_bad >= 0 AND amount_fen >= 0",
            name=op.f("ck_evidence_sheet_not_negative"),
        ),
        sa.CheckConstraint(
            "(state = 'taken') = (taken_at IS NOT NULL)", name=op.f("ck_evidence_sheet_taken")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_evidence_sheet_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_evidence_sheet_file_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_evidence_sheet_lot_id")),
        sa.ForeignKeyConstraint(["taken_by"], ["user_account.id"], name=op.f("fk_evidence_sheet_taken_by")),
        sa.ForeignKeyConstraint(
            ["uploaded_by"], ["user_account.id"], name=op.f("fk_evidence_sheet_uploaded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_sheet")),
        sa.UniqueConstraint("public_no", name=op.f("uq_evidence_sheet_public_no")),
    )
    op.create_index(op.f("ix_evidence_sheet_content_hash"), "evidence_sheet", ["content_hash"], unique=False)
    op.create_index(
        "ix_evidence_sheet_cooperative", "evidence_sheet", ["cooperative_id", "format", "id"], unique=False
    )
    op.create_index(op.f("ix_evidence_sheet_lot_id"), "evidence_sheet", ["lot_id"], unique=False)
    op.create_table(
        "grain_price",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fen_per_kg", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("year BETWEEN 2014 AND 2100", name=op.f("ck_grain_price_year")),
        sa.CheckConstraint("fen_per_kg > 0 AND fen_per_kg <= 10000", name=op.f("ck_grain_price_price")),
        sa.CheckConstraint("source <> ''", name=op.f("ck_grain_price_source")),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_grain_price_recorded_by")
        ),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_grain_price_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grain_price")),
        sa.UniqueConstraint(
            "region_code", "year", "version", name=op.f("uq_grain_price_region_code_year_version")
        ),
        info={"append_only": True},
    )
    op.create_table(
        "parcel_year_price",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("grain_price_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["grain_price_id"], ["grain_price.id"], name=op.f("fk_parcel_year_price_grain_price_id")
        ),
        sa.ForeignKeyConstraint(["id"], ["parcel_year.id"], name=op.f("fk_parcel_year_price_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parcel_year_price")),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_parcel_year_price_grain_price_id"), "parcel_year_price", ["grain_price_id"], unique=False
    )
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("parcel_year_price")
    op.drop_table("grain_price")
    op.drop_table("evidence_sheet")
    op.drop_table("charge_collection")
    op.drop_table("slip_quota")
    op.drop_table("advance")
    op.drop_table("charge")
