"""Reviews with their notices, and imported rosters.

See the models of `marketplace/registry` for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0002b"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "review_decision": [("case_id", "decided_by"), ("case_id", "position"), ("id",)],
}


def upgrade() -> None:
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
    op.drop_table("case_step")
    op.drop_table("review_case")
    op.drop_table("review_step")
