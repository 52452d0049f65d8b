"""Issuing purchase certificates and withdrawing them.

A certificate stands for every line that a unit accepted, paid and evaluated in a span of days and that stands on no
other; a refund of any of them withdraws it, and what is left can be certified again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderKind, OrderLine, OrderPart
from marketplace.payments.purchase_certificates.models import (
    TOKEN_LENGTH,
    CertificateWithdrawal,
    CertifiedLine,
    PurchaseCertificate,
)
from marketplace.payments.purchase_certificates.queries import (
    Purchase,
    content_hash,
    figures_of,
    purchases_named,
    purchases_to_certify,
    valid_certificates_of,
)
from marketplace.payments.withdrawing import withdrawal_reason

MOST_DAYS = 366
REFUNDED = N_("其中有商品退款，凭证自动作废")


def issue_certificate(
    session: Session, actor: Actor, *, kind: OrderKind, since: date, until: date, idempotency_key: str
) -> PurchaseCertificate:
    """Certify what the actor's unit completed over the days [since, until] and what is on no valid certificate yet.

    The same key gives the same certificate again. Raises Forbidden outside a unit, Refused for a span that cannot be or
    has nothing to certify, Conflict when a line is not settled yet or somebody certified one at the same moment.
    """
    actor.require(Permission.CERTIFY_PURCHASES)
    if actor.buyer_unit_id is None:
        raise Forbidden
    first = session.scalar(
        select(PurchaseCertificate).where(
            PurchaseCertificate.buyer_unit_id == actor.buyer_unit_id,
            PurchaseCertificate.idempotency_key == idempotency_key,
        )
    )
    if first is not None:
        return first
    _check_span(kind, since, until)
    bought = _held(session, purchases_to_certify(session, actor.buyer_unit_id, kind, since, until))
    if not bought:
        raise Refused(
            "nothing_to_certify",
            N_("这段时间没有可以开具的采购：须已验收、付清并评价，且没有开过凭证"),
            field="since",
        )
    if not all(one.is_settled for one in bought):
        raise Conflict("not_settled", N_("有采购刚刚完成，正在结算到户，请过一分钟再开具"))
    certificate = _certificate(session, actor, kind, since, until, bought, idempotency_key)
    try:
        with session.begin_nested():
            session.add(certificate)
    except IntegrityError:
        raise Conflict("certified_meanwhile", N_("其中有采购刚刚开过凭证，请刷新后再看")) from None
    record_trail(
        session,
        actor,
        "payments.issue_certificate",
        subject=("purchase_certificate", certificate.public_no),
        buyer_unit_id=actor.buyer_unit_id,
        amount_fen=certificate.net_fen,
    )
    return certificate


def _held(session: Session, bought: list[Purchase]) -> list[Purchase]:
    """The purchases as they stand once no refund of theirs can be under way: refunds hold the parts, too."""
    ids = {one.line_id for one in bought}
    parts = select(OrderLine.part_id).where(OrderLine.id.in_(ids))
    hold = select(OrderPart.id).where(OrderPart.id.in_(parts)).order_by(OrderPart.id)
    session.execute(hold.with_for_update(of=OrderPart)).all()
    return [one for one in purchases_named(session, ids) if one.net_fen > 0]


def _check_span(kind: OrderKind, since: date, until: date) -> None:
    if kind is OrderKind.PERSONAL:
        raise Refused("kind", N_("个人购买不开具采购凭证"), field="kind")
    if since > until:
        raise Refused("span", N_("开始日期不能晚于结束日期"), field="since")
    if until > today():
        raise Refused("future", N_("结束日期不能晚于今天"), field="until")
    if until - since >= timedelta(days=MOST_DAYS):
        raise Refused("span_long", N_("一张凭证最多写一年，请分开开具"), field="since")


def _certificate(
    session: Session,
    actor: Actor,
    kind: OrderKind,
    since: date,
    until: date,
    bought: list[Purchase],
    idempotency_key: str,
) -> PurchaseCertificate:
    figures = figures_of(session, {one.line_id: one.net_fen for one in bought})
    certificate = PurchaseCertificate(
        public_no=public_no("PZ"),
        token=public_no("T", length=TOKEN_LENGTH),
        buyer_unit_id=actor.buyer_unit_id,
        kind=kind,
        since_on=since,
        until_on=until,
        net_fen=figures.net_fen,
        figures=figures.document(),
        idempotency_key=idempotency_key,
        issued_by=actor.user_id,
        issued_at=now(),
        lines=[
            CertifiedLine(line_id=one.line_id, replaces_id=one.replaces_id, net_fen=one.net_fen)
            for one in bought
        ],
    )
    certificate.content_hash = content_hash(certificate)
    return certificate


def withdraw_certificate(
    session: Session, actor: Actor, certificate: PurchaseCertificate, *, reason: str
) -> CertificateWithdrawal:
    """Say that a certificate of one's own unit no longer counts. Raises NotFound, Refused, Conflict."""
    actor.require(Permission.CERTIFY_PURCHASES)
    if certificate.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    why = withdrawal_reason(reason)
    if session.get(CertificateWithdrawal, certificate.id) is not None:
        raise Conflict("withdrawn", N_("这张凭证已经作废了"))
    return _withdraw(session, actor, certificate, why)


def withdraw_refunded(session: Session, line_ids: Collection[int]) -> int:
    """Withdraw every valid certificate that stands for one of these lines, because something of them was refunded.
    Returns how many."""
    certificates = valid_certificates_of(session, line_ids)
    for certificate in certificates:
        _withdraw(session, SYSTEM, certificate, REFUNDED)
    return len(certificates)


def _withdraw(
    session: Session, actor: Actor, certificate: PurchaseCertificate, reason: str
) -> CertificateWithdrawal:
    withdrawal = CertificateWithdrawal(
        certificate_id=certificate.id, reason=reason, withdrawn_by=actor.user_id
    )
    session.add(withdrawal)
    session.flush()
    session.expire(certificate, ["withdrawal"])
    record_trail(
        session,
        actor,
        "payments.withdraw_certificate",
        subject=("purchase_certificate", certificate.public_no),
        buyer_unit_id=certificate.buyer_unit_id,
        amount_fen=certificate.net_fen,
    )
    return withdrawal
