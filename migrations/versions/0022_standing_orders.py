"""Standing orders: their lines and windows, every change of them, substitutes, promised capacity, and a unit's year.

The tables of `marketplace/procurement/standing`; see its models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "standing_line": [("id",), ("standing_order_id", "listing_id")],
    "standing_change": [("id",)],
    "standing_changed_line": [("change_id", "listing_id"), ("id",)],
    "window_order": [("order_id",), ("window_id",)],
}
TABLES = (
    "day_capacity", "substitution", "window_order", "standing_changed_line", "delivery_window", "standing_change",
    "standing_line", "standing_order", "unit_span",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "standing_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "awaiting_approval",
                "rejected",
                "awaiting_confirmation",
                "declined",
                "active",
                "paused",
                "ended",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("ordered_by", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("weekdays", sa.Integer(), nullable=False),
        sa.Column("every_weeks", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("skips_public_holidays", sa.Boolean(), nullable=False),
        sa.Column("slot_from_min", sa.Integer(), nullable=False),
        sa.Column("slot_to_min", sa.Integer(), nullable=False),
        sa.Column("cutoff_days", sa.Integer(), nullable=False),
        sa.Column("cutoff_min", sa.Integer(), nullable=False),
        sa.Column("recipient_name", sa.String(length=60), nullable=False),
        sa.Column("recipient_phone", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("approved_by", sa.Integer(), nullable=True),
        sa.Column("approved_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("approved_fen", sa.BigInteger(), nullable=True),
        sa.Column("approved_windows", sa.Integer(), nullable=True),
        sa.Column("used_fen", sa.BigInteger(), nullable=False),
        sa.Column("used_windows", sa.Integer(), nullable=False),
        sa.Column("paused_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state = 'paused') = (paused_at IS NOT NULL)", name=op.f("ck_standing_order_paused")
        ),
        sa.CheckConstraint(
            "state IN ('awaiting_approval', 'rejected', 'ended') OR approved_by IS NOT NULL",
            name=op.f("ck_standing_order_approved"),
        ),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approved_at IS NULL) AND (approved_by IS NULL) = (approved_fen IS NULL) AND (approved_by IS NULL) = (approved_windows IS NULL)",
            name=op.f("ck_standing_order_approved_whole"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> ordered_by", name=op.f("ck_standing_order_separate_duties")
        ),
        sa.CheckConstraint(
            "cutoff_days > 0 OR cutoff_min <= slot_from_min", name=op.f("ck_standing_order_cutoff_first")
        ),
        sa.CheckConstraint(
            "cutoff_days BETWEEN 0 AND 30 AND cutoff_min BETWEEN 0 AND 1439",
            name=op.f("ck_standing_order_cutoff"),
        ),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_standing_order_span")),
        sa.CheckConstraint("every_weeks BETWEEN 1 AND 8", name=op.f("ck_standing_order_every_weeks")),
        sa.CheckConstraint(
            "slot_from_min >= 0 AND slot_from_min < slot_to_min AND slot_to_min <= 1440",
            name=op.f("ck_standing_order_slot"),
        ),
        sa.CheckConstraint(
            "used_fen >= 0 AND used_windows >= 0 AND used_fen <= coalesce(approved_fen, 0) AND used_windows <= coalesce(approved_windows, 0)",
            name=op.f("ck_standing_order_within_approval"),
        ),
        sa.CheckConstraint("weekdays BETWEEN 1 AND 127", name=op.f("ck_standing_order_weekdays")),
        sa.ForeignKeyConstraint(
            ["approved_by"], ["user_account.id"], name=op.f("fk_standing_order_approved_by")
        ),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_standing_order_buyer_unit_id")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_standing_order_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["ordered_by"], ["user_account.id"], name=op.f("fk_standing_order_ordered_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_order")),
        sa.UniqueConstraint(
            "ordered_by", "idempotency_key", name=op.f("uq_standing_order_ordered_by_idempotency_key")
        ),
        sa.UniqueConstraint("public_no", name=op.f("uq_standing_order_public_no")),
    )
    op.create_index(
        "ix_standing_order_cooperative", "standing_order", ["cooperative_id", "state", "id"], unique=False
    )
    op.create_index("ix_standing_order_unit", "standing_order", ["buyer_unit_id", "id"], unique=False)
    op.create_table(
        "unit_span",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("buyer_unit_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("term", "holiday", name="kind", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("added_by", sa.Integer(), nullable=False),
        sa.Column("added_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_unit_span_days")),
        sa.ForeignKeyConstraint(["added_by"], ["user_account.id"], name=op.f("fk_unit_span_added_by")),
        sa.ForeignKeyConstraint(
            ["buyer_unit_id"], ["buyer_unit.id"], name=op.f("fk_unit_span_buyer_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_span")),
        sa.UniqueConstraint(
            "buyer_unit_id", "kind", "starts_on", name=op.f("uq_unit_span_buyer_unit_id_kind_starts_on")
        ),
    )
    op.create_table(
        "standing_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("standing_order_id", sa.Integer(), nullable=False),
        sa.Column("window_id", sa.Integer(), nullable=True),
        sa.Column(
            "event",
            sa.Enum(
                "open",
                "approve",
                "reject",
                "confirm",
                "decline",
                "pause",
                "resume",
                "end",
                "skip",
                "restore",
                "change",
                "hold",
                "answer",
                "decline_window",
                "propose",
                "consent",
                "refuse",
                "order",
                "lapse",
                name="event",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("actor_user_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["standing_order_id"], ["standing_order.id"], name=op.f("fk_standing_change_standing_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["window_id"], ["delivery_window.id"], name="fk_standing_change_window_id", use_alter=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_change")),
        info={"append_only": True},
    )
    op.create_index("ix_standing_change_order", "standing_change", ["standing_order_id", "id"], unique=False)
    op.create_index(op.f("ix_standing_change_window_id"), "standing_change", ["window_id"], unique=False)
    op.create_table(
        "day_capacity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("capacity_units", sa.Integer(), nullable=False),
        sa.Column("promised_units", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "promised_units >= 0 AND promised_units <= capacity_units", name=op.f("ck_day_capacity_promised")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_day_capacity_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_day_capacity_listing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_capacity")),
        sa.UniqueConstraint("listing_id", "day", name=op.f("uq_day_capacity_listing_id_day")),
    )
    op.create_index("ix_day_capacity_cooperative", "day_capacity", ["cooperative_id", "day"], unique=False)
    op.create_table(
        "delivery_window",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("standing_order_id", sa.Integer(), nullable=False),
        sa.Column("planned_on", sa.Date(), nullable=False),
        sa.Column("deliver_on", sa.Date(), nullable=False),
        sa.Column("slot_from_min", sa.Integer(), nullable=False),
        sa.Column("slot_to_min", sa.Integer(), nullable=False),
        sa.Column("cutoff_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("starts_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "skipped",
                "declined",
                "held",
                "ordered",
                "lapsed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "hold_reason",
            sa.Enum(
                "out_of_stock",
                "over_ceiling",
                "not_for_sale",
                "substitution_open",
                "refused",
                name="hold_reason",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("lines_change_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(state = 'held') = (hold_reason IS NOT NULL)", name=op.f("ck_delivery_window_held_for_a_reason")
        ),
        sa.CheckConstraint("cutoff_at <= starts_at", name=op.f("ck_delivery_window_cutoff_first")),
        sa.CheckConstraint(
            "slot_from_min >= 0 AND slot_from_min < slot_to_min AND slot_to_min <= 1440",
            name=op.f("ck_delivery_window_slot"),
        ),
        sa.ForeignKeyConstraint(
            ["lines_change_id"], ["standing_change.id"], name=op.f("fk_delivery_window_lines_change_id")
        ),
        sa.ForeignKeyConstraint(
            ["standing_order_id"], ["standing_order.id"], name=op.f("fk_delivery_window_standing_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_window")),
        sa.UniqueConstraint(
            "standing_order_id", "planned_on", name=op.f("uq_delivery_window_standing_order_id_planned_on")
        ),
    )
    op.create_index("ix_delivery_window_due", "delivery_window", ["state", "cutoff_at"], unique=False)
    op.create_index(
        "uq_delivery_window_day",
        "delivery_window",
        ["standing_order_id", "deliver_on"],
        unique=True,
        sqlite_where=sa.text("state IN ('planned', 'held', 'ordered')"),
        postgresql_where=sa.text("state IN ('planned', 'held', 'ordered')"),
    )
    op.create_table(
        "standing_changed_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("change_id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column(
            "price_rule",
            sa.Enum(
                "fixed", "ceiling", name="price_rule", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("price_fen", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0 AND price_fen > 0", name=op.f("ck_standing_changed_line_positive")),
        sa.ForeignKeyConstraint(
            ["change_id"], ["standing_change.id"], name=op.f("fk_standing_changed_line_change_id")
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listing.id"], name=op.f("fk_standing_changed_line_listing_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_changed_line")),
        sa.UniqueConstraint(
            "change_id", "listing_id", name=op.f("uq_standing_changed_line_change_id_listing_id")
        ),
        info={"append_only": True},
    )
    op.create_index(
        op.f("ix_standing_changed_line_listing_id"), "standing_changed_line", ["listing_id"], unique=False
    )
    op.create_table(
        "standing_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("standing_order_id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column(
            "price_rule",
            sa.Enum(
                "fixed", "ceiling", name="price_rule", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("price_fen", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0 AND price_fen > 0", name=op.f("ck_standing_line_positive")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_standing_line_listing_id")),
        sa.ForeignKeyConstraint(
            ["standing_order_id"], ["standing_order.id"], name=op.f("fk_standing_line_standing_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_line")),
        sa.UniqueConstraint(
            "standing_order_id", "listing_id", name=op.f("uq_standing_line_standing_order_id_listing_id")
        ),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_standing_line_listing_id"), "standing_line", ["listing_id"], unique=False)
    op.create_table(
        "substitution",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("substitute_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_fen", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "consented",
                "refused",
                "dropped",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("proposed_by", sa.Integer(), nullable=False),
        sa.Column("proposed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('consented', 'refused')) = (decided_by IS NOT NULL)",
            name=op.f("ck_substitution_decided"),
        ),
        sa.CheckConstraint("quantity > 0 AND unit_price_fen > 0", name=op.f("ck_substitution_positive")),
        sa.CheckConstraint("substitute_id <> listing_id", name=op.f("ck_substitution_another")),
        sa.ForeignKeyConstraint(["decided_by"], ["user_account.id"], name=op.f("fk_substitution_decided_by")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_substitution_listing_id")),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["user_account.id"], name=op.f("fk_substitution_proposed_by")
        ),
        sa.ForeignKeyConstraint(
            ["substitute_id"], ["listing.id"], name=op.f("fk_substitution_substitute_id")
        ),
        sa.ForeignKeyConstraint(
            ["window_id"], ["delivery_window.id"], name=op.f("fk_substitution_window_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_substitution")),
        sa.UniqueConstraint("public_no", name=op.f("uq_substitution_public_no")),
    )
    op.create_index(op.f("ix_substitution_window_id"), "substitution", ["window_id"], unique=False)
    op.create_index(
        "uq_substitution_open",
        "substitution",
        ["window_id", "listing_id"],
        unique=True,
        sqlite_where=sa.text("state = 'proposed'"),
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_table(
        "window_order",
        sa.Column("window_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("standing_order_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("is_covered", sa.Boolean(), nullable=False),
        sa.Column("made_at", db.UtcInstant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_window_order_order_id")),
        sa.ForeignKeyConstraint(
            ["standing_order_id"], ["standing_order.id"], name=op.f("fk_window_order_standing_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["window_id"], ["delivery_window.id"], name=op.f("fk_window_order_window_id")
        ),
        sa.PrimaryKeyConstraint("window_id", name=op.f("pk_window_order")),
        sa.UniqueConstraint("order_id", name=op.f("uq_window_order_order_id")),
        info={"append_only": True},
    )
    op.create_index(
        "ix_window_order_standing", "window_order", ["standing_order_id", "window_id"], unique=False
    )

    if op.get_bind().dialect.name != "sqlite":  # there the table was made with it
        op.create_foreign_key(
            "fk_standing_change_window_id", "standing_change", "delivery_window", ["window_id"], ["id"]
        )
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("fk_standing_change_window_id", "standing_change", type_="foreignkey")
    for table in TABLES:
        op.drop_table(table)
