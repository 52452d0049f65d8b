"""Freight and addresses.

What cooperatives ask for carrying, what a part was charged of it, the addresses people keep, and photos of refunds. See
`marketplace/ordering/freight`, `marketplace/ordering/addresses` and `marketplace/payments/refunds`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0039"
down_revision = "0034"
branch_labels = None
depends_on = None

HISTORY = {
    "freight_sheet": [("cooperative_id", "version"), ("id",), ("id", "cooperative_id")],
    "freight_rate": [("id",), ("sheet_id", "zone_code")],
    "refund_file": [("id",), ("refund_id", "file_id")],
}
FREIGHT_WAITS = sa.text(
    "freight_fen > 0 AND freight_passed_at IS NULL AND accepted_at IS NOT NULL AND paid_at IS NOT NULL"
)
IS_DEFAULT = sa.text("is_default")


def upgrade() -> None:
    op.create_table(
        "freight_sheet",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("free_from_fen", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_freight_sheet_version")),
        sa.CheckConstraint("free_from_fen > 0", name=op.f("ck_freight_sheet_free_from")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_freight_sheet_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user_account.id"], name=op.f("fk_freight_sheet_created_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freight_sheet")),
        sa.UniqueConstraint(
            "cooperative_id", "version", name=op.f("uq_freight_sheet_cooperative_id_version")
        ),
        sa.UniqueConstraint("id", "cooperative_id", name=op.f("uq_freight_sheet_id_cooperative_id")),
    )
    op.create_table(
        "freight_rate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sheet_id", sa.Integer(), nullable=False),
        sa.Column("zone_code", sa.String(length=6), nullable=False),
        sa.Column("first_fen", sa.BigInteger(), nullable=False),
        sa.Column("further_fen", sa.BigInteger(), nullable=False),
        sa.Column("days_from", sa.Integer(), nullable=False),
        sa.Column("days_to", sa.Integer(), nullable=False),
        sa.CheckConstraint("first_fen >= 0 AND further_fen >= 0", name=op.f("ck_freight_rate_fen")),
        sa.CheckConstraint(
            "days_from >= 1 AND days_to >= days_from AND days_to <= 60", name=op.f("ck_freight_rate_days")
        ),
        sa.ForeignKeyConstraint(["sheet_id"], ["freight_sheet.id"], name=op.f("fk_freight_rate_sheet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freight_rate")),
        sa.UniqueConstraint("sheet_id", "zone_code", name=op.f("uq_freight_rate_sheet_id_zone_code")),
    )
    op.create_table(
        "saved_address",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("recipient_name", sa.String(length=60), nullable=False),
        sa.Column("recipient_phone", sa.String(length=20), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=True),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_saved_address_region_code")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_saved_address_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_address")),
        sa.UniqueConstraint("public_no", name=op.f("uq_saved_address_public_no")),
    )
    op.create_index("ix_saved_address_user", "saved_address", ["user_id", "id"])
    op.create_index(
        "uq_saved_address_default",
        "saved_address",
        ["user_id"],
        unique=True,
        sqlite_where=IS_DEFAULT,
        postgresql_where=IS_DEFAULT,
    )
    op.create_table(
        "refund_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("refund_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_refund_file_file_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refund_file_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_file")),
        sa.UniqueConstraint("refund_id", "file_id", name=op.f("uq_refund_file_refund_id_file_id")),
    )
    with op.batch_alter_table("customer_order") as batch:
        batch.add_column(sa.Column("deliver_region_code", sa.String(length=12), nullable=True))
        batch.create_foreign_key(
            op.f("fk_customer_order_deliver_region_code"), "region", ["deliver_region_code"], ["code"]
        )
    with op.batch_alter_table("order_part") as batch:
        batch.add_column(sa.Column("freight_fen", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("freight_sheet_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("freight_passed_at", db.UtcInstant(timezone=True), nullable=True))
        batch.create_check_constraint(
            op.f("ck_order_part_freight"),
            "freight_fen >= 0 AND (freight_fen = 0 OR freight_sheet_id IS NOT NULL)",
        )
        batch.create_foreign_key(
            op.f("fk_order_part_freight_sheet_id_cooperative_id"),
            "freight_sheet",
            ["freight_sheet_id", "cooperative_id"],
            ["id", "cooperative_id"],
        )
    op.create_index(
        "ix_order_part_freight",
        "order_part",
        ["id"],
        sqlite_where=FREIGHT_WAITS,
        postgresql_where=FREIGHT_WAITS,
    )
    with op.batch_alter_table("refund") as batch:
        batch.add_column(sa.Column("freight_fen", sa.BigInteger(), nullable=False, server_default="0"))
        batch.drop_constraint(op.f("ck_refund_amount"), type_="check")
        batch.create_check_constraint(op.f("ck_refund_amount"), "amount_fen > 0 AND freight_fen >= 0")
    for table, keys in HISTORY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("refund_file")
    with op.batch_alter_table("refund") as batch:
        batch.drop_constraint(op.f("ck_refund_amount"), type_="check")
        batch.create_check_constraint(op.f("ck_refund_amount"), "amount_fen > 0")
        batch.drop_column("freight_fen")
    op.drop_index("ix_order_part_freight", "order_part")
    with op.batch_alter_table("order_part") as batch:
        batch.drop_constraint(op.f("ck_order_part_freight"), type_="check")
        batch.drop_constraint(op.f("fk_order_part_freight_sheet_id_cooperative_id"), type_="foreignkey")
        for column in ("freight_fen", "freight_sheet_id", "freight_passed_at"):
            batch.drop_column(column)
    with op.batch_alter_table("customer_order") as batch:
        batch.drop_constraint(op.f("fk_customer_order_deliver_region_code"), type_="foreignkey")
        batch.drop_column("deliver_region_code")
    op.drop_table("saved_address")
    op.drop_table("freight_rate")
    op.drop_table("freight_sheet")
