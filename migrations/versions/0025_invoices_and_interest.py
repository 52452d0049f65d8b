"""Policies on terms of payment, invoices, late interest, and what each line of a bank statement paid.

Lines that paid a bill before are given their match, so that every transfer is found in one place.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "bank_line_match": [("id",), ("interest_id",), ("payment_id",)],
    "interest_span": [("id",), ("interest_id", "starts_on")],
    "interest_waiver": [("entry_id",), ("payment_id",)],
}
MATCHED_BEFORE = """
INSERT INTO bank_line_match (line_id, payment_id, amount_fen)
SELECT bank_line.id, bank_line.payment_id, bank_line.amount_fen
FROM bank_line JOIN payment ON payment.id = bank_line.payment_id
WHERE bank_line.state IN ('matched', 'resolved') AND payment.state = 'paid'
"""


def upgrade() -> None:
    op.create_table(
        "payment_policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("default_days", sa.Integer(), nullable=False),
        sa.Column("cap_days", sa.Integer(), nullable=False),
        sa.Column(
            "payment_start",
            sa.Enum(
                "delivery",
                "inspection",
                name="payment_start",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("late_rate_bp", sa.Integer(), nullable=False),
        sa.Column("basis", sa.String(length=200), nullable=False),
        sa.CheckConstraint("basis <> ''", name=op.f("ck_payment_policy_basis")),
        sa.CheckConstraint(
            "default_days >= 1 AND default_days <= cap_days AND cap_days <= 60",
            name=op.f("ck_payment_policy_days"),
        ),
        sa.CheckConstraint(
            "late_rate_bp >= 0 AND late_rate_bp <= 100", name=op.f("ck_payment_policy_late_rate")
        ),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_payment_policy_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_policy")),
        sa.UniqueConstraint("region_code", "from_on", name=op.f("uq_payment_policy_region_code_from_on")),
    )
    op.create_table(
        "invoice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("goods", "red_letter", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "uploaded",
                "confirmed",
                "returned",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("original_id", sa.Integer(), nullable=True),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("uploaded_by", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("checked_by", sa.Integer(), nullable=True),
        sa.Column("checked_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("return_reason", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "(kind = 'red_letter') = (original_id IS NOT NULL)", name=op.f("ck_invoice_original")
        ),
        sa.CheckConstraint(
            "(state = 'returned') = (return_reason <> '')", name=op.f("ck_invoice_returned_with_reason")
        ),
        sa.CheckConstraint("(state = 'uploaded') = (checked_at IS NULL)", name=op.f("ck_invoice_checked")),
        sa.CheckConstraint(
            "(checked_at IS NULL) = (checked_by IS NULL)", name=op.f("ck_invoice_checked_by_somebody")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_invoice_amount")),
        sa.CheckConstraint("checked_by <> uploaded_by", name=op.f("ck_invoice_separate_duties")),
        sa.CheckConstraint("length(number) IN (18, 20)", name=op.f("ck_invoice_number")),
        sa.CheckConstraint("original_id <> id", name=op.f("ck_invoice_another")),
        sa.ForeignKeyConstraint(["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_invoice_buyer_unit_id")),
        sa.ForeignKeyConstraint(["checked_by"], ["user_account.id"], name=op.f("fk_invoice_checked_by")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_invoice_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_invoice_file_id")),
        sa.ForeignKeyConstraint(["original_id"], ["invoice.id"], name=op.f("fk_invoice_original_id")),
        sa.ForeignKeyConstraint(["uploaded_by"], ["user_account.id"], name=op.f("fk_invoice_uploaded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("public_no", name=op.f("uq_invoice_public_no")),
        sa.UniqueConstraint(
            "uploaded_by", "idempotency_key", name=op.f("uq_invoice_uploaded_by_idempotency_key")
        ),
    )
    op.create_index("ix_invoice_cooperative", "invoice", ["cooperative_id", "state", "id"], unique=False)
    op.create_index(op.f("ix_invoice_original_id"), "invoice", ["original_id"], unique=False)
    op.create_index("ix_invoice_unit", "invoice", ["buyer_unit_id", "state", "id"], unique=False)
    op.create_index(
        "uq_invoice_number",
        "invoice",
        ["number"],
        unique=True,
        sqlite_where=sa.text("state <> 'returned'"),
        postgresql_where=sa.text("state <> 'returned'"),
    )
    op.create_table(
        "invoice_part",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("invoice_id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_invoice_part_amount")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_part_invoice_id")),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_invoice_part_part_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_part")),
        sa.UniqueConstraint("invoice_id", "part_id", name=op.f("uq_invoice_part_invoice_id_part_id")),
    )
    op.create_index(op.f("ix_invoice_part_part_id"), "invoice_part", ["part_id"], unique=False)
    op.create_index(
        "uq_invoice_part_live",
        "invoice_part",
        ["part_id"],
        unique=True,
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
    )
    op.create_table(
        "interest_waiver",
        sa.Column("payment_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("waived_by", sa.Integer(), nullable=False),
        sa.Column("waived_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_interest_waiver_reason")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_interest_waiver_entry_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_interest_waiver_payment_id")),
        sa.ForeignKeyConstraint(
            ["waived_by"], ["user_account.id"], name=op.f("fk_interest_waiver_waived_by")
        ),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_interest_waiver")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_interest_waiver_entry_id")),
        info={"append_only": True},
    )
    op.create_table(
        "late_interest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("days_late", sa.Integer(), nullable=False),
        sa.Column("late_rate_bp", sa.Integer(), nullable=False),
        sa.Column("fen_days", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("remittance_code", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open", "paid", "waived", name="state", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("claimed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("paid_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_late_interest_paid")),
        sa.CheckConstraint(
            "amount_fen = (2 * fen_days * late_rate_bp + 10000) / 20000",
            name=op.f("ck_late_interest_formula"),
        ),
        sa.CheckConstraint(
            "days_late > 0 AND fen_days > 0 AND amount_fen > 0", name=op.f("ck_late_interest_positive")
        ),
        sa.CheckConstraint("paid_on > due_on", name=op.f("ck_late_interest_late")),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_late_interest_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_late_interest_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_late_interest_entry_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_late_interest_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_interest")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_late_interest_entry_id")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_late_interest_payment_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_late_interest_public_no")),
        sa.UniqueConstraint("remittance_code", name=op.f("uq_late_interest_remittance_code")),
    )
    op.create_index(
        "ix_late_interest_cooperative", "late_interest", ["cooperative_id", "state", "id"], unique=False
    )
    op.create_index("ix_late_interest_unit", "late_interest", ["buyer_unit_id", "state", "id"], unique=False)
    op.create_table(
        "bank_line_match",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column("interest_id", sa.Integer(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(payment_id IS NULL) <> (interest_id IS NULL)", name=op.f("ck_bank_line_match_one_claim")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_bank_line_match_amount")),
        sa.ForeignKeyConstraint(
            ["interest_id"], ["late_interest.id"], name=op.f("fk_bank_line_match_interest_id")
        ),
        sa.ForeignKeyConstraint(["line_id"], ["bank_line.id"], name=op.f("fk_bank_line_match_line_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_bank_line_match_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_line_match")),
        sa.UniqueConstraint("interest_id", name=op.f("uq_bank_line_match_interest_id")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_bank_line_match_payment_id")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_bank_line_match_line_id"), "bank_line_match", ["line_id"], unique=False)
    op.create_table(
        "interest_span",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("interest_id", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("owed_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("days > 0 AND owed_fen > 0", name=op.f("ck_interest_span_positive")),
        sa.ForeignKeyConstraint(
            ["interest_id"], ["late_interest.id"], name=op.f("fk_interest_span_interest_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interest_span")),
        sa.UniqueConstraint("interest_id", "starts_on", name=op.f("uq_interest_span_interest_id_starts_on")),
        info={"append_only": True},
    )
    op.add_column("bank_line", sa.Column("expected_fen", sa.BigInteger(), nullable=True))
    op.execute(MATCHED_BEFORE)
    dialect = op.get_bind().dialect.name
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, dialect, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_column("bank_line", "expected_fen")
    for table in (
        "interest_span", "bank_line_match", "late_interest", "interest_waiver", "invoice_part", "invoice", "payment_policy",
    ):  # fmt: skip
        op.drop_table(table)
