"""Reading compliance certificates: of lots, of what a part ships, and for the public check."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.linkage.models import Lot
from marketplace.linkage.queries import lot_by_no
from marketplace.procurement.compliance.models import LotCertificate
from marketplace.registry.models import Region


def _newest() -> Select[int]:
    """The ids of the certificates that hold now: the newest of each lot."""
    return select(func.max(LotCertificate.id)).group_by(LotCertificate.lot_id)


def certificates_of_lots(session: Session, lot_ids: Collection[int]) -> dict[int, LotCertificate]:
    """The certificate that holds now of each of these lots; lots without one are left out."""
    query = select(LotCertificate).where(LotCertificate.id.in_(_newest()), LotCertificate.lot_id.in_(lot_ids))
    return {found.lot_id: found for found in session.scalars(query)}


def certificates_of_lot(session: Session, actor: Actor, lot_no: str) -> tuple[Lot, list[LotCertificate]]:
    """A lot of the actor's cooperative and its certificates, newest first. Raises NotFound."""
    lot = lot_by_no(session, actor, lot_no)
    query = select(LotCertificate).where(LotCertificate.lot_id == lot.id).order_by(LotCertificate.id.desc())
    return lot, list(session.scalars(query))


def certificate_under_token(session: Session, token: str) -> LotCertificate:
    """The certificate behind a QR code. Raises NotFound."""
    found = session.scalar(select(LotCertificate).where(LotCertificate.token == token))
    if found is None:
        raise NotFound
    return found


def villages_of(session: Session, lots: Collection[Lot]) -> dict[int, str]:
    """Where the goods of these lots grew, by lot id."""
    query = select(Region.code, Region.full_name).where(Region.code.in_({lot.village_code for lot in lots}))
    names = dict(session.execute(query).all())
    return {lot.id: names[lot.village_code] for lot in lots}


def is_newest(session: Session, certificate: LotCertificate) -> bool:
    """Whether no further certificate was issued for the lot since."""
    last = select(func.max(LotCertificate.version)).where(LotCertificate.lot_id == certificate.lot_id)
    return session.scalar(last) == certificate.version
