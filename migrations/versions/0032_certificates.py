"""All kinds of certificates with their history, fees and waivers, agreements on geographical indications and their
caps; see `marketplace/catalog/certificates` and `marketplace/ordering/gi_caps.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0032"
down_revision = "0029"
branch_labels = None
depends_on = None

APPEND_ONLY = {"certificate_event": [("id",)], "line_gi_use": [("line_id",)]}
KINDS = (
    "green_food", "organic", "organic_conversion", "gi_farm_product", "gi_protected", "gi_mark", "forest_ecolabel",
    "forest_food_base",
)  # fmt: skip
STATES = ("under_review", "valid", "rejected", "returned", "suspended", "revoked")
DEEDS = (
    "applied", "passed", "returned", "rejected", "suspended", "lifted", "revoked", "fee_stated", "waiver_asked",
    "waiver_approved", "waiver_declined",
)  # fmt: skip
WAIVERS = ("not_asked", "asked", "approved", "declined")
SHARED = "kind IN ('gi_farm_product', 'gi_protected', 'gi_mark', 'organic', 'organic_conversion')"
CAME_BACK = "state IN ('returned', 'rejected')"
HISTORY = """
INSERT INTO certificate_event (certificate_id, deed, state, reason, actor_name, at)
SELECT id, CASE state WHEN 'valid' THEN 'passed' WHEN 'under_review' THEN 'applied' ELSE state END, state,
       CASE state WHEN 'revoked' THEN '撤销' ELSE '' END, '系统', created_at
FROM certificate ORDER BY id
"""
CHANGED = """
OLD.state IN ('valid', 'suspended', 'revoked') AND (
    NEW.kind <> OLD.kind OR NEW.number <> OLD.number OR NEW.product_id <> OLD.product_id
    OR NEW.issued_on <> OLD.issued_on OR NEW.expires_on <> OLD.expires_on
    OR NEW.state NOT IN ('valid', 'suspended', 'revoked')
    OR (OLD.state = 'revoked' AND NEW.state <> 'revoked'))
""".strip()
STOLEN = """
EXISTS (SELECT 1 FROM certificate AS other WHERE other.kind = NEW.kind AND other.number = NEW.number
        AND other.cooperative_id <> NEW.cooperative_id)
