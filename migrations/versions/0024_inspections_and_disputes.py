"""Receipts, inspections, rejections and disputes, and the compliance certificates of lots; see
`marketplace/procurement/receiving` and `marketplace/procurement/compliance`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "lot_certificate": [("id",), ("lot_id", "version"), ("public_no",), ("token",)],
    "inspection": [
        ("id",),
        ("id", "round"),
        ("inspected_by", "idempotency_key"),
        ("part_id", "round"),
        ("public_no",),
    ],
    "receipt": [("id",), ("part_id", "round"), ("received_by", "idempotency_key")],
    "dispute_statement": [("id",), ("stated_by", "idempotency_key")],
    "rejection_outcome": [("inspection_id",)],
    "replacement": [("id",), ("inspection_id",), ("part_id",)],
    "receipt_line": [("id",), ("receipt_id", "line_id")],
    "replacement_line": [("line_id",), ("line_id", "units")],
    "inspection_line": [("id",), ("inspection_id", "line_id")],
    "replacement_lot": [("id",), ("line_id", "lot_id")],
    "part_file": [("id",)],
}


def upgrade() -> None:
    op.create_table(
        "receiving_policy",
        sa.Column("buyer_unit_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("inspection_days", sa.Integer(), nullable=False),
        sa.Column("needs_certificates", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.Integer(), nullable=True),
        sa.Column("changed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "inspection_days >= 1 AND inspection_days <= 15", name=op.f("ck_receiving_policy_inspection_days")
        ),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_receiving_policy_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["changed_by"], ["user_account.id"], name=op.f("fk_receiving_policy_changed_by")
        ),
        sa.PrimaryKeyConstraint("buyer_unit_id", name=op.f("pk_receiving_policy")),
    )
    op.create_table(
        "lot_certificate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("goods", sa.String(length=60), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("producer", sa.String(length=120), nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("harvested_on", sa.Date(), nullable=False),
        sa.Column("promise", sa.String(length=300), nullable=False),
        sa.Column("issued_by", sa.Integer(), nullable=False),
        sa.Column("issued_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "goods <> '' AND producer <> '' AND origin <> '' AND promise <> ''",
            name=op.f("ck_lot_certificate_complete"),
        ),
        sa.CheckConstraint("version > 0 AND mass_g > 0", name=op.f("ck_lot_certificate_positive")),
        sa.ForeignKeyConstraint(
            ["issued_by"], ["user_account.id"], name=op.f("fk_lot_certificate_issued_by")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_lot_certificate_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot_certificate")),
        sa.UniqueConstraint("lot_id", "version", name=op.f("uq_lot_certificate_lot_id_version")),
        sa.UniqueConstraint("public_no", name=op.f("uq_lot_certificate_public_no")),
        sa.UniqueConstraint("token", name=op.f("uq_lot_certificate_token")),
        info={"append_only": True},
    )
    op.create_table(
        "inspection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("has_rejections", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("inspected_by", sa.Integer(), nullable=True),
        sa.Column("inspected_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "inspected_by IS NOT NULL OR NOT has_rejections", name=op.f("ck_inspection_rejected_by_somebody")
        ),
        sa.CheckConstraint("round IN (1, 2)", name=op.f("ck_inspection_round")),
        sa.ForeignKeyConstraint(
            ["inspected_by"], ["user_account.id"], name=op.f("fk_inspection_inspected_by")
        ),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_inspection_part_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
        sa.UniqueConstraint("id", "round", name=op.f("uq_inspection_id_round")),
        sa.UniqueConstraint(
            "inspected_by", "idempotency_key", name=op.f("uq_inspection_inspected_by_idempotency_key")
        ),
        sa.UniqueConstraint("part_id", "round", name=op.f("uq_inspection_part_id_round")),
        sa.UniqueConstraint("public_no", name=op.f("uq_inspection_public_no")),
        info={"append_only": True},
    )
    op.create_table(
        "receipt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("inspect_by_on", sa.Date(), nullable=False),
        sa.Column("temperature_dc", sa.Integer(), nullable=True),
        sa.Column("remark", sa.String(length=300), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("received_by", sa.Integer(), nullable=False),
        sa.Column("received_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("round IN (1, 2)", name=op.f("ck_receipt_round")),
        sa.CheckConstraint(
            "temperature_dc >= -500 AND temperature_dc <= 1000", name=op.f("ck_receipt_temperature")
        ),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_receipt_part_id")),
        sa.ForeignKeyConstraint(["received_by"], ["user_account.id"], name=op.f("fk_receipt_received_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("part_id", "round", name=op.f("uq_receipt_part_id_round")),
        sa.UniqueConstraint(
            "received_by", "idempotency_key", name=op.f("uq_receipt_received_by_idempotency_key")
        ),
        info={"append_only": True},
    )
    op.create_index("ix_receipt_inspect_by", "receipt", ["inspect_by_on"], unique=False)
    op.create_table(
        "dispute_statement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("inspection_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=40), nullable=False),
        sa.Column("words", sa.String(length=1000), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("stated_by", sa.Integer(), nullable=False),
        sa.Column("stated_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("words <> ''", name=op.f("ck_dispute_statement_words")),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_dispute_statement_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["stated_by"], ["user_account.id"], name=op.f("fk_dispute_statement_stated_by")
        ),
        sa.CheckConstraint(
            "side IN ('buyer', 'cooperative', 'mediator')", name=op.f("ck_dispute_statement_side")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_statement")),
        sa.UniqueConstraint(
            "stated_by", "idempotency_key", name=op.f("uq_dispute_statement_stated_by_idempotency_key")
        ),
        info={"append_only": True},
    )
    op.create_index(
        "ix_dispute_statement_inspection", "dispute_statement", ["inspection_id", "id"], unique=False
    )
    op.create_table(
        "rejection_outcome",
        sa.Column("inspection_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("side", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=False),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "side <> 'mediator' OR (reason <> '' AND outcome <> 'replaced')",
            name=op.f("ck_rejection_outcome_mediated"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_rejection_outcome_decided_by")
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_rejection_outcome_inspection_id")
        ),
        sa.CheckConstraint(
            "outcome IN ('agreed', 'returned', 'replaced', 'withdrawn')",
            name=op.f("ck_rejection_outcome_outcome"),
        ),
        sa.CheckConstraint(
            "side IN ('buyer', 'cooperative', 'mediator')", name=op.f("ck_rejection_outcome_side")
        ),
        sa.PrimaryKeyConstraint("inspection_id", name=op.f("pk_rejection_outcome")),
        info={"append_only": True},
    )
    op.create_table(
        "replacement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("inspection_id", sa.Integer(), nullable=False),
        sa.Column("carrier", sa.String(length=40), nullable=False),
        sa.Column("waybill_no", sa.String(length=40), nullable=False),
        sa.Column("sent_by", sa.Integer(), nullable=False),
        sa.Column("sent_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_replacement_inspection_id")
        ),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_replacement_part_id")),
        sa.ForeignKeyConstraint(["sent_by"], ["user_account.id"], name=op.f("fk_replacement_sent_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replacement")),
        sa.UniqueConstraint("inspection_id", name=op.f("uq_replacement_inspection_id")),
        sa.UniqueConstraint("part_id", name=op.f("uq_replacement_part_id")),
        info={"append_only": True},
    )
    op.create_table(
        "receipt_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("receipt_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_receipt_line_mass")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_receipt_line_line_id")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.id"], name=op.f("fk_receipt_line_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_line")),
        sa.UniqueConstraint("receipt_id", "line_id", name=op.f("uq_receipt_line_receipt_id_line_id")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_receipt_line_line_id"), "receipt_line", ["line_id"], unique=False)
    op.create_table(
        "replacement_line",
        sa.Column("line_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("replacement_id", sa.Integer(), nullable=False),
        sa.Column("line_quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.CheckConstraint("units > 0 AND units <= line_quantity", name=op.f("ck_replacement_line_units")),
        sa.ForeignKeyConstraint(
            ["line_id", "line_quantity", "unit_price_fen"],
            ["order_line.id", "order_line.quantity", "order_line.unit_price_fen"],
            name=op.f("fk_replacement_line_line_id_line_quantity_unit_price_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["replacement_id"], ["replacement.id"], name=op.f("fk_replacement_line_replacement_id")
        ),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_replacement_line")),
        sa.UniqueConstraint("line_id", "units", name=op.f("uq_replacement_line_line_id_units")),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_replacement_line_replacement_id"), "replacement_line", ["replacement_id"], unique=False
    )
    op.create_table(
        "inspection_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("inspection_id", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("line_quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("replaced_units", sa.Integer(), nullable=True),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("accepted_units", sa.Integer(), nullable=False),
        sa.Column("rejected_units", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("words", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "(rejected_units = 0) = (reason IS NULL) AND (rejected_units = 0) = (words = '')",
            name=op.f("ck_inspection_line_reason"),
        ),
        sa.CheckConstraint(
            "(round = 1) = (replaced_units IS NULL) AND units = CASE WHEN round = 1 THEN line_quantity ELSE replaced_units END",
            name=op.f("ck_inspection_line_units_delivered"),
        ),
        sa.CheckConstraint(
            "accepted_units >= 0 AND rejected_units >= 0 AND accepted_units + rejected_units = units",
            name=op.f("ck_inspection_line_adds_up"),
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id", "round"],
            ["inspection.id", "inspection.round"],
            name=op.f("fk_inspection_line_inspection_id_round"),
        ),
        sa.ForeignKeyConstraint(
            ["line_id", "line_quantity", "unit_price_fen"],
            ["order_line.id", "order_line.quantity", "order_line.unit_price_fen"],
            name=op.f("fk_inspection_line_line_id_line_quantity_unit_price_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["line_id", "replaced_units"],
            ["replacement_line.line_id", "replacement_line.units"],
            name=op.f("fk_inspection_line_line_id_replaced_units"),
        ),
        sa.CheckConstraint(
            "reason IN ('damaged', 'spoiled', 'short', 'wrong_goods', 'substandard', 'expired', 'no_certificate', 'other')",
            name=op.f("ck_inspection_line_reason_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection_line")),
        sa.UniqueConstraint(
            "inspection_id", "line_id", name=op.f("uq_inspection_line_inspection_id_line_id")
        ),
        info={"append_only": True},
    )
    op.create_index("ix_inspection_line_line", "inspection_line", ["line_id"], unique=False)
    op.create_table(
        "replacement_lot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_replacement_lot_mass")),
        sa.ForeignKeyConstraint(
            ["line_id"], ["replacement_line.line_id"], name=op.f("fk_replacement_lot_line_id")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_replacement_lot_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replacement_lot")),
        sa.UniqueConstraint("line_id", "lot_id", name=op.f("uq_replacement_lot_line_id_lot_id")),
        info={"append_only": True},
    )
    op.create_index("ix_replacement_lot_lot_id", "replacement_lot", ["lot_id"], unique=False)
    op.create_table(
        "part_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("receipt_id", sa.Integer(), nullable=True),
        sa.Column("inspection_line_id", sa.Integer(), nullable=True),
        sa.Column("statement_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(CASE WHEN receipt_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN inspection_line_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN statement_id IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck_part_file_one_subject"),
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_part_file_file_id")),
        sa.ForeignKeyConstraint(
            ["inspection_line_id"], ["inspection_line.id"], name=op.f("fk_part_file_inspection_line_id")
        ),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_part_file_part_id")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.id"], name=op.f("fk_part_file_receipt_id")),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["dispute_statement.id"], name=op.f("fk_part_file_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_part_file")),
        info={"append_only": True},
    )
    op.create_index("ix_part_file_inspection_line", "part_file", ["inspection_line_id"], unique=False)
    op.create_index(op.f("ix_part_file_part_id"), "part_file", ["part_id"], unique=False)
    op.create_index("ix_part_file_receipt", "part_file", ["receipt_id"], unique=False)
    op.create_index("ix_part_file_statement", "part_file", ["statement_id"], unique=False)
    with op.batch_alter_table("refund") as batch:
        batch.add_column(sa.Column("inspection_id", sa.Integer(), nullable=True))
        batch.create_unique_constraint(op.f("uq_refund_inspection_id"), ["inspection_id"])
        batch.create_foreign_key(op.f("fk_refund_inspection_id"), "inspection", ["inspection_id"], ["id"])
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    with op.batch_alter_table("refund") as batch:
        batch.drop_constraint(op.f("fk_refund_inspection_id"), type_="foreignkey")
        batch.drop_constraint(op.f("uq_refund_inspection_id"), type_="unique")
        batch.drop_column("inspection_id")
    op.drop_table("part_file")
    op.drop_table("replacement_lot")
    op.drop_table("inspection_line")
    op.drop_table("replacement_line")
    op.drop_table("receipt_line")
    op.drop_table("replacement")
    op.drop_table("rejection_outcome")
    op.drop_table("dispute_statement")
    op.drop_table("receipt")
    op.drop_table("inspection")
    op.drop_table("lot_certificate")
    op.drop_table("receiving_policy")
