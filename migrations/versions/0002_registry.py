"""Regions, households, cooperatives, buyer units, reviews, rosters.

The first tables of `marketplace/registry`; see its models for what they mean.
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
    "review_decision": [("case_id", "decided_by"), ("case_id", "position"), ("id",)],
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
        "review_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "cooperative_entry",
                "certificate",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "step",
            sa.Enum(
                "decision", "public_notice", name="step", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("name_zh", sa.String(length=40), nullable=False),
        sa.Column("name_en", sa.String(length=60), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "cooperative_manager",
                "cooperative_clerk",
                "household",
                "village_reviewer",
                "township_reviewer",
                "county_reviewer",
                "unit_orderer",
                "unit_approver",
                "unit_receiver",
                "unit_payer",
                "staff_buyer",
                "auditor",
                "supervisor",
                "operator",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("notice_days", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(step = 'public_notice') = (notice_days > 0)", name=op.f("ck_review_step_notice_days")
        ),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_review_step_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_step")),
        sa.UniqueConstraint(
            "kind", "region_code", "position", name=op.f("uq_review_step_kind_region_code_position")
        ),
    )
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
        "review_case",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "cooperative_entry",
                "certificate",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=160), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "passed",
                "rejected",
                "returned",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("current_position", sa.Integer(), nullable=False),
        sa.Column("opened_by", sa.Integer(), nullable=True),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("closed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_review_case_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["opened_by"], ["user_account.id"], name=op.f("fk_review_case_opened_by")),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_review_case_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_case")),
        sa.UniqueConstraint("public_no", name=op.f("uq_review_case_public_no")),
    )
    op.create_index(op.f("ix_review_case_cooperative_id"), "review_case", ["cooperative_id"], unique=False)
    op.create_index("ix_review_case_state", "review_case", ["state", "region_code"], unique=False)
    op.create_index("ix_review_case_subject", "review_case", ["kind", "subject_id"], unique=False)
    op.create_index(
        "uq_review_case_open",
        "review_case",
        ["kind", "subject_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "case_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "step",
            sa.Enum(
                "decision", "public_notice", name="step", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("name_zh", sa.String(length=40), nullable=False),
        sa.Column("name_en", sa.String(length=60), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "cooperative_manager",
                "cooperative_clerk",
                "household",
                "village_reviewer",
                "township_reviewer",
                "county_reviewer",
                "unit_orderer",
                "unit_approver",
                "unit_receiver",
                "unit_payer",
                "staff_buyer",
                "auditor",
                "supervisor",
                "operator",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("notice_days", sa.Integer(), nullable=False),
        sa.Column("notice_from", sa.Date(), nullable=True),
        sa.Column("notice_until", sa.Date(), nullable=True),
        sa.Column("notice_text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["review_case.id"], name=op.f("fk_case_step_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_step")),
        sa.UniqueConstraint("case_id", "position", name=op.f("uq_case_step_case_id_position")),
    )
    op.create_index(op.f("ix_case_step_case_id"), "case_step", ["case_id"], unique=False)
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
    op.create_table(
        "objection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("contact", sa.String(length=100), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "upheld",
                "dismissed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("answer", sa.String(length=1000), nullable=False),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("filed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("answered_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'open') = (answered_at IS NULL)", name=op.f("ck_objection_answered")),
        sa.ForeignKeyConstraint(["answered_by"], ["user_account.id"], name=op.f("fk_objection_answered_by")),
        sa.ForeignKeyConstraint(["case_id"], ["review_case.id"], name=op.f("fk_objection_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objection")),
        sa.UniqueConstraint("public_no", name=op.f("uq_objection_public_no")),
    )
    op.create_index(op.f("ix_objection_case_id"), "objection", ["case_id"], unique=False)
    op.create_table(
        "review_decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "decision",
            sa.Enum(
                "pass",
                "return",
                "reject",
                name="decision",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("comment", sa.String(length=500), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_by_name", sa.String(length=60), nullable=False),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["review_case.id"], name=op.f("fk_review_decision_case_id")),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_review_decision_decided_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_decision")),
        sa.UniqueConstraint("case_id", "decided_by", name=op.f("uq_review_decision_case_id_decided_by")),
        sa.UniqueConstraint("case_id", "position", name=op.f("uq_review_decision_case_id_position")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_review_decision_case_id"), "review_decision", ["case_id"], unique=False)
    op.create_table(
        "roster_import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "uploaded",
                "checking",
                "checked",
                "taking",
                "taken",
                "failed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("checks_done", sa.Integer(), nullable=False),
        sa.Column("rows_read", sa.Integer(), nullable=False),
        sa.Column("rows_total", sa.Integer(), nullable=False),
        sa.Column("rows_good", sa.Integer(), nullable=False),
        sa.Column("rows_bad", sa.Integer(), nullable=False),
        sa.Column("households_new", sa.Integer(), nullable=False),
        sa.Column("people_new", sa.Integer(), nullable=False),
        sa.Column("enrolments_new", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(length=300), nullable=False),
        sa.Column("uploaded_by", sa.Integer(), nullable=True),
        sa.Column("confirmed_by", sa.Integer(), nullable=True),
        sa.Column("uploaded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("checked_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("taken_at", db.UtcInstant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["confirmed_by"], ["user_account.id"], name=op.f("fk_roster_import_confirmed_by")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_roster_import_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_roster_import_file_id")),
        sa.ForeignKeyConstraint(
            ["uploaded_by"], ["user_account.id"], name=op.f("fk_roster_import_uploaded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_import")),
        sa.UniqueConstraint(
            "cooperative_id", "content_hash", name=op.f("uq_roster_import_cooperative_id_content_hash")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_roster_import_public_no")),
    )
    op.create_index(
        op.f("ix_roster_import_cooperative_id"), "roster_import", ["cooperative_id"], unique=False
    )
    op.create_table(
        "roster_finding",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("column", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("message", sa.String(length=300), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["roster_import.id"], name=op.f("fk_roster_finding_import_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_finding")),
    )
    op.create_index("ix_roster_finding_import", "roster_finding", ["import_id", "row"], unique=False)
    op.create_table(
        "roster_row",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("is_good", sa.Boolean(), nullable=False),
        sa.Column("registry_no", sa.String(length=10), nullable=True),
        sa.Column("head_name", sa.String(length=60), nullable=True),
        sa.Column("village_code", sa.String(length=12), nullable=True),
        sa.Column("person_no", sa.String(length=12), nullable=True),
        sa.Column("name", sa.String(length=60), nullable=True),
        sa.Column("relation", sa.String(length=20), nullable=True),
        sa.Column("is_head", sa.Boolean(), nullable=False),
        sa.Column("id_number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("id_number_index", sa.LargeBinary(length=32), nullable=True),
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
            nullable=True,
        ),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("household_no", sa.String(length=16), nullable=False),
        sa.Column("member_no", sa.String(length=16), nullable=False),
        sa.Column("enrolment_no", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["roster_import.id"], name=op.f("fk_roster_row_import_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_row")),
        sa.UniqueConstraint("import_id", "row", name=op.f("uq_roster_row_import_id_row")),
    )
    op.create_index(
        "ix_roster_row_household", "roster_row", ["import_id", "registry_no", "row"], unique=False
    )
    op.create_index("ix_roster_row_number", "roster_row", ["import_id", "person_no"], unique=False)
    op.create_index("ix_roster_row_person", "roster_row", ["import_id", "id_number_index"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("roster_row")
    op.drop_table("roster_finding")
    op.drop_table("roster_import")
    op.drop_table("review_decision")
    op.drop_table("objection")
    op.drop_table("household_status")
    op.drop_table("household_member")
    op.drop_table("five_ones_evidence")
    op.drop_table("enrolment")
    op.drop_table("case_step")
    op.drop_table("review_case")
    op.drop_table("household")
    op.drop_table("cooperative_member")
    op.drop_table("review_step")
    op.drop_table("cooperative")
    op.drop_table("buyer_unit")
    op.drop_table("beneficiary_policy")
    op.drop_table("region")