""".strip()
IN_CONVERSION = (
    "EXISTS (SELECT 1 FROM certificate WHERE id = NEW.certificate_id AND kind = 'organic_conversion')"
)
GUARDS = {  # name: table, event, when it looks (PostgreSQL allows no query there), what must not be, the words
    "certificate_refuse_rewrite": ("certificate", "UPDATE", CHANGED, "TRUE", "a certificate that was valid stays as it is"),
    "certificate_refuse_stolen_number": (
        "certificate", "INSERT", "NEW.kind IN ('organic', 'organic_conversion')", STOLEN,
        "the number is another cooperative's",
    ),
    "listing_version_refuse_organic": (
        "listing_version", "INSERT", "NEW.certificate_id IS NOT NULL AND NEW.title LIKE '%有机%'", IN_CONVERSION,
        "goods in conversion are not called organic",
    ),
}  # fmt: skip


def codes(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def guards(dialect: str) -> list[str]:
    """The triggers that refuse what the rules refuse."""
    statements = []
    for name, (table, event, looks, wrong, said) in GUARDS.items():
        words = said.replace("'", "''")
        if dialect == "sqlite":
            statements.append(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN ({looks}) AND {wrong.replace('TRUE', '1')} "
                f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
            )
        else:
            statements += [
                (
                    f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $refuse$\nBEGIN\n"
                    f"IF {wrong} THEN RAISE EXCEPTION USING MESSAGE = '{words}', "
                    f"ERRCODE = 'integrity_constraint_violation'; END IF;\nRETURN NEW;\nEND $refuse$"
                ),
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({looks}) EXECUTE FUNCTION {name}()",
            ]
    return statements


def upgrade() -> None:
    with op.batch_alter_table("certificate") as batch:
        batch.drop_constraint(op.f("uq_certificate_kind_number"), type_="unique")
        batch.drop_index(op.f("ix_certificate_cooperative_id"))
        for column, values in (("kind", KINDS), ("state", STATES)):
            batch.drop_constraint(op.f(f"ck_certificate_{column}"), type_="check")
            batch.create_check_constraint(
                op.f(f"ck_certificate_{column}"), f"{column} IN ({', '.join(map(repr, values))})"
            )
        batch.add_column(sa.Column("issuer", sa.String(length=80), nullable=False, server_default=""))
        batch.add_column(sa.Column("renews_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(op.f("fk_certificate_renews_id"), "certificate", ["renews_id"], ["id"])
        batch.create_check_constraint(op.f("ck_certificate_renews_another"), "renews_id <> id")
        batch.create_unique_constraint(
            op.f("uq_certificate_kind_number_product_id_issued_on"),
            ["kind", "number", "product_id", "issued_on"],
        )
    with op.batch_alter_table("certificate") as batch:
        batch.alter_column("issuer", server_default=None)
    op.create_index(
        "uq_certificate_own_number",
        "certificate",
        ["kind", "number"],
        unique=True,
        sqlite_where=sa.text(f"NOT ({SHARED})"),
        postgresql_where=sa.text(f"NOT ({SHARED})"),
    )
    op.create_index(
        "uq_certificate_renews",
        "certificate",
        ["renews_id"],
        unique=True,
        sqlite_where=sa.text(f"NOT ({CAME_BACK})"),
        postgresql_where=sa.text(f"NOT ({CAME_BACK})"),
    )
    op.create_index("ix_certificate_cooperative", "certificate", ["cooperative_id", "state", "expires_on"])
    create_history()
    create_fees()
    create_uses()
    dialect = op.get_bind().dialect.name
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, dialect, keys=keys):
            op.execute(statement)
    for statement in guards(dialect):
        op.get_bind().exec_driver_sql(statement.replace("%", "%%") if dialect == "postgresql" else statement)


def create_history() -> None:
    op.create_table(
        "certificate_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("certificate_id", sa.Integer(), nullable=False),
        sa.Column("deed", codes("deed", DEEDS), nullable=False),
        sa.Column("state", codes("state", STATES), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=True),
        sa.Column("actor_user_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=60), nullable=False),
        sa.Column("at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "deed NOT IN ('suspended', 'lifted', 'revoked', 'waiver_declined') OR reason <> ''",
            name=op.f("ck_certificate_event_reason"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_certificate_event_amount")),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_certificate_event_certificate_id")
        ),
        sa.ForeignKeyConstraint(
            ["actor_user_id"], ["user_account.id"], name=op.f("fk_certificate_event_actor_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_event")),
        info={"append_only": True},
    )
    op.create_index("ix_certificate_event_certificate", "certificate_event", ["certificate_id", "id"])
    op.execute(HISTORY)


def create_fees() -> None:
    op.create_table(
        "certificate_fee",
        sa.Column("certificate_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("payee", sa.String(length=80), nullable=False),
        sa.Column("asked_fen", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.String(length=200), nullable=False),
        sa.Column("waived_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", codes("state", WAIVERS), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=True),
        sa.Column("asked_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("fee_fen > 0", name=op.f("ck_certificate_fee_fee")),
        sa.CheckConstraint("asked_fen >= 0 AND asked_fen <= fee_fen", name=op.f("ck_certificate_fee_asked")),
        sa.CheckConstraint(
            "waived_fen >= 0 AND waived_fen <= asked_fen", name=op.f("ck_certificate_fee_waived")
        ),
        sa.CheckConstraint(
            "(state = 'not_asked') = (asked_fen = 0)", name=op.f("ck_certificate_fee_state_of_asked")
        ),
        sa.CheckConstraint(
            "(state = 'approved') = (waived_fen > 0)", name=op.f("ck_certificate_fee_state_of_waived")
        ),
        sa.CheckConstraint("state = 'not_asked' OR basis <> ''", name=op.f("ck_certificate_fee_basis")),
        sa.CheckConstraint(
            "(state IN ('approved', 'declined')) = (decided_at IS NOT NULL)",
            name=op.f("ck_certificate_fee_decided"),
        ),
        sa.CheckConstraint("decided_by <> asked_by", name=op.f("ck_certificate_fee_two_people")),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_certificate_fee_certificate_id")
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["user_account.id"], name=op.f("fk_certificate_fee_asked_by")),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_certificate_fee_decided_by")
        ),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_certificate_fee")),
    )
    op.create_index("ix_certificate_fee_state", "certificate_fee", ["state"])


def create_uses() -> None:
    op.create_table(
        "gi_use",
        sa.Column("certificate_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=80), nullable=False),
        sa.Column("area_cmu", sa.BigInteger(), nullable=False),
        sa.Column("cap_g", sa.BigInteger(), nullable=False),
        sa.Column("sold_g", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("area_cmu > 0 AND cap_g > 0", name=op.f("ck_gi_use_positive")),
        sa.CheckConstraint("sold_g >= 0 AND sold_g <= cap_g", name=op.f("ck_gi_use_cap")),
        sa.CheckConstraint("holder <> ''", name=op.f("ck_gi_use_holder")),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_gi_use_certificate_id")
        ),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_gi_use")),
    )
    op.create_table(
        "line_gi_use",
        sa.Column("line_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("certificate_id", sa.Integer(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_line_gi_use_mass")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_line_gi_use_line_id")),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["gi_use.certificate_id"], name=op.f("fk_line_gi_use_certificate_id")
        ),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_line_gi_use")),
        info={"append_only": True},
    )
    op.create_index("ix_line_gi_use_certificate", "line_gi_use", ["certificate_id"])


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, (table, *_rest) in GUARDS.items():
        op.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if is_postgresql else ""))
        if is_postgresql:
            op.execute(f"DROP FUNCTION {name}")
    for table in ("line_gi_use", "gi_use", "certificate_fee", "certificate_event"):
        op.drop_table(table)
    for index in ("uq_certificate_own_number", "uq_certificate_renews", "ix_certificate_cooperative"):
        op.drop_index(index, "certificate")
    with op.batch_alter_table("certificate") as batch:
        batch.drop_constraint(op.f("uq_certificate_kind_number_product_id_issued_on"), type_="unique")
        batch.drop_constraint(op.f("ck_certificate_renews_another"), type_="check")
        batch.drop_constraint(op.f("fk_certificate_renews_id"), type_="foreignkey")
        batch.drop_column("renews_id")
        batch.drop_column("issuer")
        batch.create_unique_constraint(op.f("uq_certificate_kind_number"), ["kind", "number"])
        batch.create_index(op.f("ix_certificate_cooperative_id"), ["cooperative_id"])
