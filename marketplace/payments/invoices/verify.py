"""Checks of invoices: amounts are those of their parts, and a part says it is invoiced exactly when it is.

They read the rows alone (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from marketplace.core.labels import N_
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.invoices.models import Invoice, InvoiceKind, InvoicePart, InvoiceState


def _invoices_add_up(session: Session) -> Answer:
    """An invoice is the sum of its parts, all of its cooperative and unit; its red letters are never more than it."""
    parts = (
        select(
            InvoicePart.invoice_id,
            func.sum(InvoicePart.amount_fen).label("fen"),
            func.min(OrderPart.cooperative_id).label("cooperative_id"),
            func.max(OrderPart.cooperative_id).label("other_cooperative_id"),
            func.min(Order.buyer_unit_id).label("unit_id"),
            func.max(Order.buyer_unit_id).label("other_unit_id"),
        )
        .join(OrderPart, OrderPart.id == InvoicePart.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .group_by(InvoicePart.invoice_id)
        .subquery()
    )
    letters = (
        select(Invoice.original_id, func.sum(Invoice.amount_fen).label("fen"))
        .where(Invoice.state != InvoiceState.RETURNED)
        .group_by(Invoice.original_id)
        .subquery()
    )
    fen = func.coalesce(parts.c.fen, 0)
    query = (
        select(Invoice.number, Invoice.amount_fen, fen.label("parts_fen"))
        .outerjoin(parts, parts.c.invoice_id == Invoice.id)
        .outerjoin(letters, letters.c.original_id == Invoice.id)
        .where(
            Invoice.kind == InvoiceKind.GOODS,
            or_(
                fen != Invoice.amount_fen,
                letters.c.fen > Invoice.amount_fen,
                parts.c.cooperative_id != Invoice.cooperative_id,
                parts.c.other_cooperative_id != Invoice.cooperative_id,
                parts.c.unit_id != Invoice.buyer_unit_id,
                parts.c.other_unit_id != Invoice.buyer_unit_id,
            ),
        )
        .order_by(Invoice.id)
    )
    message = N_("发票 %(number)s 金额 %(amount_fen)s 分，对应订单合计 %(parts_fen)s 分，或单位不符")
    return count_of(session, Invoice), rows_found(session, "invoices_add_up", message, query)


def _parts_know_their_invoice(session: Session) -> Answer:
    """A part carries the time of its invoice exactly while one counts; rows of a returned one do not count."""
    live = aliased(InvoicePart)
    query = (
        select(OrderPart.public_no.label("part"))
        .outerjoin(live, and_(live.part_id == OrderPart.id, live.live))
        .outerjoin(Invoice, Invoice.id == live.invoice_id)
        .where(
            or_(
                OrderPart.invoiced_at.is_not(None) != live.id.is_not(None),
                Invoice.state == InvoiceState.RETURNED,
            )
        )
        .order_by(OrderPart.id)
    )
    message = N_("分订单 %(part)s 的开票标记与发票不符")
    return count_of(session, OrderPart), rows_found(session, "parts_are_invoiced", message, query)


CHECKS: tuple[Check, ...] = (
    Check("invoices_add_up", N_("发票金额等于对应订单的净额之和"), _invoices_add_up),
    Check("parts_are_invoiced", N_("开票标记与在用的发票一致"), _parts_know_their_invoice),
)
