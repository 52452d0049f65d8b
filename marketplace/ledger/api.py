"""The ledger's API: entries a cooperative or an auditor may read, page by page."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint

from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ledger.models import EntryKind
from marketplace.ledger.queries import entries_after, entry_by_no, public_numbers
from marketplace.ledger.schemas import (
    EntryPageSchema,
    EntryQuerySchema,
    EntrySchema,
    entry_document,
)
from marketplace.web.api import page_of_items
from marketplace.web.transaction import current_session

bp = Blueprint(
    "ledger_api",
    __name__,
    url_prefix="/api/v1/entries",
    description="Ledger entries, append-only, oldest first.",
)


@bp.route("/")
@requires(Permission.READ_LEDGER)
@bp.arguments(EntryQuerySchema, location="query")
@bp.response(200, EntryPageSchema)
def list_entries(asked: dict[str, Any]) -> dict[str, Any]:
    """Entries, oldest first. Follow `next` through `after`; a cooperative sees its own, an auditor all."""
    session, limit = current_session(), asked["limit"]
    kind: EntryKind | None = asked.get("kind")
    entries = entries_after(session, current_actor(), after=asked.get("after"), limit=limit + 1, kind=kind)
    numbers = public_numbers(session, entries)
    return page_of_items([entry_document(entry, numbers) for entry in entries], limit=limit)


@bp.route("/<string:entry_no>")
@requires(Permission.READ_LEDGER)
@bp.response(200, EntrySchema)
def show_entry(entry_no: str) -> dict[str, Any]:
    """One entry with its transfers."""
    session = current_session()
    entry = entry_by_no(session, current_actor(), entry_no)
    return entry_document(entry, public_numbers(session, [entry]))
