"""Invoices: the cooperative uploads one over what a unit accepted, the unit's payer confirms or returns it.

The amount is the net of its parts after refunds, to the fen. A returned one frees its number and its parts, so that the
right one can follow. What is refunded after an invoice was confirmed is taken back by a red letter, which is checked in
the same way. The days to pay do not wait for any of it: see docs/decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import business_day, now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import move_part, required_reason
from marketplace.ordering.states import PartEvent, PartState
from marketplace.payments.invoices.models import Invoice, InvoiceKind, InvoicePart, InvoiceState
from marketplace.payments.invoices.numbers import invoice_number
from marketplace.payments.invoices.queries import nets_of, over_fen_of, parts_by_nos

MOST_PARTS = 50


def upload_invoice(
    session: Session,
    actor: Actor,
    *,
    part_nos: Sequence[str],
    number: str,
    code: str = "",
    issued_on: date,
    amount_fen: int,
    file: StoredFile | None,
    idempotency_key: str,
) -> Invoice:
    """Hand in the invoice over accepted parts of one unit. The same key of the same person gives the first invoice.

    Raises NotFound for a part of another cooperative or of a person, Refused for several units, a malformed number, a
    day that cannot be, another amount than the net of the parts, or no file; Conflict when a part is not accepted or
    is invoiced already, or when the number is in use.
    """
    actor.require(Permission.FULFIL_ORDERS)
    first = _invoice_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    parts = _parts_held(session, actor, part_nos)
    digits = invoice_number(number, code)
    delivered_on = max(business_day(part.received_at or now()) for part in parts)
    _check_day(issued_on, delivered_on)
    nets = nets_of(session, [part.id for part in parts])
    _check_amount(amount_fen, sum(nets.values()) if min(nets.values()) > 0 else 0)
    invoice = Invoice(
        cooperative_id=parts[0].cooperative_id,
        buyer_unit_id=parts[0].order.buyer_unit_id,
        number=digits,
        issued_on=issued_on,
        amount_fen=amount_fen,
        file_id=_required(file).id,
        idempotency_key=idempotency_key,
        uploaded_by=actor.user_id,
        parts=[InvoicePart(part_id=part.id, amount_fen=nets[part.id]) for part in parts],
    )
    kept = _keep(session, actor, invoice)
    if kept is invoice:
        for part in parts:
            move_part(session, actor, part, PartEvent.INVOICE, note=digits)
            part.invoiced_at = now()
        session.flush()
        _note(session, actor, "payments.upload_invoice", invoice)
    return kept


def upload_red_letter(
    session: Session,
    actor: Actor,
    *,
    original: Invoice,
    number: str,
    code: str = "",
    issued_on: date,
    amount_fen: int,
    file: StoredFile | None,
    idempotency_key: str,
) -> Invoice:
    """Hand in the red letter for what was refunded since `original` was confirmed. The same key gives the first one.

    Raises NotFound for another cooperative's, Conflict when nothing was refunded or the number is in use, Refused for a
    malformed number, a day before the original's, another amount than what was refunded, or no file.
    """
    actor.require(Permission.FULFIL_ORDERS)
    if original.cooperative_id != actor.cooperative_id:
        raise NotFound
    first = _invoice_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    session.refresh(original, with_for_update={"of": Invoice})
    over_fen = over_fen_of(session, original)
    if (
        original.kind is not InvoiceKind.GOODS
        or original.state is not InvoiceState.CONFIRMED
        or over_fen <= 0
    ):
        raise Conflict("nothing_to_correct", N_("这张发票没有需要红字冲减的退款"))
    digits = invoice_number(number, code)
    _check_day(issued_on, original.issued_on)
    _check_amount(amount_fen, over_fen)
    letter = Invoice(
        kind=InvoiceKind.RED_LETTER,
        original_id=original.id,
        cooperative_id=original.cooperative_id,
        buyer_unit_id=original.buyer_unit_id,
        number=digits,
        issued_on=issued_on,
        amount_fen=amount_fen,
        file_id=_required(file).id,
        idempotency_key=idempotency_key,
        uploaded_by=actor.user_id,
    )
    kept = _keep(session, actor, letter)
    if kept is letter:
        _note(session, actor, "payments.upload_invoice", letter)
    return kept


def _invoice_under_key(session: Session, actor: Actor, key: str) -> Invoice | None:
    query = select(Invoice).where(Invoice.uploaded_by == actor.user_id, Invoice.idempotency_key == key)
    return session.scalar(query)


def _parts_held(session: Session, actor: Actor, part_nos: Sequence[str]) -> list[OrderPart]:
    """The parts, held against a second invoice and against refunds, accepted and without an invoice."""
    if not part_nos:
        raise Refused("no_parts", N_("请先选择要开票的订单"))
    if len(part_nos) > MOST_PARTS:
        raise Refused("many_parts", N_("一张发票最多对应 %(most)s 笔订单"), most=MOST_PARTS)
    parts = parts_by_nos(session, actor, part_nos)
    ids = [part.id for part in parts]
    held = select(OrderPart).where(OrderPart.id.in_(ids)).order_by(OrderPart.id).with_for_update(of=OrderPart)
    session.scalars(held.execution_options(populate_existing=True)).unique().all()
    if len({part.order.buyer_unit_id for part in parts}) > 1:
        raise Refused("several_units", N_("一张发票只能开给一个采购单位，请按单位分开"))
    for part in parts:
        if part.state is not PartState.ACCEPTED:
            raise Conflict("not_accepted", N_("订单 %(no)s 还没有验收，不能开票"), no=part.order.public_no)
        if part.invoiced_at is not None:
            raise Conflict("invoiced", N_("订单 %(no)s 已经开过发票"), no=part.order.public_no)
    return parts


def _check_day(issued_on: date, earliest: date) -> None:
    if issued_on > today():
        raise Refused("invoice_future", N_("开票日期不能晚于今天"), field="issued_on")
    if issued_on < earliest:
        raise Refused(
            "invoice_early",
            N_("开票日期不能早于 %(day)s（收货或原发票的日期）"),
            field="issued_on",
            day=earliest.isoformat(),
        )


def _check_amount(amount_fen: int, expected_fen: int) -> None:
    """Raise Refused with the difference unless the two are the same to the fen."""
    if expected_fen <= 0:
        raise Refused("nothing_left", N_("所选订单里有已经全部退款的，不需要开票"))
    if amount_fen == expected_fen:
        return
    more = N_("发票金额应为 %(expected)s 元（货款减去退款），现在多了 %(difference)s 元")
    less = N_("发票金额应为 %(expected)s 元（货款减去退款），现在少了 %(difference)s 元")
    raise Refused(
        "invoice_amount",
        more if amount_fen > expected_fen else less,
        field="amount",
        expected=format_yuan(expected_fen),
        difference=format_yuan(abs(amount_fen - expected_fen)),
    )


def _required(file: StoredFile | None) -> StoredFile:
    if file is None:
        raise Refused("no_file", N_("请选择发票文件"), field="file")
    return file


def _keep(session: Session, actor: Actor, invoice: Invoice) -> Invoice:
    """Add an invoice; the one of the same submission, when that was quicker. Raises Conflict for a number in use."""
    _require_unused(session, invoice.number)
    key = invoice.idempotency_key
    try:
        with session.begin_nested():
            session.add(invoice)
    except (
        IntegrityError
    ):  # somebody was quicker: the same submission, or the number or a part of it by another
        first = _invoice_under_key(session, actor, key)
        if first is not None:
            return first
        _require_unused(session, invoice.number)
        raise Conflict("invoiced", N_("所选订单刚刚已经开过发票，请刷新后查看")) from None
    return invoice


def _require_unused(session: Session, number: str) -> None:
    used = select(Invoice.id).where(Invoice.number == number, Invoice.state != InvoiceState.RETURNED)
    if session.scalar(used.limit(1)) is not None:
        raise Conflict(
            "invoice_used",
            N_("发票号码 %(number)s 已经用过，同一张发票不能用两次"),
            field="number",
            number=number,
        )


def confirm_invoice(session: Session, actor: Actor, invoice: Invoice) -> Invoice:
    """The unit's payer found an invoice right. Raises NotFound for another unit's, Conflict when it was checked before
    or when a refund has made it too high since."""
    _hold_uploaded(session, actor, invoice)
    if invoice.kind is InvoiceKind.GOODS and over_fen_of(session, invoice):
        raise Conflict("invoice_too_high", N_("开票以后又有退款，发票金额已与应付不符，请退回重开"))
    invoice.state, invoice.checked_by, invoice.checked_at = InvoiceState.CONFIRMED, actor.user_id, now()
    session.flush()
    _note(session, actor, "payments.confirm_invoice", invoice)
    return invoice


def return_invoice(session: Session, actor: Actor, invoice: Invoice, *, reason: str) -> Invoice:
    """The unit's payer sends an invoice back; its number and its parts are free for the right one.

    Raises NotFound for another unit's, Refused without a reason, Conflict when it was checked before.
    """
    note = required_reason(reason, N_("请写明退回的原因，合作社会看到"))
    _hold_uploaded(session, actor, invoice)
    invoice.state, invoice.checked_by, invoice.checked_at = InvoiceState.RETURNED, actor.user_id, now()
    invoice.return_reason = note
    for row in invoice.parts:
        row.live = False
        row.part.invoiced_at = None
    session.flush()
    _note(session, actor, "payments.return_invoice", invoice, reason=note)
    return invoice


def _hold_uploaded(session: Session, actor: Actor, invoice: Invoice) -> None:
    """Read an invoice anew, held against a second decision. Raises NotFound and Conflict."""
    actor.require(Permission.PAY_FOR_UNIT)
    if actor.buyer_unit_id != invoice.buyer_unit_id:
        raise NotFound
    session.refresh(invoice, with_for_update={"of": Invoice})
    if invoice.state is not InvoiceState.UPLOADED:
        raise Conflict("invoice_checked", N_("这张发票已经处理过，请刷新后查看"))


def _note(
    session: Session, actor: Actor, action: str, invoice: Invoice, *, reason: str | None = None
) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("invoice", invoice.public_no),
        cooperative_id=invoice.cooperative_id,
        buyer_unit_id=invoice.buyer_unit_id,
        amount_fen=invoice.amount_fen,
        number=invoice.number,
        reason=reason,
    )
