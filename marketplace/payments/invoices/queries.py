"""Reading invoices: what may be invoiced, what each side sees, and where a refund asks for a red letter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, Select, cast, false, func, select
from sqlalchemy.orm import Session, joinedload, lazyload

from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.invoices.models import Invoice, InvoiceKind, InvoicePart, InvoiceState
from marketplace.payments.refunds.models import RefundedLine
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task

FOR_LISTS = (
    joinedload(Invoice.buyer_unit),
    joinedload(Invoice.cooperative),
    joinedload(Invoice.original),
)
SLIM_PART = (lazyload(OrderPart.lines), joinedload(OrderPart.order).lazyload(Order.parts))


def invoices_visible_to(actor: Actor) -> Select[Invoice]:
    """Invoices, newest first: of one's cooperative, of one's unit, and for an auditor the jurisdiction's."""
    query = select(Invoice).order_by(Invoice.id.desc()).options(*FOR_LISTS)
    if actor.can(Permission.READ_AUDIT):
        return query.where(Invoice.cooperative_id.in_(cooperatives_within(actor)))
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        return query.where(Invoice.cooperative_id == actor.cooperative_id)
    if actor.buyer_unit_id is not None and actor.can(Permission.PAY_FOR_UNIT):
        return query.where(Invoice.buyer_unit_id == actor.buyer_unit_id)
    return query.where(false())


def invoices_in_state(actor: Actor, state: InvoiceState | None) -> Select[Invoice]:
    """The visible invoices in a state, what waits longest first; all of them newest first."""
    query = invoices_visible_to(actor)
    if state is None:
        return query
    return query.where(Invoice.state == state).order_by(None).order_by(Invoice.id)


def invoice_by_no(session: Session, actor: Actor, number: str) -> Invoice:
    """An invoice the actor may see. Raises NotFound."""
    found = session.scalar(invoices_visible_to(actor).where(Invoice.public_no == number))
    if found is None:
        raise NotFound
    return found


def _refunded() -> ColumnElement[int]:
    """What refunds gave back of a part, in fen."""
    given = (
        select(func.sum(RefundedLine.amount_fen))
        .join(OrderLine, OrderLine.id == RefundedLine.line_id)
        .where(OrderLine.part_id == OrderPart.id)
        .scalar_subquery()
    )
    return cast(func.coalesce(given, 0), BigInteger)  # PostgreSQL adds whole numbers up to decimals


def parts_to_invoice(actor: Actor) -> Select[tuple[OrderPart, int]]:
    """The accepted parts of units that the actor's cooperative has not invoiced, with their net fen, oldest first; a
    part that was refunded whole needs no invoice."""
    net = (OrderPart.total_fen - _refunded()).label("net_fen")
    return (
        select(OrderPart, net)
        .join(Order, Order.id == OrderPart.order_id)
        .where(
            OrderPart.cooperative_id == actor.cooperative_id,
            OrderPart.state == PartState.ACCEPTED,
            OrderPart.invoiced_at.is_(None),
            Order.buyer_unit_id.is_not(None),
            net > 0,
        )
        .order_by(OrderPart.accepted_at, OrderPart.id)
        .options(*SLIM_PART)
    )


def parts_by_nos(session: Session, actor: Actor, part_nos: Collection[str]) -> list[OrderPart]:
    """Parts of units that the actor's cooperative delivers, by number. Raises NotFound unless there are all."""
    query = (
        select(OrderPart)
        .join(Order, Order.id == OrderPart.order_id)
        .where(
            OrderPart.public_no.in_(part_nos),
            OrderPart.cooperative_id == actor.cooperative_id,
            Order.buyer_unit_id.is_not(None),
        )
        .order_by(OrderPart.id)
        .options(*SLIM_PART)
    )
    found = list(session.scalars(query)) if actor.cooperative_id is not None else []
    if not found or len(found) != len(set(part_nos)):
        raise NotFound
    return found


def nets_of(session: Session, part_ids: Collection[int]) -> dict[int, int]:
    """What is left of each part after refunds, in fen by its id."""
    query = select(OrderPart.id, OrderPart.total_fen - _refunded()).where(OrderPart.id.in_(part_ids))
    return {part_id: int(fen) for part_id, fen in session.execute(query)}


