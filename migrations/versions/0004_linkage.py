"""Agreements, lots, evidence and entitlements.

The first tables of `marketplace/linkage`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "agreement_version": [("agreement_id", "valid_from"), ("agreement_id", "version"), ("id",)],
    "evidence": [("id",), ("key",), ("public_no",)],
    "entitlement": [("id",)],
    "parcel_year": [("id",)],
    "weigh_slip": [("id",)],
}


def upgrade() -> None:
    op.create_table(
        "linkage_period",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("open", "closed", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("previous_ends_on", sa.Date(), nullable=True),
        sa.CheckConstraint("ends_on > starts_on", name=op.f("ck_linkage_period_days")),
        sa.CheckConstraint("previous_ends_on <= starts_on", name=op.f("ck_linkage_period_after_previous")),
        sa.ForeignKeyConstraint(
            ["cooperative_id", "previous_ends_on"],
            ["linkage_period.cooperative_id", "linkage_period.ends_on"],
            name=op.f("fk_linkage_period_cooperative_id_previous_ends_on"),
            onupdate="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_linkage_period_cooperative_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linkage_period")),
        sa.UniqueConstraint(
            "cooperative_id", "ends_on", name=op.f("uq_linkage_period_cooperative_id_ends_on")
        ),
        sa.UniqueConstraint(
            "cooperative_id",
            "previous_ends_on",
            name=op.f("uq_linkage_period_cooperative_id_previous_ends_on"),
        ),
        sa.UniqueConstraint(
            "cooperative_id", "starts_on", name=op.f("uq_linkage_period_cooperative_id_starts_on")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_linkage_period_public_no")),
    )
    op.create_index(
        op.f("ix_linkage_period_cooperative_id"), "linkage_period", ["cooperative_id"], unique=False
    )
    op.create_index(
        "uq_linkage_period_first",
        "linkage_period",
        ["cooperative_id"],
        unique=True,
        sqlite_where=sa.text("previous_ends_on IS NULL"),
        postgresql_where=sa.text("previous_ends_on IS NULL"),
    )
    op.create_table(
        "lot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("lot_no", sa.String(length=40), nullable=False),
        sa.Column("commodity", sa.String(length=60), nullable=False),
        sa.Column("village_code", sa.String(length=12), nullable=False),
        sa.Column("harvested_on", sa.Date(), nullable=False),
        sa.Column("yield_bp", sa.Integer(), nullable=False),
        sa.Column("received_g", sa.BigInteger(), nullable=False),
        sa.Column("committed_g", sa.BigInteger(), nullable=False),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("committed_g * 10000 <= received_g * yield_bp", name=op.f("ck_lot_mass_balance")),
        sa.CheckConstraint("received_g >= 0 AND committed_g >= 0", name=op.f("ck_lot_not_negative")),
        sa.CheckConstraint("yield_bp > 0 AND yield_bp <= 10000", name=op.f("ck_lot_yield")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["cooperative.id"], name=op.f("fk_lot_cooperative_id")),
        sa.ForeignKeyConstraint(["village_code"], ["region.code"], name=op.f("fk_lot_village_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
        sa.UniqueConstraint("cooperative_id", "lot_no", name=op.f("uq_lot_cooperative_id_lot_no")),
        sa.UniqueConstraint("public_no", name=op.f("uq_lot_public_no")),
    )
    op.create_index(op.f("ix_lot_cooperative_id"), "lot", ["cooperative_id"], unique=False)
    op.create_table(
        "agreement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
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
        sa.Column(
            "state",
            sa.Enum("active", "ended", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.CheckConstraint("(state = 'ended') = (ended_on IS NOT NULL)", name=op.f("ck_agreement_ended")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_agreement_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_agreement_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("public_no", name=op.f("uq_agreement_public_no")),
    )
    op.create_index(
        "ix_agreement_cooperative", "agreement", ["cooperative_id", "mechanism", "state"], unique=False
    )
    op.create_index(op.f("ix_agreement_household_id"), "agreement", ["household_id"], unique=False)
    op.create_table(
        "agreement_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("file_hash", sa.String(length=64), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_agreement_version_valid_range")
        ),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_version_agreement_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_agreement_version_file_id")),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_agreement_version_recorded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_version")),
        sa.UniqueConstraint(
            "agreement_id", "valid_from", name=op.f("uq_agreement_version_agreement_id_valid_from")
        ),
        sa.UniqueConstraint(
            "agreement_id", "version", name=op.f("uq_agreement_version_agreement_id_version")
        ),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_agreement_version_agreement_id"), "agreement_version", ["agreement_id"], unique=False
    )
    op.create_table(
        "parcel_transfer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parcel_no", sa.String(length=19), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("area_cmu", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("previous_ends_on", sa.Date(), nullable=True),
        sa.CheckConstraint("area_cmu > 0", name=op.f("ck_parcel_transfer_area")),
        sa.CheckConstraint("ends_on > starts_on", name=op.f("ck_parcel_transfer_days")),
        sa.CheckConstraint("previous_ends_on <= starts_on", name=op.f("ck_parcel_transfer_after_previous")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_parcel_transfer_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["parcel_no", "previous_ends_on"],
            ["parcel_transfer.parcel_no", "parcel_transfer.ends_on"],
            name=op.f("fk_parcel_transfer_parcel_no_previous_ends_on"),
            onupdate="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parcel_transfer")),
        sa.UniqueConstraint("parcel_no", "ends_on", name=op.f("uq_parcel_transfer_parcel_no_ends_on")),
        sa.UniqueConstraint(
            "parcel_no", "previous_ends_on", name=op.f("uq_parcel_transfer_parcel_no_previous_ends_on")
        ),
    )
    op.create_index("ix_parcel_transfer_agreement", "parcel_transfer", ["agreement_id"], unique=False)
    op.create_index(
        "uq_parcel_transfer_first",
        "parcel_transfer",
        ["parcel_no"],
        unique=True,
        sqlite_where=sa.text("previous_ends_on IS NULL"),
        postgresql_where=sa.text("previous_ends_on IS NULL"),
    )
    op.create_table(
        "evidence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
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
        sa.Column("agreement_version_id", sa.Integer(), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_version_id"], ["agreement_version.id"], name=op.f("fk_evidence_agreement_version_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_evidence_file_id")),
        sa.ForeignKeyConstraint(["recorded_by"], ["user_account.id"], name=op.f("fk_evidence_recorded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.UniqueConstraint("key", name=op.f("uq_evidence_key")),
        sa.UniqueConstraint("public_no", name=op.f("uq_evidence_public_no")),
        info={"append_only": True},
    )
    op.create_index("ix_evidence_agreement", "evidence", ["agreement_version_id"], unique=False)
    op.create_table(
        "entitlement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
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
        sa.Column("evidence_id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("period_id", sa.Integer(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("(lot_id IS NULL) <> (period_id IS NULL)", name=op.f("ck_entitlement_one_scope")),
        sa.CheckConstraint("amount_fen >= 0", name=op.f("ck_entitlement_not_negative")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_entitlement_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_entitlement_evidence_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_entitlement_household_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_entitlement_lot_id")),
        sa.ForeignKeyConstraint(["period_id"], ["linkage_period.id"], name=op.f("fk_entitlement_period_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entitlement")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_entitlement_cooperative_id"), "entitlement", ["cooperative_id"], unique=False)
    op.create_index(op.f("ix_entitlement_evidence_id"), "entitlement", ["evidence_id"], unique=False)
    op.create_index("ix_entitlement_household", "entitlement", ["household_id", "id"], unique=False)
    op.create_index(
        "ix_entitlement_lot", "entitlement", ["lot_id", "mechanism", "household_id"], unique=False
    )
    op.create_index(
        "ix_entitlement_period", "entitlement", ["period_id", "mechanism", "household_id"], unique=False
    )
    op.create_table(
        "parcel_year",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("period_id", sa.Integer(), nullable=False),
        sa.Column("parcel_no", sa.String(length=19), nullable=False),
        sa.Column("right_certificate_no", sa.String(length=40), nullable=False),
        sa.Column("area_cmu", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.CheckConstraint("area_cmu > 0", name=op.f("ck_parcel_year_area")),
        sa.CheckConstraint("ends_on > starts_on", name=op.f("ck_parcel_year_days")),
        sa.ForeignKeyConstraint(["id"], ["evidence.id"], name=op.f("fk_parcel_year_id")),
        sa.ForeignKeyConstraint(["period_id"], ["linkage_period.id"], name=op.f("fk_parcel_year_period_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parcel_year")),
        info={"append_only": True},
    )
    op.create_index("ix_parcel_year_parcel_no", "parcel_year", ["parcel_no", "starts_on"], unique=False)
    op.create_index(op.f("ix_parcel_year_period_id"), "parcel_year", ["period_id"], unique=False)
    op.create_table(
        "rented_span",
        sa.Column("evidence_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parcel_no", sa.String(length=19), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("previous_ends_on", sa.Date(), nullable=True),
        sa.CheckConstraint("ends_on > starts_on", name=op.f("ck_rented_span_days")),
        sa.CheckConstraint("previous_ends_on <= starts_on", name=op.f("ck_rented_span_after_previous")),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_rented_span_evidence_id")),
        sa.ForeignKeyConstraint(
            ["parcel_no", "previous_ends_on"],
            ["rented_span.parcel_no", "rented_span.ends_on"],
            name=op.f("fk_rented_span_parcel_no_previous_ends_on"),
            onupdate="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("evidence_id", name=op.f("pk_rented_span")),
        sa.UniqueConstraint("parcel_no", "ends_on", name=op.f("uq_rented_span_parcel_no_ends_on")),
        sa.UniqueConstraint(
            "parcel_no", "previous_ends_on", name=op.f("uq_rented_span_parcel_no_previous_ends_on")
        ),
    )
    op.create_index(
        "uq_rented_span_first",
        "rented_span",
        ["parcel_no"],
        unique=True,
        sqlite_where=sa.text("previous_ends_on IS NULL"),
        postgresql_where=sa.text("previous_ends_on IS NULL"),
    )
    op.create_table(
        "weigh_slip",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("slip_no", sa.String(length=40), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=False),
        sa.Column("net_g", sa.Integer(), nullable=False),
        sa.Column("market_price_fen_per_kg", sa.Integer(), nullable=True),
        sa.Column("household_signer", sa.String(length=60), nullable=False),
        sa.Column("cooperative_signer", sa.String(length=60), nullable=False),
        sa.CheckConstraint(
            "household_signer <> '' AND cooperative_signer <> ''", name=op.f("ck_weigh_slip_signed")
        ),
        sa.CheckConstraint("household_signer <> cooperative_signer", name=op.f("ck_weigh_slip_two_signers")),
        sa.CheckConstraint("market_price_fen_per_kg > 0", name=op.f("ck_weigh_slip_market_price")),
        sa.CheckConstraint("net_g > 0 AND net_g <= 50000000", name=op.f("ck_weigh_slip_net")),
        sa.ForeignKeyConstraint(["id"], ["evidence.id"], name=op.f("fk_weigh_slip_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_weigh_slip_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_weigh_slip")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_weigh_slip_lot_id"), "weigh_slip", ["lot_id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("weigh_slip")
    op.drop_table("rented_span")
    op.drop_table("parcel_year")
    op.drop_table("entitlement")
    op.drop_table("evidence")
    op.drop_table("parcel_transfer")
    op.drop_table("agreement_version")
    op.drop_table("agreement")
    op.drop_table("lot")
    op.drop_table("linkage_period")
