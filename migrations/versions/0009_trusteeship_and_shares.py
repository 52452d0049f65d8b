"""Trusteeship and shares.

Yield records, stakes, resolutions on the surplus and dividends: the tables of `production_trusteeship` and
`share_cooperation` in `marketplace/linkage/mechanisms`; see their models for what they mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "share_dividend": [("id",), ("resolution_id", "agreement_id")],
    "share_resolution": [("cooperative_id", "resolution_no"), ("id",), ("period_id",), ("public_no",)],
    "stake_reassignment": [("from_agreement_id",), ("id",), ("to_agreement_id",)],
    "yield_record": [("id",)],
}


def upgrade() -> None:
    op.create_table(
        "share_resolution",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("period_id", sa.Integer(), nullable=False),
        sa.Column("resolution_no", sa.String(length=40), nullable=False),
        sa.Column("meeting_on", sa.Date(), nullable=False),
        sa.Column("surplus_fen", sa.BigInteger(), nullable=False),
        sa.Column("patronage_bp", sa.Integer(), nullable=False),
        sa.Column("base_bp", sa.Integer(), nullable=False),
        sa.Column("capital_fen", sa.BigInteger(), nullable=False),
        sa.Column("most_staked_fen", sa.BigInteger(), nullable=False),
        sa.Column("dealings_fen", sa.BigInteger(), nullable=False),
        sa.Column("known_dealings_fen", sa.BigInteger(), nullable=False),
        sa.Column("members_total", sa.Integer(), nullable=False),
        sa.Column("members_present", sa.Integer(), nullable=False),
        sa.Column("votes_for", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("base_bp >= 0 AND base_bp <= 10000", name=op.f("ck_share_resolution_base")),
        sa.CheckConstraint(
            "known_dealings_fen >= 0 AND known_dealings_fen <= dealings_fen AND dealings_fen > 0",
            name=op.f("ck_share_resolution_dealings"),
        ),
        sa.CheckConstraint(
            "members_present * 3 >= members_total * 2", name=op.f("ck_share_resolution_quorum")
        ),
        sa.CheckConstraint(
            "members_present <= members_total AND votes_for <= members_present AND votes_for > 0",
            name=op.f("ck_share_resolution_votes"),
        ),
        sa.CheckConstraint(
            "most_staked_fen > 0 AND most_staked_fen <= capital_fen",
            name=op.f("ck_share_resolution_stakes_within_capital"),
        ),
        sa.CheckConstraint(
            "patronage_bp >= 6000 AND patronage_bp <= 10000",
            name=op.f("ck_share_resolution_patronage_of_the_law"),
        ),
        sa.CheckConstraint("surplus_fen > 0", name=op.f("ck_share_resolution_surplus")),
        sa.CheckConstraint("votes_for * 2 > members_total", name=op.f("ck_share_resolution_majority")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_share_resolution_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_share_resolution_file_id")),
        sa.ForeignKeyConstraint(
            ["period_id"], ["linkage_period.id"], name=op.f("fk_share_resolution_period_id")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_share_resolution_recorded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_resolution")),
        sa.UniqueConstraint(
            "cooperative_id", "resolution_no", name=op.f("uq_share_resolution_cooperative_id_resolution_no")
        ),
        sa.UniqueConstraint("period_id", name=op.f("uq_share_resolution_period_id")),
        sa.UniqueConstraint("public_no", name=op.f("uq_share_resolution_public_no")),
        info={"append_only": True},
    )
    op.create_table(
        "stake_reassignment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("from_agreement_id", sa.Integer(), nullable=False),
        sa.Column("to_agreement_id", sa.Integer(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=True),
        sa.Column("recorded_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_stake_reassignment_reason")),
        sa.CheckConstraint(
            "from_agreement_id <> to_agreement_id", name=op.f("ck_stake_reassignment_two_agreements")
        ),
        sa.ForeignKeyConstraint(
            ["from_agreement_id"], ["agreement.id"], name=op.f("fk_stake_reassignment_from_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["user_account.id"], name=op.f("fk_stake_reassignment_recorded_by")
        ),
        sa.ForeignKeyConstraint(
            ["to_agreement_id"], ["agreement.id"], name=op.f("fk_stake_reassignment_to_agreement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stake_reassignment")),
        sa.UniqueConstraint("from_agreement_id", name=op.f("uq_stake_reassignment_from_agreement_id")),
        sa.UniqueConstraint("to_agreement_id", name=op.f("uq_stake_reassignment_to_agreement_id")),
        info={"append_only": True},
    )
    op.create_table(
        "stake_span",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.String(length=60), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("stake_fen", sa.BigInteger(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("previous_ends_on", sa.Date(), nullable=True),
        sa.CheckConstraint("ends_on > starts_on", name=op.f("ck_stake_span_days")),
        sa.CheckConstraint("previous_ends_on <= starts_on", name=op.f("ck_stake_span_after_previous")),
        sa.CheckConstraint("stake_fen > 0", name=op.f("ck_stake_span_stake")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_stake_span_agreement_id")),
        sa.ForeignKeyConstraint(
            ["certificate", "previous_ends_on"],
            ["stake_span.certificate", "stake_span.ends_on"],
            name=op.f("fk_stake_span_certificate_previous_ends_on"),
            onupdate="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_stake_span_cooperative_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stake_span")),
        sa.UniqueConstraint("certificate", "ends_on", name=op.f("uq_stake_span_certificate_ends_on")),
        sa.UniqueConstraint(
            "certificate", "previous_ends_on", name=op.f("uq_stake_span_certificate_previous_ends_on")
        ),
    )
    op.create_index("ix_stake_span_agreement", "stake_span", ["agreement_id"], unique=False)
    op.create_index("ix_stake_span_cooperative", "stake_span", ["cooperative_id", "starts_on"], unique=False)
    op.create_index(
        "uq_stake_span_first",
        "stake_span",
        ["certificate"],
        unique=True,
        sqlite_where=sa.text("previous_ends_on IS NULL"),
        postgresql_where=sa.text("previous_ends_on IS NULL"),
    )
    op.create_table(
        "share_dividend",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("resolution_id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("stake_days_fen", sa.BigInteger(), nullable=False),
        sa.Column("dealings_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("dealings_fen >= 0", name=op.f("ck_share_dividend_dealings")),
        sa.CheckConstraint("stake_days_fen > 0", name=op.f("ck_share_dividend_stake_days")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_share_dividend_agreement_id")
        ),
        sa.ForeignKeyConstraint(["id"], ["evidence.id"], name=op.f("fk_share_dividend_id")),
        sa.ForeignKeyConstraint(
            ["resolution_id"], ["share_resolution.id"], name=op.f("fk_share_dividend_resolution_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_dividend")),
        sa.UniqueConstraint(
            "resolution_id", "agreement_id", name=op.f("uq_share_dividend_resolution_id_agreement_id")
        ),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_share_dividend_agreement_id"), "share_dividend", ["agreement_id"], unique=False)
    op.create_table(
        "yield_record",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("season", sa.String(length=6), nullable=False),
        sa.Column("actual_g", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "season LIKE '____-1' OR season LIKE '____-2'", name=op.f("ck_yield_record_season")
        ),
        sa.CheckConstraint("actual_g >= 0 AND actual_g <= 500000000", name=op.f("ck_yield_record_actual")),
        sa.ForeignKeyConstraint(["id"], ["evidence.id"], name=op.f("fk_yield_record_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_yield_record_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_yield_record")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_yield_record_lot_id"), "yield_record", ["lot_id"], unique=False)
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def downgrade() -> None:
    for table in ("yield_record", "share_dividend", "stake_span", "stake_reassignment", "share_resolution"):
        op.drop_table(table)
