"""The last entitlement that a sharing may read: a function on PostgreSQL, see `marketplace/linkage/as_of`."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LAST_ENTITLEMENT_ID = """
CREATE OR REPLACE FUNCTION last_entitlement_id() RETURNS integer LANGUAGE plpgsql VOLATILE AS $last$
DECLARE last integer;
BEGIN
    PERFORM pg_advisory_lock(20202);
    SELECT coalesce(max(id), 0) INTO last FROM entitlement;
    PERFORM pg_advisory_unlock(20202);
    RETURN last;
END $last$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(LAST_ENTITLEMENT_ID)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION last_entitlement_id()")
