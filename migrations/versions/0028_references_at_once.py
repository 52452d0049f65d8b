"""Look at the references of transfers and credits once a statement, on PostgreSQL.

See `marketplace/core/references.py`. SQLite keeps its foreign keys. Credits lose an index that nothing looked into.
"""

from __future__ import annotations

from alembic import op

from marketplace.core.references import Reference, keep_statements, look_statements

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

REFERENCES = {
    "transfer": (
        Reference("cooperative_id", "cooperative"),
        Reference("credit_account_id", "account"),
        Reference("debit_account_id", "account"),
        Reference("entry_id", "entry"),
    ),
    "credit": (
        Reference("cooperative_id", "cooperative"),
        Reference("entry_id", "entry"),
        Reference("household_id", "household"),
        Reference("line_id", "order_line"),
        Reference("pool_id", "linkage_pool"),
    ),
}
CHANGEABLE = ("cooperative", "household")  # the other targets are histories


def upgrade() -> None:
    op.drop_index(op.f("ix_credit_entry_id"), table_name="credit")
    if op.get_bind().dialect.name != "postgresql":
        return
    for statement in keep_statements(CHANGEABLE):
        op.execute(statement)
    schema = op.get_bind().exec_driver_sql("SELECT current_schema()").scalar_one()
    for table, references in REFERENCES.items():
        for statement in look_statements(table, references, schema=schema):
            op.execute(statement)
        for one in references:
            op.drop_constraint(op.f(f"fk_{table}_{one.name}"), table, type_="foreignkey")


def downgrade() -> None:
    op.create_index(op.f("ix_credit_entry_id"), "credit", ["entry_id"], unique=False)
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, references in REFERENCES.items():
        for one in references:
            name = op.f(f"fk_{table}_{one.name}")
            op.create_foreign_key(name, table, one.target, [one.name], [one.target_key])
        op.execute(f"DROP TRIGGER {table}_references ON {table}")
        op.execute(f"DROP FUNCTION {table}_references()")
    for table in CHANGEABLE:
        for what in ("rows", "keys", "all"):
            op.execute(f"DROP TRIGGER {table}_keep_{what} ON {table}")
    op.execute("DROP FUNCTION refuse_to_lose()")
