"""Nothing that buyers trust shows before the county has looked at it: guards behind `catalog/listings/matters.py`."""

from __future__ import annotations

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

FURTHER = (
    "NEW.current_version_id IS NOT NULL AND OLD.current_version_id IS NOT NULL"
    " AND NEW.current_version_id <> OLD.current_version_id"
)
FIRST = "NEW.current_version_id IS NOT NULL AND OLD.current_version_id IS NULL"
DAY = {
    "sqlite": "date(after.created_at, '+8 hours')",
    "postgresql": "(after.created_at AT TIME ZONE 'Asia/Shanghai')::date",
}
# the nearest jurisdiction's policy that had begun, else what prices/queries.py takes without one
CHANGE_BP = """COALESCE((
    SELECT p.change_bp FROM price_policy AS p JOIN cooperative AS c ON c.id = NEW.cooperative_id
    WHERE substr(c.county_code, 1, length(p.region_code)) = p.region_code AND p.from_on <= {day}
    ORDER BY length(p.region_code) DESC, p.from_on DESC LIMIT 1), 1000)"""
NUMBER = "COALESCE((SELECT number FROM certificate WHERE id = {version}.certificate_id), '')"
PRICE = """CAST((SELECT t.unit_price_fen FROM price_tier AS t WHERE t.version_id = {version}.id
    AND t.min_quantity <= asked.min_quantity ORDER BY t.min_quantity DESC LIMIT 1) AS BIGINT)"""
SHARE = "COALESCE((SELECT SUM(rate_bp) FROM linkage_term WHERE version_id = {version}.id), 0)"
LOOKED_AT = (
    "EXISTS (SELECT 1 FROM listing_edit WHERE version_id = NEW.current_version_id AND decided_by IS NOT NULL)"
)
MATTERS = f"""EXISTS (
    SELECT 1 FROM listing_version AS after JOIN listing_version AS before ON before.id = OLD.current_version_id
    WHERE after.id = NEW.current_version_id AND (
        after.title <> before.title OR after.description <> before.description
        OR {NUMBER.format(version="after")} NOT IN ('', {NUMBER.format(version="before")})
        OR {SHARE.format(version="after")} < {SHARE.format(version="before")}
        OR EXISTS (SELECT 1 FROM price_tier AS asked WHERE asked.version_id IN (after.id, before.id)
            AND {PRICE.format(version="after")} * 10000
                > {PRICE.format(version="before")} * (10000 + {CHANGE_BP}))))
    AND NOT {LOOKED_AT}"""  # noqa: S608 - all of it is written here
# the same goods, listed before for less: price checks keep which listing they are known from
DEARER_ANEW = f"""EXISTS (
    SELECT 1 FROM listing_version AS after
    JOIN price_check AS held ON held.version_id = after.id
    JOIN listing AS known ON known.id = held.relists_id
    JOIN price_check AS was ON was.version_id = known.current_version_id
    WHERE after.id = NEW.current_version_id
        AND CAST(held.unit_price_fen AS BIGINT) * was.net_mass_g * 10000
            > CAST(was.unit_price_fen AS BIGINT) * held.net_mass_g * (10000 + {CHANGE_BP}))
    AND NOT {LOOKED_AT}"""  # noqa: S608 - all of it is written here
SHOWN_UNSEEN = """NOT EXISTS (
    SELECT 1 FROM listing_edit WHERE product_id = NEW.product_id AND state = 'waiting' AND decided_by IS NOT NULL)"""
ADDED_UNSEEN = (
    "EXISTS (SELECT 1 FROM listing WHERE product_id = NEW.product_id AND current_version_id IS NOT NULL)"
)
UNSEEN = "the county has not looked at this edit"
GUARDS = {  # name: table, event, when it looks (PostgreSQL allows no query there), what must not be
    "listing_refuse_unseen_edit": ("listing", "UPDATE", FURTHER, MATTERS),
    "listing_refuse_dearer_anew": ("listing", "UPDATE", FIRST, DEARER_ANEW),
    "product_picture_refuse_unseen": (
        "product_picture",
        "UPDATE",
        "OLD.waits AND NOT NEW.waits",
        SHOWN_UNSEEN,
    ),
    "product_picture_refuse_shown_at_once": ("product_picture", "INSERT", "NOT NEW.waits", ADDED_UNSEEN),
}


def guards(dialect: str) -> list[str]:
    """The triggers that refuse what the rules refuse."""
    statements = []
    for name, (table, event, looks, pattern) in GUARDS.items():
        wrong = pattern.replace("{day}", DAY[dialect])
        if dialect == "sqlite":
            statements.append(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN ({looks}) AND {wrong} "
                f"BEGIN SELECT RAISE(ABORT, '{UNSEEN}'); END"
            )
        else:
            statements += [
                (
                    f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $refuse$\nBEGIN\n"
                    f"IF {wrong} THEN RAISE EXCEPTION USING MESSAGE = '{UNSEEN}', "
                    f"ERRCODE = 'integrity_constraint_violation'; END IF;\nRETURN NEW;\nEND $refuse$"
                ),
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({looks}) EXECUTE FUNCTION {name}()",
            ]
    return statements


def upgrade() -> None:
    for statement in guards(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for name, (table, *_rest) in GUARDS.items():
        op.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if is_postgresql else ""))
        if is_postgresql:
            op.execute(f"DROP FUNCTION {name}")