def _over_fen() -> ColumnElement[int]:
    """How much more an invoice says than is left of its parts and of the red letters in use, in fen."""
    net = (
        select(func.sum(OrderPart.total_fen - _refunded()))
        .join(InvoicePart, InvoicePart.part_id == OrderPart.id)
        .where(InvoicePart.invoice_id == Invoice.id)
        .scalar_subquery()
    )
    letter = Invoice.__table__.alias("letter")
    letters = (
        select(func.coalesce(func.sum(letter.c.amount_fen), 0))
        .where(letter.c.original_id == Invoice.id, letter.c.state != InvoiceState.RETURNED.value)
        .scalar_subquery()
    )
    return Invoice.amount_fen - letters - func.coalesce(net, 0)


def over_fen_of(session: Session, invoice: Invoice) -> int:
    """What refunds took off the parts of an invoice since, and no red letter says yet, in fen."""
    return int(session.scalar(select(_over_fen()).where(Invoice.id == invoice.id)) or 0)


def invoices_to_correct(actor: Actor) -> Select[Invoice]:
    """The actor's confirmed invoices whose goods were refunded in part since, and that wait for a red letter."""
    return (
        invoices_visible_to(actor)
        .where(Invoice.kind == InvoiceKind.GOODS, Invoice.state == InvoiceState.CONFIRMED, _over_fen() > 0)
        .order_by(None)
        .order_by(Invoice.id)
    )


@dataclass(frozen=True)
class InvoicedPart:
    """A part of an invoice, what it was invoiced at and what is left of it after refunds, in fen."""

    part: OrderPart
    amount_fen: int
    net_fen: int


def parts_of_invoice(session: Session, invoice: Invoice) -> list[InvoicedPart]:
    """The parts an invoice is over; those of the invoice it corrects for a red letter."""
    query = (
        select(InvoicePart)
        .where(InvoicePart.invoice_id == (invoice.original_id or invoice.id))
        .order_by(InvoicePart.part_id)
        .options(joinedload(InvoicePart.part).options(*SLIM_PART))
    )
    rows = session.scalars(query).all()
    nets = nets_of(session, [row.part_id for row in rows])
    return [InvoicedPart(row.part, row.amount_fen, nets[row.part_id]) for row in rows]


def invoices_of_parts(session: Session, part_ids: Collection[int]) -> dict[int, Invoice]:
    """The invoice in use over each of these parts, by the id of the part."""
    query = (
        select(InvoicePart.part_id, Invoice)
        .join(Invoice, Invoice.id == InvoicePart.invoice_id)
        .where(InvoicePart.part_id.in_(part_ids), InvoicePart.live)
    )
    return dict(session.execute(query).all())


def _count(session: Session, query: Select[*tuple[object, ...]]) -> int:
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits: to invoice, to replace and to correct at a cooperative; to check for a unit's payer."""
    tasks: Sequence[Task] = ()
    if actor.can(Permission.FULFIL_ORDERS) and actor.cooperative_id is not None:
        waiting = parts_to_invoice(actor).with_only_columns(OrderPart.id)
        wrong = invoices_to_correct(actor).with_only_columns(Invoice.id)
        tasks = (
            Task(NN_("%(count)s 笔已验收的货待开发票"), _count(session, waiting), "invoices.to_invoice"),
            Task(
                NN_("%(count)s 张发票因退款待开红字发票"),
                _count(session, wrong),
                "invoices.index",
                {"state": "to_correct"},
            ),
        )
    elif actor.can(Permission.PAY_FOR_UNIT) and actor.buyer_unit_id is not None:
        waiting_invoices = invoices_in_state(actor, InvoiceState.UPLOADED).with_only_columns(Invoice.id)
        tasks = (
            Task(
                NN_("%(count)s 张发票待核对"),
                _count(session, waiting_invoices),
                "invoices.index",
                {"state": InvoiceState.UPLOADED.value},
            ),
        )
    return [task for task in tasks if task.count]
