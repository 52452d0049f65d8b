"""Collecting for cooperatives: their accounts with the provider, transfers to them, and payouts found at the bank.

See `marketplace/payments/collecting` and `PayoutArrival` in `marketplace/payments/reconciliation`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


KINDS = ("paid", "expired", "failed", "refunded", "disputed", "other")
NEW_KINDS = ("account", "transferred", "transfer_reversed")
APPEND_ONLY = {
    "payout_arrival": [("id",), ("line_id",), ("move_id",)],
    "transfer_withholding": [
        ("id",),
        ("reversal_id", "after_fen"),
        ("reversal_id", "before_fen"),
        ("transfer_id", "reversal_id"),
    ],
}
COVERED = """
(SELECT coalesce(sum(amount_fen + withheld_fen), 0) FROM cooperative_transfer WHERE part_id = NEW.part_id)
- (SELECT coalesce(sum(back.amount_fen), 0) FROM transfer_reversal AS back
   JOIN cooperative_transfer AS sent ON sent.id = back.transfer_id WHERE sent.part_id = NEW.part_id)
> (SELECT coalesce(sum(settled.net_fen - settled.pool_fen), 0) FROM settlement AS settled
   JOIN order_line AS line ON line.id = settled.line_id WHERE line.part_id = NEW.part_id)
+ coalesce((SELECT freight_fen FROM order_part WHERE id = NEW.part_id AND freight_passed_at IS NOT NULL), 0)
""".strip()
TRANSFER_REWRITTEN = " OR ".join(
    (
        *(
            f"NEW.{name} <> OLD.{name}"
            for name in ("id", "public_no", "part_id", "payment_id", "cooperative_id", "account_id")
        ),
        *(f"NEW.{name} <> OLD.{name}" for name in ("amount_fen", "withheld_fen", "left_fen", "planned_at")),
        "NEW.entry_id IS DISTINCT FROM OLD.entry_id",
        "OLD.state = 'done'",
    )
)
REVERSAL_REWRITTEN = " OR ".join(
    (
        *(
            f"NEW.{name} <> OLD.{name}"
            for name in ("id", "public_no", "transfer_id", "cooperative_id", "transfer_fen", "planned_at")
        ),
        *(f"NEW.{name} <> OLD.{name}" for name in ("before_fen", "amount_fen", "after_fen")),
        "OLD.state <> 'planned'",
    )
)
GUARDS = {  # name: table, when, what must not be, the words
    "cooperative_transfer_refuse_excess": (
        "cooperative_transfer", "AFTER INSERT", COVERED, "more than the part gave its cooperative"
    ),
    "cooperative_transfer_refuse_rewrite": (
        "cooperative_transfer", "BEFORE UPDATE", TRANSFER_REWRITTEN, "a transfer stays as it was planned and done"
    ),
    "cooperative_transfer_refuse_removal": ("cooperative_transfer", "BEFORE DELETE", "TRUE", "a transfer stays"),
    "transfer_reversal_refuse_rewrite": (
        "transfer_reversal", "BEFORE UPDATE", REVERSAL_REWRITTEN, "a reversal stays as it was planned and answered"
    ),
    "transfer_reversal_refuse_removal": ("transfer_reversal", "BEFORE DELETE", "TRUE", "a reversal stays"),
}  # fmt: skip


def guards(dialect: str) -> list[str]:
    """The triggers that refuse what the rules refuse."""
    statements = []
    for name, (table, when, wrong, said) in GUARDS.items():
        if dialect == "sqlite":
            looks = wrong.replace("IS DISTINCT FROM", "IS NOT").replace("TRUE", "1")
            statements.append(
                f"CREATE TRIGGER {name} {when} ON {table} WHEN {looks} BEGIN SELECT RAISE(ABORT, '{said}'); END"
            )
        else:
            row = "OLD" if when.endswith("DELETE") else "NEW"
            statements += [
                (
                    f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $refuse$\nBEGIN\n"
                    f"IF {wrong} THEN RAISE EXCEPTION USING MESSAGE = '{said}', "
                    f"ERRCODE = 'integrity_constraint_violation'; END IF;\nRETURN {row};\nEND $refuse$"
                ),
                f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
            ]
    return statements


def allow_kinds(*kinds: str) -> None:
    """Renew the check on the kinds of notices."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("gateway_notice") as batch:
        batch.drop_constraint(op.f("ck_gateway_notice_kind"), type_="check")
        batch.create_check_constraint(op.f("ck_gateway_notice_kind"), f"kind IN ({listed})")


