"""Approval chains by amount, limits, deputies and decisions; budgets; order lists; dishes and weekly menus."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "approval_chain": [("id",), ("id", "unit_id"), ("unit_id", "version")],
    "approver_limit": [("id",), ("unit_id", "user_id", "version")],
    "approval_step": [("chain_id", "from_fen"), ("chain_id", "position"), ("id",)],
    "budget_entry": [("id",), ("line_id", "sequence"), ("line_id", "sequence", "granted_fen"), ("order_id",)],
    "budget_release": [("id",), ("refund_no",)],
    "step_approver": [("chain_id", "position", "user_id"), ("id",)],
    "approval_decision": [
        ("id",),
        ("order_id", "authority_id"),
        ("order_id", "decided_by"),
        ("order_id", "position"),
    ],
}


def upgrade() -> None:
    op.create_index(
        "uq_customer_order_duties", "customer_order", ["id", "buyer_unit_id", "buyer_user_id"], unique=True
    )
    op.create_table(
        "approval_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=False),
        sa.Column("set_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1 AND reason <> ''", name=op.f("ck_approval_chain_version")),
        sa.ForeignKeyConstraint(["set_by"], ["user_account.id"], name=op.f("fk_approval_chain_set_by")),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_approval_chain_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_chain")),
        sa.UniqueConstraint("unit_id", "version", name=op.f("uq_approval_chain_unit_id_version")),
        info={"append_only": True},
    )
    op.create_index("uq_approval_chain_of_unit", "approval_chain", ["id", "unit_id"], unique=True)
    op.create_table(
        "approver_limit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("limit_fen", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=False),
        sa.Column("set_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1 AND reason <> ''", name=op.f("ck_approver_limit_version")),
        sa.CheckConstraint("limit_fen > 0", name=op.f("ck_approver_limit_limit")),
        sa.CheckConstraint("set_by <> user_id", name=op.f("ck_approver_limit_not_by_oneself")),
        sa.ForeignKeyConstraint(["set_by"], ["user_account.id"], name=op.f("fk_approver_limit_set_by")),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_approver_limit_unit_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_approver_limit_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approver_limit")),
        sa.UniqueConstraint(
            "unit_id", "user_id", "version", name=op.f("uq_approver_limit_unit_id_user_id_version")
        ),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_approver_limit_user_id"), "approver_limit", ["user_id"], unique=False)
    op.create_table(
        "budget_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("purpose <> ''", name=op.f("ck_budget_line_purpose")),
        sa.CheckConstraint("year >= 2015 AND year <= 2100", name=op.f("ck_budget_line_year")),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_budget_line_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_line")),
        sa.UniqueConstraint("public_no", name=op.f("uq_budget_line_public_no")),
        sa.UniqueConstraint("unit_id", "year", "purpose", name=op.f("uq_budget_line_unit_id_year_purpose")),
    )
    op.create_index("uq_budget_line_of_unit", "budget_line", ["id", "unit_id"], unique=True)
    op.create_table(
        "deputyship",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("approver_id", sa.Integer(), nullable=False),
        sa.Column("deputy_id", sa.Integer(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("named_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("ended_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_deputyship_reason")),
        sa.CheckConstraint("approver_id <> deputy_id", name=op.f("ck_deputyship_not_of_oneself")),
        sa.CheckConstraint("until_on >= from_on", name=op.f("ck_deputyship_days")),
        sa.ForeignKeyConstraint(["approver_id"], ["user_account.id"], name=op.f("fk_deputyship_approver_id")),
        sa.ForeignKeyConstraint(["deputy_id"], ["user_account.id"], name=op.f("fk_deputyship_deputy_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_deputyship_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deputyship")),
        sa.UniqueConstraint("public_no", name=op.f("uq_deputyship_public_no")),
    )
    op.create_index(op.f("ix_deputyship_approver_id"), "deputyship", ["approver_id"], unique=False)
    op.create_index(op.f("ix_deputyship_deputy_id"), "deputyship", ["deputy_id"], unique=False)
    op.create_index("ix_deputyship_unit", "deputyship", ["unit_id", "id"], unique=False)
    op.create_index("uq_deputyship_of", "deputyship", ["id", "approver_id", "deputy_id"], unique=True)
    op.create_table(
        "dish",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("retired_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("name <> ''", name=op.f("ck_dish_name")),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_dish_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dish")),
        sa.UniqueConstraint("public_no", name=op.f("uq_dish_public_no")),
        sa.UniqueConstraint("unit_id", "name", name=op.f("uq_dish_unit_id_name")),
    )
    op.create_table(
        "order_list",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("made_by", sa.Integer(), nullable=False),
        sa.Column("made_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_order_list_name")),
        sa.ForeignKeyConstraint(["made_by"], ["user_account.id"], name=op.f("fk_order_list_made_by")),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_order_list_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_list")),
        sa.UniqueConstraint("public_no", name=op.f("uq_order_list_public_no")),
        sa.UniqueConstraint("unit_id", "name", name=op.f("uq_order_list_unit_id_name")),
    )
    op.create_table(
        "week_menu",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("made_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_week_menu_name")),
        sa.ForeignKeyConstraint(["unit_id"], ["buyer_unit.id"], name=op.f("fk_week_menu_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_week_menu")),
        sa.UniqueConstraint("public_no", name=op.f("uq_week_menu_public_no")),
        sa.UniqueConstraint("unit_id", "name", name=op.f("uq_week_menu_unit_id_name")),
        sa.UniqueConstraint("unit_id", "starts_on", name=op.f("uq_week_menu_unit_id_starts_on")),
    )
    op.create_table(
        "approval_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("chain_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("from_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(position = 1) = (from_fen = 0)", name=op.f("ck_approval_step_first_step_for_every_order")
        ),
        sa.CheckConstraint("position >= 1 AND from_fen >= 0", name=op.f("ck_approval_step_positive")),
        sa.ForeignKeyConstraint(["chain_id"], ["approval_chain.id"], name=op.f("fk_approval_step_chain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_step")),
        sa.UniqueConstraint("chain_id", "from_fen", name=op.f("uq_approval_step_chain_id_from_fen")),
        sa.UniqueConstraint("chain_id", "position", name=op.f("uq_approval_step_chain_id_position")),
        info={"append_only": True},
    )
    op.create_table(
        "budget_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("follows_sequence", sa.Integer(), nullable=True),
        sa.Column("follows_fen", sa.BigInteger(), nullable=True),
        sa.Column("granted_fen", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("ordered_by", sa.Integer(), nullable=True),
        sa.Column("taken_fen", sa.BigInteger(), nullable=False),
        sa.Column("used_before_fen", sa.BigInteger(), nullable=False),
        sa.Column("used_after_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("entered_by", sa.Integer(), nullable=False),
        sa.Column("entered_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(order_id IS NULL) = (taken_fen = 0) AND (order_id IS NULL) = (ordered_by IS NULL) AND (order_id IS NULL) = (reason <> '')",
            name=op.f("ck_budget_entry_grant_or_order"),
        ),
        sa.CheckConstraint(
            "order_id IS NULL OR granted_fen = follows_fen",
            name=op.f("ck_budget_entry_orders_change_no_grant"),
        ),
        sa.CheckConstraint(
            "sequence >= 1 AND (sequence = 1) = (follows_sequence IS NULL) AND (follows_sequence IS NULL) = (follows_fen IS NULL) AND (follows_sequence IS NULL OR follows_sequence = sequence - 1)",
            name=op.f("ck_budget_entry_chain"),
        ),
        sa.CheckConstraint(
            "taken_fen >= 0 AND used_before_fen >= 0 AND granted_fen >= 0",
            name=op.f("ck_budget_entry_positive"),
        ),
        sa.CheckConstraint(
            "used_after_fen <= granted_fen", name=op.f("ck_budget_entry_not_more_than_granted")
        ),
        sa.CheckConstraint(
            "used_after_fen = used_before_fen + taken_fen", name=op.f("ck_budget_entry_counts_up")
        ),
        sa.ForeignKeyConstraint(["entered_by"], ["user_account.id"], name=op.f("fk_budget_entry_entered_by")),
        sa.ForeignKeyConstraint(
            ["line_id", "follows_sequence", "follows_fen"],
            ["budget_entry.line_id", "budget_entry.sequence", "budget_entry.granted_fen"],
            name=op.f("fk_budget_entry_line_id_follows_sequence_follows_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["line_id", "unit_id"],
            ["budget_line.id", "budget_line.unit_id"],
            name=op.f("fk_budget_entry_line_id_unit_id"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id", "unit_id", "ordered_by"],
            ["customer_order.id", "customer_order.buyer_unit_id", "customer_order.buyer_user_id"],
            name=op.f("fk_budget_entry_order_id_unit_id_ordered_by"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_entry")),
        sa.UniqueConstraint(
            "line_id", "sequence", "granted_fen", name=op.f("uq_budget_entry_line_id_sequence_granted_fen")
        ),
        sa.UniqueConstraint("line_id", "sequence", name=op.f("uq_budget_entry_line_id_sequence")),
        sa.UniqueConstraint("order_id", name=op.f("uq_budget_entry_order_id")),
        info={"append_only": True},
    )
    op.create_table(
        "deputy_day",
        sa.Column("approver_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("deputy_id", sa.Integer(), nullable=False),
        sa.Column("deputyship_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deputyship_id", "approver_id", "deputy_id"],
            ["deputyship.id", "deputyship.approver_id", "deputyship.deputy_id"],
            name=op.f("fk_deputy_day_deputyship_id_approver_id_deputy_id"),
        ),
        sa.PrimaryKeyConstraint("approver_id", "on_day", name=op.f("pk_deputy_day")),
    )
    op.create_index("ix_deputy_day_deputy", "deputy_day", ["deputy_id", "on_day"], unique=False)
    op.create_index("ix_deputy_day_deputyship", "deputy_day", ["deputyship_id"], unique=False)
    op.create_index("uq_deputy_day_of", "deputy_day", ["approver_id", "deputy_id", "on_day"], unique=True)
    op.create_table(
        "dish_ingredient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dish_id", sa.Integer(), nullable=False),
        sa.Column("commodity", sa.String(length=30), nullable=False),
        sa.Column("grams_per_head", sa.Integer(), nullable=False),
        sa.CheckConstraint("commodity <> ''", name=op.f("ck_dish_ingredient_commodity")),
        sa.CheckConstraint(
            "grams_per_head >= 1 AND grams_per_head <= 5000", name=op.f("ck_dish_ingredient_grams")
        ),
        sa.ForeignKeyConstraint(["dish_id"], ["dish.id"], name=op.f("fk_dish_ingredient_dish_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dish_ingredient")),
        sa.UniqueConstraint("dish_id", "commodity", name=op.f("uq_dish_ingredient_dish_id_commodity")),
    )
    op.create_table(
        "menu_day",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("menu_id", sa.Integer(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("heads", sa.Integer(), nullable=False),
        sa.CheckConstraint("heads >= 1 AND heads <= 100000", name=op.f("ck_menu_day_heads")),
        sa.CheckConstraint("weekday >= 1 AND weekday <= 7", name=op.f("ck_menu_day_weekday")),
        sa.ForeignKeyConstraint(["menu_id"], ["week_menu.id"], name=op.f("fk_menu_day_menu_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_menu_day")),
        sa.UniqueConstraint("menu_id", "weekday", name=op.f("uq_menu_day_menu_id_weekday")),
    )
    op.create_table(
        "budget_release",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("refund_no", sa.String(length=16), nullable=False),
        sa.Column("released_fen", sa.BigInteger(), nullable=False),
        sa.Column("released_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("released_fen > 0", name=op.f("ck_budget_release_released")),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_budget_release_part_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_release")),
        sa.UniqueConstraint("refund_no", name=op.f("uq_budget_release_refund_no")),
        info={"append_only": True},
    )
    op.create_index("ix_budget_release_part", "budget_release", ["part_id"], unique=False)
    op.create_table(
        "menu_dish",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("day_id", sa.Integer(), nullable=False),
        sa.Column("dish_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["day_id"], ["menu_day.id"], name=op.f("fk_menu_dish_day_id")),
        sa.ForeignKeyConstraint(["dish_id"], ["dish.id"], name=op.f("fk_menu_dish_dish_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_menu_dish")),
        sa.UniqueConstraint("day_id", "dish_id", name=op.f("uq_menu_dish_day_id_dish_id")),
    )
    op.create_index(op.f("ix_menu_dish_dish_id"), "menu_dish", ["dish_id"], unique=False)
    op.create_table(
        "order_list_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("usual_quantity", sa.Integer(), nullable=False),
        sa.Column("noted_fen", sa.Integer(), nullable=False),
        sa.Column("ceiling_fen", sa.Integer(), nullable=True),
        sa.CheckConstraint("ceiling_fen > 0", name=op.f("ck_order_list_item_ceiling")),
        sa.CheckConstraint("noted_fen > 0", name=op.f("ck_order_list_item_noted")),
        sa.CheckConstraint(
            "usual_quantity >= 1 AND usual_quantity <= 100000", name=op.f("ck_order_list_item_quantity")
        ),
        sa.ForeignKeyConstraint(["list_id"], ["order_list.id"], name=op.f("fk_order_list_item_list_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_order_list_item_listing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_list_item")),
        sa.UniqueConstraint("list_id", "listing_id", name=op.f("uq_order_list_item_list_id_listing_id")),
    )
    op.create_index(op.f("ix_order_list_item_listing_id"), "order_list_item", ["listing_id"], unique=False)
    op.create_table(
        "step_approver",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("chain_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chain_id", "position"],
            ["approval_step.chain_id", "approval_step.position"],
            name=op.f("fk_step_approver_chain_id_position"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_step_approver_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_approver")),
        sa.UniqueConstraint(
            "chain_id", "position", "user_id", name=op.f("uq_step_approver_chain_id_position_user_id")
        ),
        info={"append_only": True},
    )
    op.create_table(
        "approval_decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("ordered_by", sa.Integer(), nullable=False),
        sa.Column("chain_id", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("follows_position", sa.Integer(), nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=False),
        sa.Column("authority_id", sa.Integer(), nullable=False),
        sa.Column("deputy_on", sa.Date(), nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("approved OR note <> ''", name=op.f("ck_approval_decision_rejected_with_reason")),
        sa.CheckConstraint(
            "(decided_by = authority_id) = (deputy_on IS NULL)", name=op.f("ck_approval_decision_on_behalf")
        ),
        sa.CheckConstraint(
            "(position = 1) = (follows_position IS NULL) AND (follows_position IS NULL OR follows_position = position - 1)",
            name=op.f("ck_approval_decision_chain"),
        ),
        sa.CheckConstraint(
            "decided_by <> ordered_by AND authority_id <> ordered_by",
            name=op.f("ck_approval_decision_separate_duties"),
        ),
        sa.CheckConstraint("position >= 1", name=op.f("ck_approval_decision_position")),
        sa.ForeignKeyConstraint(
            ["authority_id", "decided_by", "deputy_on"],
            ["deputy_day.approver_id", "deputy_day.deputy_id", "deputy_day.on_day"],
            name=op.f("fk_approval_decision_authority_id_decided_by_deputy_on"),
        ),
        sa.ForeignKeyConstraint(
            ["authority_id"], ["user_account.id"], name=op.f("fk_approval_decision_authority_id")
        ),
        sa.ForeignKeyConstraint(
            ["chain_id", "position", "authority_id"],
            ["step_approver.chain_id", "step_approver.position", "step_approver.user_id"],
            name=op.f("fk_approval_decision_chain_id_position_authority_id"),
        ),
        sa.ForeignKeyConstraint(
            ["chain_id", "unit_id"],
            ["approval_chain.id", "approval_chain.unit_id"],
            name=op.f("fk_approval_decision_chain_id_unit_id"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_approval_decision_decided_by")
        ),
        sa.ForeignKeyConstraint(
            ["order_id", "follows_position"],
            ["approval_decision.order_id", "approval_decision.position"],
            name=op.f("fk_approval_decision_order_id_follows_position"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id", "unit_id", "ordered_by"],
            ["customer_order.id", "customer_order.buyer_unit_id", "customer_order.buyer_user_id"],
            name=op.f("fk_approval_decision_order_id_unit_id_ordered_by"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_decision")),
        sa.UniqueConstraint(
            "order_id", "authority_id", name=op.f("uq_approval_decision_order_id_authority_id")
        ),
        sa.UniqueConstraint("order_id", "decided_by", name=op.f("uq_approval_decision_order_id_decided_by")),
        sa.UniqueConstraint("order_id", "position", name=op.f("uq_approval_decision_order_id_position")),
        info={"append_only": True},
    )
    op.create_index(
        "ix_approval_decision_deputy_day",
        "approval_decision",
        ["authority_id", "decided_by", "deputy_on"],
        unique=False,
    )

    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("approval_decision")
    op.drop_table("step_approver")
    op.drop_table("order_list_item")
    op.drop_table("menu_dish")
    op.drop_table("budget_release")
    op.drop_table("menu_day")
    op.drop_table("dish_ingredient")
    op.drop_table("deputy_day")
    op.drop_table("budget_entry")
    op.drop_table("approval_step")
    op.drop_table("week_menu")
    op.drop_table("order_list")
    op.drop_table("dish")
    op.drop_table("deputyship")
    op.drop_table("budget_line")
    op.drop_table("approver_limit")
    op.drop_table("approval_chain")
    op.drop_index("uq_customer_order_duties", table_name="customer_order")
