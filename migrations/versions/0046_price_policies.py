"""Policies of prices are proposed by one person, confirmed by another, and kept; see `catalog/prices/policies.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

KEYS = [("id",), ("proposal_id",), ("region_code", "from_on")]
STATES = ("waiting", "confirmed", "refused", "withdrawn")
WAITING = sa.text("state = 'waiting'")
RATES = ("above_bp", "below_bp", "change_bp")
COUNTS = ("min_quotes", "valid_days", "explained_days")
SAME = " AND ".join(f"p.{name} = NEW.{name}" for name in ("region_code", "from_on", *RATES, *COUNTS, "basis"))
CONFIRMED = "SELECT 1 FROM price_policy_proposal AS p WHERE p.id = NEW.proposal_id AND p.state = 'confirmed'"
UNCONFIRMED = f"NOT EXISTS ({CONFIRMED} AND {SAME})"
WORDS = "a price policy is what a confirmed proposal says"
NAME = "price_policy_refuse_unconfirmed"
FUNCTION = f"""
CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
IF {UNCONFIRMED} THEN
    RAISE EXCEPTION USING MESSAGE = '{WORDS}', ERRCODE = 'integrity_constraint_violation';
END IF;
RETURN NEW;
END $refuse$
""".strip()


def guards(dialect: str) -> list[str]:
    """The triggers that keep history and take only what was confirmed."""
    kept = append_only_statements("price_policy", dialect, keys=KEYS)
    begin = f"CREATE TRIGGER {NAME} BEFORE INSERT ON price_policy"
    if dialect == "sqlite":
        return [*kept, f"{begin} WHEN {UNCONFIRMED} BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"]
    return [*kept, FUNCTION, f"{begin} FOR EACH ROW EXECUTE FUNCTION {NAME}()"]


def upgrade() -> None:
    op.create_table(
        "price_policy_proposal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*STATES, name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("proposed_by", sa.Integer(), nullable=False),
        sa.Column("proposed_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in (*RATES, *COUNTS)),
        sa.Column("basis", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "above_bp BETWEEN 0 AND 10000 AND below_bp BETWEEN 0 AND 10000",
            name=op.f("ck_price_policy_proposal_bounds"),
        ),
        sa.CheckConstraint("change_bp BETWEEN 0 AND 10000", name=op.f("ck_price_policy_proposal_change")),
        sa.CheckConstraint("min_quotes BETWEEN 1 AND 100", name=op.f("ck_price_policy_proposal_min_quotes")),
        sa.CheckConstraint(
            "valid_days BETWEEN 1 AND 1000 AND explained_days BETWEEN 1 AND 1000",
            name=op.f("ck_price_policy_proposal_days"),
        ),
        sa.CheckConstraint("basis <> ''", name=op.f("ck_price_policy_proposal_basis")),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> proposed_by",
            name=op.f("ck_price_policy_proposal_two_people"),
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (decided_at IS NULL)", name=op.f("ck_price_policy_proposal_decided")
        ),
        sa.CheckConstraint(
            "(state IN ('confirmed', 'refused')) = (decided_by IS NOT NULL)",
            name=op.f("ck_price_policy_proposal_by_another"),
        ),
        sa.CheckConstraint(
            "state <> 'refused' OR answer <> ''", name=op.f("ck_price_policy_proposal_answer")
        ),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_price_policy_proposal_region_code")
        ),
        *(
            sa.ForeignKeyConstraint([who], ["user_account.id"], name=op.f(f"fk_price_policy_proposal_{who}"))
            for who in ("proposed_by", "decided_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_policy_proposal")),
        sa.UniqueConstraint("public_no", name=op.f("uq_price_policy_proposal_public_no")),
    )
    op.create_index(
        "uq_price_policy_proposal_waiting",
        "price_policy_proposal",
        ["region_code"],
        unique=True,
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    with op.batch_alter_table("price_policy") as batch:
        batch.add_column(sa.Column("proposal_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            op.f("fk_price_policy_proposal_id"), "price_policy_proposal", ["proposal_id"], ["id"]
        )
        batch.create_unique_constraint(op.f("uq_price_policy_proposal_id"), ["proposal_id"])
    for statement in guards(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    names = (
        ("refuse_change", "refuse_truncate")
        if is_postgresql
        else ("refuse_update", "refuse_delete", "refuse_replace")
    )
    for name in (*(f"price_policy_{one}" for one in names), NAME):
        op.execute(f"DROP TRIGGER IF EXISTS {name}" + (" ON price_policy" if is_postgresql else ""))
    if is_postgresql:
        op.execute(f"DROP FUNCTION {NAME}")
    with op.batch_alter_table("price_policy") as batch:
        batch.drop_constraint(op.f("uq_price_policy_proposal_id"), type_="unique")
        batch.drop_constraint(op.f("fk_price_policy_proposal_id"), type_="foreignkey")
        batch.drop_column("proposal_id")
    op.drop_table("price_policy_proposal")
