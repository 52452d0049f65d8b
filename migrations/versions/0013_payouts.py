"""Household bank accounts, payout batches, payouts, and the sheets read for them.

The tables of `marketplace/payments/payouts`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "household_bank_account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("number_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("number_index", sa.LargeBinary(length=32), nullable=False),
        sa.Column("last_four", sa.String(length=4), nullable=False),
        sa.Column("holder_name", sa.String(length=60), nullable=False),
        sa.Column("bank_name", sa.String(length=80), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("replaced_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("length(last_four) = 4", name=op.f("ck_household_bank_account_last_four")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_bank_account_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_household_bank_account_recorded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_bank_account")),
        sa.UniqueConstraint("public_no", name=op.f("uq_household_bank_account_public_no")),
    )
    op.create_index(
        "ix_household_bank_account_household", "household_bank_account", ["household_id", "id"], unique=False
    )
    op.create_index(
        "uq_household_bank_account_number",
        "household_bank_account",
        ["number_index"],
        unique=True,
        sqlite_where=sa.text("replaced_at IS NULL"),
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_index(
        "uq_household_bank_account_standing",
        "household_bank_account",
        ["household_id"],
        unique=True,
        sqlite_where=sa.text("replaced_at IS NULL"),
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "payout_batch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=True),
        sa.Column("county_code", sa.String(length=12), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "prepared",
                "approved",
                "sent",
                "finished",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("minimum_fen", sa.BigInteger(), nullable=False),
        sa.Column("up_to_on", sa.Date(), nullable=False),
        sa.Column("layout", sa.JSON(), nullable=False),
        sa.Column("payouts_count", sa.Integer(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("prepared_by", sa.Integer(), nullable=True),
        sa.Column("prepared_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Integer(), nullable=True),
        sa.Column("approved_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("sent_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("finished_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('approved', 'sent', 'finished')) = (approved_at IS NOT NULL AND approved_by IS NOT NULL AND prepared_by IS NOT NULL)",
            name=op.f("ck_payout_batch_approved"),
        ),
        sa.CheckConstraint(
            "(state IN ('sent', 'finished')) = (file_id IS NOT NULL AND sent_at IS NOT NULL)",
            name=op.f("ck_payout_batch_sent"),
        ),
        sa.CheckConstraint(
            "(cooperative_id IS NULL) <> (county_code IS NULL)", name=op.f("ck_payout_batch_one_scope")
        ),
        sa.CheckConstraint("approved_by <> prepared_by", name=op.f("ck_payout_batch_two_people")),
        sa.CheckConstraint(
            "minimum_fen > 0 AND total_fen >= 0 AND payouts_count >= 0", name=op.f("ck_payout_batch_amounts")
        ),
        sa.ForeignKeyConstraint(
            ["approved_by"], ["user_account.id"], name=op.f("fk_payout_batch_approved_by")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_payout_batch_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["county_code"], ["region.code"], name=op.f("fk_payout_batch_county_code")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_payout_batch_file_id")),
        sa.ForeignKeyConstraint(
            ["prepared_by"], ["user_account.id"], name=op.f("fk_payout_batch_prepared_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_batch")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_payout_batch_idempotency_key")),
        sa.UniqueConstraint("public_no", name=op.f("uq_payout_batch_public_no")),
    )
    op.create_index("ix_payout_batch_cooperative", "payout_batch", ["cooperative_id", "id"], unique=False)
    op.create_index("ix_payout_batch_county", "payout_batch", ["county_code", "id"], unique=False)
    op.create_index("ix_payout_batch_state", "payout_batch", ["state", "id"], unique=False)
    op.create_table(
        "payout",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("household_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("prepared_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "prepared",
                "sent",
                "paid",
                "failed",
                "unknown",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "fail_kind",
            sa.Enum(
                "account", "bank", name="fail_kind", native_enum=False, create_constraint=True, length=40
            ),
            nullable=True,
        ),
        sa.Column("fail_reason", sa.String(length=120), nullable=False),
        sa.Column(
            "drop_reason",
            sa.Enum(
                "cancelled",
                "balance",
                "account",
                name="drop_reason",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("sent_entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("answer_entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("answered_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'cancelled') = (drop_reason IS NOT NULL)", name=op.f("ck_payout_dropped")
        ),
        sa.CheckConstraint(
            "(state = 'failed') = (fail_kind IS NOT NULL AND fail_reason <> '')",
            name=op.f("ck_payout_failed"),
        ),
        sa.CheckConstraint(
            "(state IN ('paid', 'failed')) = (answer_entry_id IS NOT NULL AND answered_at IS NOT NULL)",
            name=op.f("ck_payout_answered"),
        ),
        sa.CheckConstraint(
            "(state IN ('sent', 'paid', 'failed', 'unknown')) = (sent_entry_id IS NOT NULL)",
            name=op.f("ck_payout_sent"),
        ),
        sa.CheckConstraint("amount_fen > 0 AND amount_fen <= prepared_fen", name=op.f("ck_payout_amount")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["household_bank_account.id"], name=op.f("fk_payout_account_id")
        ),
        sa.ForeignKeyConstraint(["answer_entry_id"], ["entry.id"], name=op.f("fk_payout_answer_entry_id")),
        sa.ForeignKeyConstraint(["batch_id"], ["payout_batch.id"], name=op.f("fk_payout_batch_id")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_payout_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_payout_household_id")),
        sa.ForeignKeyConstraint(["sent_entry_id"], ["entry.id"], name=op.f("fk_payout_sent_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout")),
        sa.UniqueConstraint("answer_entry_id", name=op.f("uq_payout_answer_entry_id")),
        sa.UniqueConstraint(
            "batch_id",
            "household_id",
            "cooperative_id",
            name=op.f("uq_payout_batch_id_household_id_cooperative_id"),
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_payout_public_no")),
        sa.UniqueConstraint("sent_entry_id", name=op.f("uq_payout_sent_entry_id")),
    )
    op.create_index("ix_payout_account", "payout", ["account_id", "state"], unique=False)
    op.create_index("ix_payout_household", "payout", ["household_id", "id"], unique=False)
    op.create_index("ix_payout_state", "payout", ["state", "cooperative_id"], unique=False)
    op.create_index(
        "uq_payout_under_way",
        "payout",
        ["household_id", "cooperative_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('prepared', 'sent', 'unknown')"),
        postgresql_where=sa.text("state IN ('prepared', 'sent', 'unknown')"),
    )
    op.create_table(
        "payout_result",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column(
            "state",
            sa.Enum("checked", "taken", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("rows_total", sa.Integer(), nullable=False),
        sa.Column("rows_paid", sa.Integer(), nullable=False),
        sa.Column("rows_failed", sa.Integer(), nullable=False),
        sa.Column("rows_unknown", sa.Integer(), nullable=False),
        sa.Column("rows_unchanged", sa.Integer(), nullable=False),
        sa.Column("rows_bad", sa.Integer(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("imported_by", sa.Integer(), nullable=True),
        sa.Column("imported_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Integer(), nullable=True),
        sa.Column("taken_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name=op.f("ck_payout_result_taken")),
        sa.ForeignKeyConstraint(["batch_id"], ["payout_batch.id"], name=op.f("fk_payout_result_batch_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_payout_result_file_id")),
        sa.ForeignKeyConstraint(
            ["imported_by"], ["user_account.id"], name=op.f("fk_payout_result_imported_by")
        ),
        sa.ForeignKeyConstraint(["taken_by"], ["user_account.id"], name=op.f("fk_payout_result_taken_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_result")),
        sa.UniqueConstraint("batch_id", "content_hash", name=op.f("uq_payout_result_batch_id_content_hash")),
        sa.UniqueConstraint("public_no", name=op.f("uq_payout_result_public_no")),
    )
    op.create_table(
        "account_sheet",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column(
            "state",
            sa.Enum("checked", "taken", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("rows_total", sa.Integer(), nullable=False),
        sa.Column("rows_new", sa.Integer(), nullable=False),
        sa.Column("rows_unchanged", sa.Integer(), nullable=False),
        sa.Column("rows_bad", sa.Integer(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("imported_by", sa.Integer(), nullable=True),
        sa.Column("imported_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Integer(), nullable=True),
        sa.Column("taken_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name=op.f("ck_account_sheet_taken")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_account_sheet_file_id")),
        sa.ForeignKeyConstraint(
            ["imported_by"], ["user_account.id"], name=op.f("fk_account_sheet_imported_by")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_account_sheet_organisation_id")
        ),
        sa.ForeignKeyConstraint(["taken_by"], ["user_account.id"], name=op.f("fk_account_sheet_taken_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_sheet")),
        sa.UniqueConstraint(
            "organisation_id", "content_hash", name=op.f("uq_account_sheet_organisation_id_content_hash")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_account_sheet_public_no")),
    )


def downgrade() -> None:
    for table in ("account_sheet", "payout_result", "payout", "payout_batch", "household_bank_account"):
        op.drop_table(table)
