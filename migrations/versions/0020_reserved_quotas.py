"""Reserved quotas.

Rules of a place and year, filings with their evidence and decisions, shared canteens, and whom a filing covers; see
`marketplace/procurement/quota`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "reserved_quota_rule": [("id",), ("region_code", "year", "version")],
    "quota_filing": [
        ("filed_by", "idempotency_key"),
        ("id",),
        ("id", "filed_by"),
        ("id", "unit_id", "year"),
        ("public_no",),
        ("unit_id", "year", "version"),
    ],
    "quota_evidence": [("filing_id", "file_id")],
    "quota_decision": [("filing_id",)],
}
TABLES = (
    "quota_cover", "quota_evidence", "quota_decision", "quota_filing", "canteen_sharing_member", "canteen_sharing",
    "reserved_quota_rule",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "canteen_sharing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("proposed_by", sa.Integer(), nullable=False),
        sa.Column("proposed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("year BETWEEN 2021 AND 2100", name=op.f("ck_canteen_sharing_year")),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["user_account.id"], name=op.f("fk_canteen_sharing_proposed_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canteen_sharing")),
        sa.UniqueConstraint("id", "year", name=op.f("uq_canteen_sharing_id_year")),
        sa.UniqueConstraint("public_no", name=op.f("uq_canteen_sharing_public_no")),
    )
    op.create_table(
        "reserved_quota_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=True),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("percent_bp", sa.Integer(), nullable=False),
        sa.Column("filing_due_on", sa.Date(), nullable=False),
        sa.Column("category_codes", sa.JSON(), nullable=False),
        sa.Column("scope_note", sa.String(length=300), nullable=False),
        sa.Column("basis", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("basis <> '' AND reason <> ''", name=op.f("ck_reserved_quota_rule_justified")),
        sa.CheckConstraint(
            "percent_bp > 0 AND percent_bp <= 10000", name=op.f("ck_reserved_quota_rule_percent")
        ),
        sa.CheckConstraint("year BETWEEN 2021 AND 2100", name=op.f("ck_reserved_quota_rule_year")),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_reserved_quota_rule_recorded_by")
        ),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_reserved_quota_rule_region_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reserved_quota_rule")),
        sa.UniqueConstraint(
            "region_code", "year", "version", name=op.f("uq_reserved_quota_rule_region_code_year_version")
        ),
        info={"append_only": True},
    )
    op.create_index(
        "uq_reserved_quota_rule_national",
        "reserved_quota_rule",
        ["year", "version"],
        unique=True,
        sqlite_where=sa.text("region_code IS NULL"),
        postgresql_where=sa.text("region_code IS NULL"),
    )
    op.create_table(
        "canteen_sharing_member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sharing_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("is_representative", sa.Boolean(), nullable=False),
        sa.Column("agreed_by", sa.Integer(), nullable=True),
        sa.Column("agreed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(agreed_by IS NULL) = (agreed_at IS NULL)", name=op.f("ck_canteen_sharing_member_agreed")
        ),
        sa.ForeignKeyConstraint(
            ["agreed_by"], ["user_account.id"], name=op.f("fk_canteen_sharing_member_agreed_by")
        ),
        sa.ForeignKeyConstraint(
            ["sharing_id", "year"],
            ["canteen_sharing.id", "canteen_sharing.year"],
            name=op.f("fk_canteen_sharing_member_sharing_id_year"),
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["buyer_unit.id"], name=op.f("fk_canteen_sharing_member_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canteen_sharing_member")),
        sa.UniqueConstraint("unit_id", "year", name=op.f("uq_canteen_sharing_member_unit_id_year")),
    )
    op.create_index(
        "ix_canteen_sharing_member_sharing_id", "canteen_sharing_member", ["sharing_id"], unique=False
    )
    op.create_index(
        "uq_canteen_sharing_member_representative",
        "canteen_sharing_member",
        ["sharing_id"],
        unique=True,
        sqlite_where=sa.text("is_representative"),
        postgresql_where=sa.text("is_representative"),
    )
    op.create_table(
        "quota_filing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("amends_id", sa.Integer(), nullable=True),
        sa.Column("rule_id", sa.Integer(), nullable=False),
        sa.Column("sharing_id", sa.Integer(), nullable=True),
        sa.Column("base_fen", sa.BigInteger(), nullable=False),
        sa.Column("floor_bp", sa.Integer(), nullable=False),
        sa.Column("reserve_bp", sa.Integer(), nullable=False),
        sa.Column("reserve_fen", sa.BigInteger(), nullable=False),
        sa.Column("last_base_fen", sa.BigInteger(), nullable=True),
        sa.Column("last_reserve_fen", sa.BigInteger(), nullable=True),
        sa.Column("explanation", sa.String(length=500), nullable=False),
        sa.Column("amendment_reason", sa.String(length=300), nullable=False),
        sa.Column("contractor", sa.String(length=120), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("filed_on", sa.Date(), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("filed_by", sa.Integer(), nullable=False),
        sa.Column("filed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(amends_id IS NULL) = (amendment_reason = '')", name=op.f("ck_quota_filing_amendment")
        ),
        sa.CheckConstraint(
            "(last_base_fen IS NULL OR (base_fen >= last_base_fen AND reserve_fen >= last_reserve_fen)) OR explanation <> ''",
            name=op.f("ck_quota_filing_decrease_explained"),
        ),
        sa.CheckConstraint(
            "(last_base_fen IS NULL) = (last_reserve_fen IS NULL)", name=op.f("ck_quota_filing_last_year")
        ),
        sa.CheckConstraint("NOT is_late OR filed_on > due_on", name=op.f("ck_quota_filing_late")),
        sa.CheckConstraint("base_fen BETWEEN 100000 AND 50000000000", name=op.f("ck_quota_filing_base")),
        sa.CheckConstraint(
            "floor_bp > 0 AND reserve_bp >= floor_bp AND reserve_bp <= 10000",
            name=op.f("ck_quota_filing_floor"),
        ),
        sa.CheckConstraint(
            "reserve_fen = (base_fen * reserve_bp + 5000) / 10000", name=op.f("ck_quota_filing_reserve")
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_quota_filing_version")),
        sa.CheckConstraint("year BETWEEN 2021 AND 2100", name=op.f("ck_quota_filing_year")),
        sa.ForeignKeyConstraint(
            ["amends_id", "unit_id", "year"],
            ["quota_filing.id", "quota_filing.unit_id", "quota_filing.year"],
            name=op.f("fk_quota_filing_amends_id_unit_id_year"),
        ),
        sa.ForeignKeyConstraint(["filed_by"], ["user_account.id"], name=op.f("fk_quota_filing_filed_by")),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["reserved_quota_rule.id"], name=op.f("fk_quota_filing_rule_id")
        ),
        sa.ForeignKeyConstraint(
            ["sharing_id"], ["canteen_sharing.id"], name=op.f("fk_quota_filing_sharing_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_quota_filing_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_filing")),
        sa.UniqueConstraint(
            "filed_by", "idempotency_key", name=op.f("uq_quota_filing_filed_by_idempotency_key")
        ),
        sa.UniqueConstraint("id", "filed_by", name=op.f("uq_quota_filing_id_filed_by")),
        sa.UniqueConstraint("id", "unit_id", "year", name=op.f("uq_quota_filing_id_unit_id_year")),
        sa.UniqueConstraint("public_no", name=op.f("uq_quota_filing_public_no")),
        sa.UniqueConstraint("unit_id", "year", "version", name=op.f("uq_quota_filing_unit_id_year_version")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_quota_filing_sharing_id"), "quota_filing", ["sharing_id"], unique=False)
    op.create_table(
        "quota_decision",
        sa.Column("filing_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("filed_by", sa.Integer(), nullable=False),
        sa.Column("is_confirmed", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=False),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("is_confirmed OR note <> ''", name=op.f("ck_quota_decision_returned_with_reason")),
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_quota_decision_separate_duties")),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_quota_decision_decided_by")
        ),
        sa.ForeignKeyConstraint(
            ["filing_id", "filed_by"],
            ["quota_filing.id", "quota_filing.filed_by"],
            name=op.f("fk_quota_decision_filing_id_filed_by"),
        ),
        sa.PrimaryKeyConstraint("filing_id", name=op.f("pk_quota_decision")),
        info={"append_only": True},
    )
    op.create_table(
        "quota_cover",
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("filer_id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=True),
        sa.Column("filing_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("unit_id = filer_id OR member_id IS NOT NULL", name=op.f("ck_quota_cover_shared")),
        sa.ForeignKeyConstraint(["filer_id"], ["buyer_unit.id"], name=op.f("fk_quota_cover_filer_id")),
        sa.ForeignKeyConstraint(
            ["filing_id", "filer_id", "year"],
            ["quota_filing.id", "quota_filing.unit_id", "quota_filing.year"],
            name=op.f("fk_quota_cover_filing_id_filer_id_year"),
        ),
        sa.ForeignKeyConstraint(
            ["filing_id"], ["quota_decision.filing_id"], name=op.f("fk_quota_cover_filing_id")
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["canteen_sharing_member.id"], name=op.f("fk_quota_cover_member_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_quota_cover_unit_id")),
        sa.PrimaryKeyConstraint("unit_id", "year", name=op.f("pk_quota_cover")),
    )
    op.create_index("ix_quota_cover_filer", "quota_cover", ["filer_id", "year"], unique=False)
    op.create_table(
        "quota_evidence",
        sa.Column("filing_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_quota_evidence_file_id")),
        sa.ForeignKeyConstraint(["filing_id"], ["quota_filing.id"], name=op.f("fk_quota_evidence_filing_id")),
        sa.PrimaryKeyConstraint("filing_id", "file_id", name=op.f("pk_quota_evidence")),
        info={"append_only": True},
    )
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
