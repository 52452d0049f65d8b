"""Reading uploaded sheets of evidence: a cooperative sees its own."""

from __future__ import annotations

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Lot
from marketplace.linkage.sheet_models import EvidenceSheet


def sheets_visible_to(actor: Actor, name: str | None = None, lot: Lot | None = None) -> Select[EvidenceSheet]:
    """The sheets the actor may read, the latest first; of one format and one lot when named."""
    query = select(EvidenceSheet).options(joinedload(EvidenceSheet.lot)).order_by(EvidenceSheet.id.desc())
    if not actor.can(Permission.RECORD_EVIDENCE) or actor.cooperative_id is None:
        return query.where(false())
    query = query.where(EvidenceSheet.cooperative_id == actor.cooperative_id)
    if name is not None:
        query = query.where(EvidenceSheet.format == name)
    return query if lot is None else query.where(EvidenceSheet.lot_id == lot.id)


def sheet_by_no(session: Session, actor: Actor, sheet_no: str) -> EvidenceSheet:
    """One visible sheet. Raises NotFound."""
    sheet = session.scalar(sheets_visible_to(actor).where(EvidenceSheet.public_no == sheet_no))
    if sheet is None:
        raise NotFound
    return sheet
