"""Evaluations and purchase certificates.

What buyers say of what they accepted and paid, and the certificates over purchases that are complete; see
`marketplace/procurement/evaluations` and `marketplace/payments/purchase_certificates`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "evaluation": [("part_id",)],
    "purchase_certificate": [
        ("buyer_unit_id", "idempotency_key"), ("id",), ("public_no",), ("token",),
    ],
    "purchase_certificate_withdrawal": [("certificate_id",)],
    "certified_line": [("certificate_id", "line_id"), ("replaces_id", "line_id")],
}  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "purchase_certificate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "personal",
                "canteen",
                "union",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("since_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("issued_by", sa.Integer(), nullable=False),
        sa.Column("issued_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('canteen', 'union')", name=op.f("ck_purchase_certificate_of_unit")),
        sa.CheckConstraint("net_fen > 0", name=op.f("ck_purchase_certificate_net")),
        sa.CheckConstraint("until_on >= since_on", name=op.f("ck_purchase_certificate_span")),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_purchase_certificate_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["issued_by"], ["user_account.id"], name=op.f("fk_purchase_certificate_issued_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_certificate")),
        sa.UniqueConstraint(
            "buyer_unit_id",
            "idempotency_key",
            name=op.f("uq_purchase_certificate_buyer_unit_id_idempotency_key"),
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_purchase_certificate_public_no")),
        sa.UniqueConstraint("token", name=op.f("uq_purchase_certificate_token")),
        info={"append_only": True},
    )
    op.create_index("ix_purchase_certificate_unit", "purchase_certificate", ["buyer_unit_id", "id"])
    op.create_table(
        "purchase_certificate_withdrawal",
        sa.Column("certificate_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("withdrawn_by", sa.Integer(), nullable=True),
        sa.Column("withdrawn_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_purchase_certificate_withdrawal_reason")),
        sa.ForeignKeyConstraint(
            ["certificate_id"],
            ["purchase_certificate.id"],
            name=op.f("fk_purchase_certificate_withdrawal_certificate_id"),
        ),
        sa.ForeignKeyConstraint(
            ["withdrawn_by"],
            ["user_account.id"],
            name=op.f("fk_purchase_certificate_withdrawal_withdrawn_by"),
        ),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_purchase_certificate_withdrawal")),
        info={"append_only": True},
    )
    op.create_table(
        "evaluation",
        sa.Column("part_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("goods_score", sa.Integer(), nullable=False),
        sa.Column("delivery_score", sa.Integer(), nullable=False),
        sa.Column("remark", sa.String(length=500), nullable=False),
        sa.Column("evaluated_by", sa.Integer(), nullable=False),
        sa.Column("evaluated_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(goods_score > 2 AND delivery_score > 2) OR remark <> ''",
            name=op.f("ck_evaluation_poor_with_remark"),
        ),
        sa.CheckConstraint("delivery_score BETWEEN 1 AND 5", name=op.f("ck_evaluation_delivery_score")),
        sa.CheckConstraint("goods_score BETWEEN 1 AND 5", name=op.f("ck_evaluation_goods_score")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_evaluation_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["evaluated_by"], ["user_account.id"], name=op.f("fk_evaluation_evaluated_by")
        ),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_evaluation_part_id")),
        sa.PrimaryKeyConstraint("part_id", name=op.f("pk_evaluation")),
        info={"append_only": True},
    )
    op.create_index("ix_evaluation_cooperative", "evaluation", ["cooperative_id", "part_id"])
    op.create_table(
        "certified_line",
        sa.Column("certificate_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("replaces_id", sa.Integer(), nullable=True),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("net_fen > 0", name=op.f("ck_certified_line_net")),
        sa.CheckConstraint("replaces_id <> certificate_id", name=op.f("ck_certified_line_another")),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["purchase_certificate.id"], name=op.f("fk_certified_line_certificate_id")
        ),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_certified_line_line_id")),
        sa.ForeignKeyConstraint(
            ["replaces_id", "line_id"],
            ["certified_line.certificate_id", "certified_line.line_id"],
            name=op.f("fk_certified_line_replaces_id_line_id"),
        ),
        sa.ForeignKeyConstraint(
            ["replaces_id"],
            ["purchase_certificate_withdrawal.certificate_id"],
            name=op.f("fk_certified_line_replaces_id"),
        ),
        sa.PrimaryKeyConstraint("certificate_id", "line_id", name=op.f("pk_certified_line")),
        sa.UniqueConstraint("replaces_id", "line_id", name=op.f("uq_certified_line_replaces_id_line_id")),
        info={"append_only": True},
    )
    op.create_index("ix_certified_line_replaces_id", "certified_line", ["replaces_id"])
    op.create_index(
        "uq_certified_line_first",
        "certified_line",
        ["line_id"],
        unique=True,
        sqlite_where=sa.text("replaces_id IS NULL"),
        postgresql_where=sa.text("replaces_id IS NULL"),
    )
    dialect = op.get_bind().dialect.name
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, dialect, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    for table in reversed(APPEND_ONLY):
        op.drop_table(table)
