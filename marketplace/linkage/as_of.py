"""Up to which entitlement a sharing reads, so that the same weights can be read again for ever after.

Keys are given when a row is written and rows are seen when they are committed: on PostgreSQL an earlier key may come to
light later. So who writes an entitlement holds a share of a lock until it commits, and the last key is read under the
whole of it, for that moment alone. Every entitlement up to that key is then committed, and none can still come.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

LOCK = 20_202  # of the database; the function of the migration names it too
SHARE = select(func.pg_advisory_xact_lock_shared(LOCK))


class last_entitlement_id(FunctionElement[int]):  # noqa: N801 - reads as the function of SQL that it is
    """The key of the last entitlement, zero when there is none. What is read by it must be read afterwards, in a
    statement of its own."""

    type = Integer()
    inherit_cache = True
    name = "last_entitlement_id"


@compiles(last_entitlement_id)
def _with_lock(_element: last_entitlement_id, _compiler: Any, **_options: Any) -> str:
    return "last_entitlement_id()"


@compiles(last_entitlement_id, "sqlite")
def _with_one_writer(_element: last_entitlement_id, _compiler: Any, **_options: Any) -> str:
    return "(SELECT coalesce(max(id), 0) FROM entitlement)"


def hold_entitlements(session: Session) -> None:
    """Until the transaction ends, let nobody take an entitlement written in it for one that does not exist."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(SHARE)
