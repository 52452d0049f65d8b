"""The fee of a certificate, and what is waived of it: stated and asked by the cooperative, decided by somebody of the
county who did not ask."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.catalog.certificates.models import CertificateDeed, CertificateFee, WaiverState
from marketplace.catalog.certificates.rules import note_deed, require_county
from marketplace.catalog.models import Certificate
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.reviews.notices import MAX_REASON

MAX_FEE_FEN = 1_000_000_00


def state_fee(
    session: Session,
    actor: Actor,
    certificate: Certificate,
    *,
    fee_fen: int,
    payee: str,
    asked_fen: int = 0,
    basis: str = "",
) -> CertificateFee:
    """State what a certificate costs, and ask that part of it is waived: `asked_fen` of `fee_fen`, on a `basis`.

    Until the county has decided it may be stated anew; after it declined, asked again. Raises NotFound for another's
    certificate, Refused for amounts that cannot be or a missing basis, Conflict once the waiver is approved.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id != certificate.cooperative_id:
        raise NotFound
    _check(fee_fen, payee, asked_fen, basis)
    fee = session.get(CertificateFee, certificate.id, with_for_update=True)
    if fee is not None and fee.state is WaiverState.APPROVED:
        raise Conflict("waiver_approved", N_("减免已经批准，费用不能再改"))
    fee = fee or CertificateFee(certificate_id=certificate.id)
    fee.fee_fen, fee.payee = fee_fen, payee.strip()
    fee.asked_fen, fee.basis, fee.waived_fen = asked_fen, basis.strip() if asked_fen else "", 0
    fee.state = WaiverState.ASKED if asked_fen else WaiverState.NOT_ASKED
    fee.asked_by, fee.asked_at = (actor.user_id, now()) if asked_fen else (None, None)
    fee.decided_by = fee.decided_at = None
    session.add(fee)
    session.flush()
    note_deed(session, actor, certificate, CertificateDeed.FEE_STATED, amount_fen=fee_fen)
    if asked_fen:
        deed = CertificateDeed.WAIVER_ASKED
        note_deed(session, actor, certificate, deed, reason=fee.basis, amount_fen=asked_fen)
    record_trail(
        session,
        actor,
        "catalog.state_fee",
        subject=("certificate", certificate.public_no),
        fee_fen=fee_fen,
        asked_fen=asked_fen,
    )
    return fee


def _check(fee_fen: int, payee: str, asked_fen: int, basis: str) -> None:
    if not 0 < fee_fen <= MAX_FEE_FEN:
        raise Refused("fee", N_("费用须大于 0 且不超过 100 万元"), field="fee")
    if not 1 <= len(payee.strip()) <= 80:
        raise Refused("payee", N_("请填写收费单位，最多 80 个字"), field="payee")
    if not 0 <= asked_fen <= fee_fen:
        raise Refused("asked", N_("申请减免的金额不能超过费用"), field="asked")
    if asked_fen and not 1 <= len(basis.strip()) <= 200:
        raise Refused("basis", N_("请写明减免依据（文件名称和条款），最多 200 个字"), field="basis")


def decide_waiver(
    session: Session, actor: Actor, certificate: Certificate, *, waived_fen: int, reason: str = ""
) -> CertificateFee:
    """Waive `waived_fen` of what was asked; 0 declines, with a reason.

    For the county. Raises Forbidden to whoever asked, Refused for more than was asked or a refusal without a reason,
    Conflict when nothing waits for a decision.
    """
    require_county(session, actor, certificate.cooperative_id, Permission.WAIVE_FEES)
    fee = session.get(CertificateFee, certificate.id, with_for_update=True)
    if fee is None or fee.state is not WaiverState.ASKED:
        raise Conflict("no_waiver_asked", N_("没有等待决定的减免申请，可能是同事刚刚办理的"))
    if fee.asked_by == actor.user_id or actor.cooperative_id == certificate.cooperative_id:
        raise Forbidden("own_waiver", N_("不能批准本单位或自己提出的减免"))
    if not 0 <= waived_fen <= fee.asked_fen:
        raise Refused("waived", N_("批准的金额不能超过申请的金额"), field="waived")
    text = reason.strip()
    if len(text) > MAX_REASON or (not waived_fen and not text):
        raise Refused(
            "reason_missing", N_("不予减免时请写明原因，最多 %(most)s 个字"), field="reason", most=MAX_REASON
        )
    fee.waived_fen = waived_fen
    fee.state = WaiverState.APPROVED if waived_fen else WaiverState.DECLINED
    fee.decided_by, fee.decided_at = actor.user_id, now()
    session.flush()
    deed = CertificateDeed.WAIVER_APPROVED if waived_fen else CertificateDeed.WAIVER_DECLINED
    note_deed(session, actor, certificate, deed, reason=text, amount_fen=waived_fen or None)
    record_trail(
        session,
        actor,
        "catalog.decide_waiver",
        subject=("certificate", certificate.public_no),
        cooperative_id=certificate.cooperative_id,
        waived_fen=waived_fen,
    )
    return fee
