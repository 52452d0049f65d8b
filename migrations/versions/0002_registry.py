"""Regions, buyer units, cooperatives, households, enrolments.

See the models of `marketplace/registry` for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "household_status": [("id",)],
}


def upgrade() -> None:
    op.create_table(
        "region",
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("full_name", sa.String(length=160), nullable=False),
        sa.Column(
            "level",
            sa.Enum(
                "province",
                "prefecture",
                "county",
                "township",
                "village",
                name="level",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("parent_code", sa.String(length=12), nullable=True),
        sa.Column("is_key_county", sa.Boolean(), nullable=False),
        sa.Column("is_pilot", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["parent_code"], ["region.code"], name=op.f("fk_region_parent_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_region")),
    )
    op.create_index("ix_region_parent_code", "region", ["parent_code"], unique=False)
    op.create_table(
        "beneficiary_policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "registered",
                "exited",
                "at_risk",
                "ineligible",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_beneficiary_policy_region_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_beneficiary_policy")),
        sa.UniqueConstraint(
            "region_code", "year", "status", name=op.f("uq_beneficiary_policy_region_code_year_status")
        ),
    )
    op.create_table(
        "buyer_unit",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "office",
                "school",
                "hospital",
                "enterprise",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("uscc", sa.String(length=18), nullable=False),
        sa.Column("county_code", sa.String(length=12), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("contact_name", sa.String(length=60), nullable=False),
        sa.Column("contact_phone", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["county_code"], ["region.code"], name=op.f("fk_buyer_unit_county_code")),
        sa.ForeignKeyConstraint(["id"], ["organisation.id"], name=op.f("fk_buyer_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buyer_unit")),
        sa.UniqueConstraint("public_no", name=op.f("uq_buyer_unit_public_no")),
        sa.UniqueConstraint("uscc", name=op.f("uq_buyer_unit_uscc")),
    )
    op.create_index(op.f("ix_buyer_unit_county_code"), "buyer_unit", ["county_code"], unique=False)
    op.create_table(
        "cooperative",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("uscc", sa.String(length=18), nullable=False),
        sa.Column("county_code", sa.String(length=12), nullable=False),
        sa.Column("village_code", sa.String(length=12), nullable=False),
        sa.Column("legal_person", sa.String(length=60), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("bank_account_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("bank_account_index", sa.LargeBinary(length=32), nullable=True),
        sa.Column("story", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "under_review",
                "admitted",
                "rejected",
                "suspended",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("applied_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("admitted_at", db.UtcInstant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["county_code"], ["region.code"], name=op.f("fk_cooperative_county_code")),
        sa.ForeignKeyConstraint(["id"], ["organisation.id"], name=op.f("fk_cooperative_id")),
        sa.ForeignKeyConstraint(["village_code"], ["region.code"], name=op.f("fk_cooperative_village_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cooperative")),
        sa.UniqueConstraint("public_no", name=op.f("uq_cooperative_public_no")),
        sa.UniqueConstraint("uscc", name=op.f("uq_cooperative_uscc")),
    )
    op.create_index(op.f("ix_cooperative_county_code"), "cooperative", ["county_code"], unique=False)
    op.create_table(
        "cooperative_member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "leading_cadre",
                "capable_leader",
                "party_member",
                "villager",
                "registered_household",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("position", sa.String(length=60), nullable=False),
        sa.Column("related_party", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_cooperative_member_cooperative_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cooperative_member")),
        sa.UniqueConstraint(
            "cooperative_id", "name", "role", name=op.f("uq_cooperative_member_cooperative_id_name_role")
        ),
    )
    op.create_index(
        op.f("ix_cooperative_member_cooperative_id"), "cooperative_member", ["cooperative_id"], unique=False
    )
    op.create_table(
        "household",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("registry_no", sa.String(length=10), nullable=False),
        sa.Column("head_name", sa.String(length=60), nullable=False),
        sa.Column("village_code", sa.String(length=12), nullable=False),
        sa.Column("county_code", sa.String(length=12), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["county_code"], ["region.code"], name=op.f("fk_household_county_code")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_household_user_id")),
        sa.ForeignKeyConstraint(["village_code"], ["region.code"], name=op.f("fk_household_village_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household")),
        sa.UniqueConstraint("public_no", name=op.f("uq_household_public_no")),
        sa.UniqueConstraint("registry_no", name=op.f("uq_household_registry_no")),
        sa.UniqueConstraint("user_id", name=op.f("uq_household_user_id")),
    )
    op.create_index(op.f("ix_household_county_code"), "household", ["county_code"], unique=False)
    op.create_index(op.f("ix_household_village_code"), "household", ["village_code"], unique=False)
    op.create_table(
        "enrolment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "acknowledged",
                "declined",
                "ended",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("enrolled_on", sa.Date(), nullable=False),
        sa.Column("proposed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("acknowledged_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.Column("vouching_reason", sa.String(length=300), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.Column("ending_reason", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "(state IN ('acknowledged', 'ended')) = (acknowledged_at IS NOT NULL)",
            name=op.f("ck_enrolment_acknowledged"),
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["user_account.id"], name=op.f("fk_enrolment_acknowledged_by")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_enrolment_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["ended_by"], ["user_account.id"], name=op.f("fk_enrolment_ended_by")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_enrolment_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment")),
        sa.UniqueConstraint(
            "cooperative_id", "household_id", name=op.f("uq_enrolment_cooperative_id_household_id")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_enrolment_public_no")),
    )
    op.create_index(op.f("ix_enrolment_household_id"), "enrolment", ["household_id"], unique=False)
    op.create_table(
        "five_ones_evidence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "item",
            sa.Enum(
                "leading_organisation",
                "leading_industry",
                "leading_person",
                "linkage_mechanism",
                "support_team",
                name="item",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_five_ones_evidence_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_five_ones_evidence_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_five_ones_evidence")),
        sa.UniqueConstraint("cooperative_id", "item", name=op.f("uq_five_ones_evidence_cooperative_id_item")),
    )
    op.create_index(
        op.f("ix_five_ones_evidence_cooperative_id"), "five_ones_evidence", ["cooperative_id"], unique=False
    )
    op.create_table(
        "household_member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("person_no", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("relation", sa.String(length=20), nullable=False),
        sa.Column("is_head", sa.Boolean(), nullable=False),
        sa.Column("id_number_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("id_number_index", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_member_household_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_member")),
        sa.UniqueConstraint("id_number_index", name=op.f("uq_household_member_id_number_index")),
        sa.UniqueConstraint("person_no", name=op.f("uq_household_member_person_no")),
        sa.UniqueConstraint("public_no", name=op.f("uq_household_member_public_no")),
    )
    op.create_index(
        op.f("ix_household_member_household_id"), "household_member", ["household_id"], unique=False
    )
    op.create_index(
        "uq_household_member_head",
        "household_member",
        ["household_id"],
        unique=True,
        sqlite_where=sa.text("is_head"),
        postgresql_where=sa.text("is_head"),
    )
    op.create_table(
        "household_status",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "registered",
                "exited",
                "at_risk",
                "ineligible",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("known_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_household_status_valid_range")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_status_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_household_status_recorded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_status")),
        info={"append_only": True},
    )
    op.create_index(
        "ix_household_status_lookup", "household_status", ["household_id", "valid_from", "id"], unique=False
    )
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("household_status")
    op.drop_table("household_member")
    op.drop_table("five_ones_evidence")
    op.drop_table("enrolment")
    op.drop_table("household")
    op.drop_table("cooperative_member")
    op.drop_table("cooperative")
    op.drop_table("buyer_unit")
    op.drop_table("beneficiary_policy")
    op.drop_table("region")
