"""Reading uploaded sheets, as far as they are the actor's organisation's."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from marketplace.catalog.sheets.models import CatalogSheet, SheetKind
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor


def sheets_of(actor: Actor, kind: SheetKind) -> Select[CatalogSheet]:
    """The sheets of a kind that the actor's organisation has uploaded, newest first."""
    return (
        select(CatalogSheet)
        .where(CatalogSheet.organisation_id == actor.organisation_id, CatalogSheet.kind == kind)
        .order_by(CatalogSheet.id.desc())
    )


def sheet_by_no(session: Session, actor: Actor, number: str) -> CatalogSheet:
    """One of them. Raises NotFound."""
    query = select(CatalogSheet).where(
        CatalogSheet.public_no == number, CatalogSheet.organisation_id == actor.organisation_id
    )
    sheet = session.scalar(query)
    if sheet is None:
        raise NotFound
    return sheet
