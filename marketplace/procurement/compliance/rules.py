"""Issuing the compliance certificate of a lot.

Decided: a cooperative issues it for its own lots, once goods were weighed in, and again when the quantity has grown. A
unit may ask that nothing is shipped to it without one (`receiving/rules.py`); whether it asks is read when the goods
are shipped, since a certificate costs the cooperative one press.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.models import Lot
from marketplace.procurement.compliance.models import LotCertificate
from marketplace.registry.models import Cooperative, Region

PROMISE = N_("不使用禁用农药兽药、停用兽药和非法添加物；常规农药兽药残留不超标；对承诺的真实性负责")
MOST_PROMISE = 300


def issue_certificate(session: Session, actor: Actor, *, lot: Lot, promise: str) -> LotCertificate:
    """Issue the certificate of a lot of the actor's cooperative, with the promise it makes.

    Raises NotFound for another's lot, Refused without goods in the lot or without a promise, Conflict when one holds
    that says the same quantity.
    """
    if actor.cooperative_id != lot.cooperative_id or actor.user_id is None:
        raise NotFound
    actor.require(Permission.FULFIL_ORDERS)
    words = promise.strip()
    if not words or len(words) > MOST_PROMISE:
        raise Refused("promise", N_("请写明承诺，最多 %(most)s 个字"), field="promise", most=MOST_PROMISE)
    session.refresh(lot, with_for_update={"of": Lot})
    if not lot.received_g:
        raise Refused("lot_empty", N_("这个批次还没有过磅入库，不能开具合格证"))
    last = session.scalar(
        select(LotCertificate)
        .where(LotCertificate.lot_id == lot.id)
        .order_by(LotCertificate.version.desc())
        .limit(1)
    )
    if last is not None and last.mass_g == lot.received_g:
        raise Conflict("certificate_holds", N_("这个批次的合格证已经开具，数量没有变化"))
    certificate = LotCertificate(
        lot_id=lot.id,
        version=last.version + 1 if last else 1,
        goods=lot.commodity,
        mass_g=lot.received_g,
        producer=session.get_one(Cooperative, lot.cooperative_id).name,
        origin=session.get_one(Region, lot.village_code).full_name,
        harvested_on=lot.harvested_on,
        promise=words,
        issued_by=actor.user_id,
    )
    try:
        with session.begin_nested():
            session.add(certificate)
    except IntegrityError as taken:
        raise Conflict("certificate_holds", N_("这个批次的合格证已经开具，数量没有变化")) from taken
    record_trail(
        session, actor, "procurement.issue_certificate", subject=("lot_certificate", certificate.public_no)
    )
    return certificate