def upgrade() -> None:
    op.create_table(
        "provider_account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("provider_ref", sa.String(length=120), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "opening",
                "details_wanted",
                "under_review",
                "ready",
                "restricted",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("due_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("opened_by", sa.Integer(), nullable=True),
        sa.Column("opened_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("noticed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("asked_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'opening') = (provider_ref IS NULL)", name=op.f("ck_provider_account_opened")
        ),
        sa.CheckConstraint(
            "(provider_ref IS NULL) = (asked_at IS NULL)", name=op.f("ck_provider_account_asked")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_provider_account_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["opened_by"], ["user_account.id"], name=op.f("fk_provider_account_opened_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_account")),
        sa.UniqueConstraint("cooperative_id", name=op.f("uq_provider_account_cooperative_id")),
        sa.UniqueConstraint("provider_ref", name=op.f("uq_provider_account_provider_ref")),
        sa.UniqueConstraint("public_no", name=op.f("uq_provider_account_public_no")),
    )
    op.create_index("ix_provider_account_status", "provider_account", ["status", "id"], unique=False)

    op.create_table(
        "cooperative_transfer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("withheld_fen", sa.BigInteger(), nullable=False),
        sa.Column("left_fen", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("planned", "done", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("keyed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("next_try_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("failure", sa.String(length=120), nullable=False),
        sa.Column("provider_ref", sa.String(length=120), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("planned_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("done_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'done' AND amount_fen > 0) = (provider_ref IS NOT NULL)",
            name=op.f("ck_cooperative_transfer_done_by_provider"),
        ),
        sa.CheckConstraint(
            "(state = 'done') = (done_at IS NOT NULL)", name=op.f("ck_cooperative_transfer_done")
        ),
        sa.CheckConstraint(
            "(amount_fen > 0) = (entry_id IS NOT NULL)", name=op.f("ck_cooperative_transfer_posted")
        ),
        sa.CheckConstraint("amount_fen + withheld_fen > 0", name=op.f("ck_cooperative_transfer_something")),
        sa.CheckConstraint(
            "amount_fen >= 0 AND withheld_fen >= 0 AND left_fen >= 0",
            name=op.f("ck_cooperative_transfer_amounts"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["provider_account.id"], name=op.f("fk_cooperative_transfer_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_cooperative_transfer_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_cooperative_transfer_entry_id")),
        sa.ForeignKeyConstraint(["part_id"], ["order_part.id"], name=op.f("fk_cooperative_transfer_part_id")),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payment.id"], name=op.f("fk_cooperative_transfer_payment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cooperative_transfer")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_cooperative_transfer_entry_id")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_cooperative_transfer_idempotency_key")),
        sa.UniqueConstraint("provider_ref", name=op.f("uq_cooperative_transfer_provider_ref")),
        sa.UniqueConstraint("public_no", name=op.f("uq_cooperative_transfer_public_no")),
    )
    op.create_index(
        "ix_cooperative_transfer_cooperative", "cooperative_transfer", ["cooperative_id", "id"], unique=False
    )
    op.create_index("ix_cooperative_transfer_part", "cooperative_transfer", ["part_id", "id"], unique=False)
    op.create_index(
        "ix_cooperative_transfer_payment_id", "cooperative_transfer", ["payment_id"], unique=False
    )
    op.create_index("ix_cooperative_transfer_state", "cooperative_transfer", ["state", "id"], unique=False)
    op.create_index(
        "uq_cooperative_transfer_amount", "cooperative_transfer", ["id", "amount_fen"], unique=True
    )
    op.create_index(
        "uq_cooperative_transfer_under_way",
        "cooperative_transfer",
        ["part_id"],
        unique=True,
        sqlite_where=sa.text("state = 'planned'"),
        postgresql_where=sa.text("state = 'planned'"),
    )

    op.create_table(
        "payout_arrival",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("move_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("payout_fen", sa.BigInteger(), nullable=False),
        sa.Column("line_fen", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("matched_by", sa.Integer(), nullable=True),
        sa.Column("matched_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "payout_fen = line_fen OR (note <> '' AND matched_by IS NOT NULL)",
            name=op.f("ck_payout_arrival_differs"),
        ),
        sa.CheckConstraint("payout_fen > 0 AND line_fen > 0", name=op.f("ck_payout_arrival_amounts")),
        sa.ForeignKeyConstraint(["line_id"], ["bank_line.id"], name=op.f("fk_payout_arrival_line_id")),
        sa.ForeignKeyConstraint(
            ["matched_by"], ["user_account.id"], name=op.f("fk_payout_arrival_matched_by")
        ),
        sa.ForeignKeyConstraint(["move_id"], ["channel_move.id"], name=op.f("fk_payout_arrival_move_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_arrival")),
        sa.UniqueConstraint("line_id", name=op.f("uq_payout_arrival_line_id")),
        sa.UniqueConstraint("move_id", name=op.f("uq_payout_arrival_move_id")),
        info={"append_only": True},
    )
    op.create_table(
        "transfer_reversal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("transfer_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("transfer_fen", sa.BigInteger(), nullable=False),
        sa.Column("before_fen", sa.BigInteger(), nullable=False),
        sa.Column("follows_fen", sa.BigInteger(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_fen", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "done",
                "refused",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("failure", sa.String(length=120), nullable=False),
        sa.Column("provider_ref", sa.String(length=120), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("planned_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("done_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'done') = (provider_ref IS NOT NULL) AND (state = 'done') = (entry_id IS NOT NULL) AND (state = 'done') = (done_at IS NOT NULL)",
            name=op.f("ck_transfer_reversal_done"),
        ),
        sa.CheckConstraint(
            "(state = 'refused') = (failure <> '')", name=op.f("ck_transfer_reversal_refused")
        ),
        sa.CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name=op.f("ck_transfer_reversal_chain"),
        ),
        sa.CheckConstraint(
            "after_fen <= transfer_fen", name=op.f("ck_transfer_reversal_not_more_than_transferred")
        ),
        sa.CheckConstraint(
            "after_fen = before_fen + amount_fen", name=op.f("ck_transfer_reversal_counts_up")
        ),
        sa.CheckConstraint("amount_fen > 0 AND before_fen >= 0", name=op.f("ck_transfer_reversal_positive")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_transfer_reversal_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_transfer_reversal_entry_id")),
        sa.ForeignKeyConstraint(
            ["transfer_id", "follows_fen"],
            ["transfer_reversal.transfer_id", "transfer_reversal.after_fen"],
            name=op.f("fk_transfer_reversal_transfer_id_follows_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id", "transfer_fen"],
            ["cooperative_transfer.id", "cooperative_transfer.amount_fen"],
            name=op.f("fk_transfer_reversal_transfer_id_transfer_fen"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_reversal")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_transfer_reversal_entry_id")),
        sa.UniqueConstraint("provider_ref", name=op.f("uq_transfer_reversal_provider_ref")),
        sa.UniqueConstraint("public_no", name=op.f("uq_transfer_reversal_public_no")),
        sa.UniqueConstraint(
            "transfer_id", "after_fen", name=op.f("uq_transfer_reversal_transfer_id_after_fen")
        ),
        sa.UniqueConstraint(
            "transfer_id", "before_fen", name=op.f("uq_transfer_reversal_transfer_id_before_fen")
        ),
    )
    op.create_index(
        "ix_transfer_reversal_cooperative",
        "transfer_reversal",
        ["cooperative_id", "state", "id"],
        unique=False,
    )
    op.create_index("ix_transfer_reversal_state", "transfer_reversal", ["state", "id"], unique=False)
    op.create_index("uq_transfer_reversal_amount", "transfer_reversal", ["id", "amount_fen"], unique=True)

    op.create_table(
        "transfer_withholding",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reversal_id", sa.Integer(), nullable=False),
        sa.Column("reversal_fen", sa.BigInteger(), nullable=False),
        sa.Column("transfer_id", sa.Integer(), nullable=False),
        sa.Column("before_fen", sa.BigInteger(), nullable=False),
        sa.Column("follows_fen", sa.BigInteger(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_fen", sa.BigInteger(), nullable=False),
        sa.Column("withheld_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name=op.f("ck_transfer_withholding_chain"),
        ),
        sa.CheckConstraint(
            "after_fen <= reversal_fen", name=op.f("ck_transfer_withholding_not_more_than_refused")
        ),
        sa.CheckConstraint(
            "after_fen = before_fen + amount_fen", name=op.f("ck_transfer_withholding_counts_up")
        ),
        sa.CheckConstraint(
            "amount_fen > 0 AND before_fen >= 0", name=op.f("ck_transfer_withholding_positive")
        ),
        sa.ForeignKeyConstraint(
            ["reversal_id", "follows_fen"],
            ["transfer_withholding.reversal_id", "transfer_withholding.after_fen"],
            name=op.f("fk_transfer_withholding_reversal_id_follows_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["reversal_id", "reversal_fen"],
            ["transfer_reversal.id", "transfer_reversal.amount_fen"],
            name=op.f("fk_transfer_withholding_reversal_id_reversal_fen"),
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["cooperative_transfer.id"], name=op.f("fk_transfer_withholding_transfer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_withholding")),
        sa.UniqueConstraint(
            "reversal_id", "after_fen", name=op.f("uq_transfer_withholding_reversal_id_after_fen")
        ),
        sa.UniqueConstraint(
            "reversal_id", "before_fen", name=op.f("uq_transfer_withholding_reversal_id_before_fen")
        ),
        sa.UniqueConstraint(
            "transfer_id", "reversal_id", name=op.f("uq_transfer_withholding_transfer_id_reversal_id")
        ),
        info={"append_only": True},
    )
    dialect = op.get_bind().dialect.name
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, dialect, keys=keys):
            op.execute(statement)
    for statement in guards(dialect):
        op.execute(statement)
    allow_kinds(*KINDS, *NEW_KINDS)


def downgrade() -> None:
    allow_kinds(*KINDS)
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, (table, *_rest) in GUARDS.items():
        op.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if is_postgresql else ""))
        if is_postgresql:
            op.execute(f"DROP FUNCTION {name}")
    for table in ("transfer_withholding", "transfer_reversal", "cooperative_transfer", "payout_arrival"):
        op.drop_table(table)
    op.drop_table("provider_account")
