"""Checks of purchase certificates: a valid one stands for complete purchases at what was kept of them, and says so."""

from __future__ import annotations

from sqlalchemy import func, not_, or_, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.payments.counted import is_complete, refunded_by_line
from marketplace.payments.purchase_certificates.models import CertifiedLine, PurchaseCertificate
from marketplace.payments.purchase_certificates.queries import is_withdrawn


def _lines_stand(session: Session) -> Answer:
    refunded = refunded_by_line()
    kept = OrderLine.net_fen - func.coalesce(refunded.c.refunded_fen, 0)
    query = (
        select(
            PurchaseCertificate.public_no.label("certificate"),
            OrderLine.public_no.label("line"),
            CertifiedLine.net_fen.label("certified_fen"),
            kept.label("kept_fen"),
        )
        .join(CertifiedLine, CertifiedLine.certificate_id == PurchaseCertificate.id)
        .join(OrderLine, OrderLine.id == CertifiedLine.line_id)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .outerjoin(refunded, refunded.c.line_id == OrderLine.id)
        .where(
            ~is_withdrawn(),
            or_(
                CertifiedLine.net_fen != kept,
                not_(is_complete()),
                Order.buyer_unit_id != PurchaseCertificate.buyer_unit_id,
                Order.kind != PurchaseCertificate.kind,
            ),
        )
        .order_by(CertifiedLine.certificate_id, CertifiedLine.line_id)
    )
    message = N_(
        "凭证 %(certificate)s 所列订单行 %(line)s 写 %(certified_fen)s 分，实际 %(kept_fen)s 分，或未完成，或非本单位"
    )
    return count_of(session, CertifiedLine), rows_found(session, "certified_lines_stand", message, query)


def _certificates_add_up(session: Session) -> Answer:
    sums = (
        select(CertifiedLine.certificate_id, func.sum(CertifiedLine.net_fen).label("fen"))
        .group_by(CertifiedLine.certificate_id)
        .subquery()
    )
    total = func.coalesce(sums.c.fen, 0)
    query = (
        select(
            PurchaseCertificate.public_no.label("certificate"),
            PurchaseCertificate.net_fen,
            total.label("lines_fen"),
        )
        .outerjoin(sums, sums.c.certificate_id == PurchaseCertificate.id)
        .where(total != PurchaseCertificate.net_fen)
        .order_by(PurchaseCertificate.id)
    )
    message = N_("凭证 %(certificate)s 写 %(net_fen)s 分，所列采购之和 %(lines_fen)s 分")
    return count_of(session, PurchaseCertificate), rows_found(session, "certificates_add_up", message, query)


CHECKS: tuple[Check, ...] = (
    Check("certificates_add_up", N_("每张采购凭证等于所列采购之和"), _certificates_add_up),
    Check("certified_lines_stand", N_("有效凭证所列采购都已完成，金额是退款后的净额"), _lines_stand),
)
