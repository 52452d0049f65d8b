"""The states of an order part, as a pure table: no I/O, nothing but who may move what where.

An order over several cooperatives has one part for each; the part is what is confirmed, shipped, received and
accepted. Paying is a second dimension (`OrderPart.paid_at`): staff pay before the goods move, canteens after they
accepted them.
"""

from __future__ import annotations

from dataclasses import dataclass

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.permissions import Permission


class PartState(LabelledEnum):
    """Where a part stands."""

    AWAITING_APPROVAL = "awaiting_approval", N_("待审批")
    AWAITING_PAYMENT = "awaiting_payment", N_("待付款")
    PLACED = "placed", N_("待合作社确认")
    CONFIRMED = "confirmed", N_("待发货")
    SHIPPED = "shipped", N_("运输中")
    RECEIVED = "received", N_("待验收")
    ACCEPTED = "accepted", N_("已验收")
    CANCELLED = "cancelled", N_("已取消")


class PartEvent(LabelledEnum):
    """What moves a part."""

    APPROVE = "approve", N_("审批通过")
    REJECT = "reject", N_("审批不通过")
    PAY = "pay", N_("付款到账")
    EXPIRE = "expire", N_("超时未付款")
    CANCEL = "cancel", N_("买方取消")
    CONFIRM = "confirm", N_("合作社确认")
    DECLINE = "decline", N_("合作社无法供货")
    SHIP = "ship", N_("发货")
    RECEIVE = "receive", N_("收货")
    ACCEPT = "accept", N_("验收")


@dataclass(frozen=True)
class Transition:
    """One allowed move; `permissions` empty means only the system (a payment, a deadline) makes it."""

    event: PartEvent
    source: PartState
    target: PartState
    permissions: frozenset[Permission]


S, E, P = PartState, PartEvent, Permission
BUYERS = frozenset({P.BUY_PERSONALLY, P.ORDER_FOR_UNIT})
RECEIVERS = frozenset({P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT})
TRANSITIONS: tuple[Transition, ...] = (
    Transition(E.APPROVE, S.AWAITING_APPROVAL, S.PLACED, frozenset({P.APPROVE_ORDERS})),
    Transition(E.REJECT, S.AWAITING_APPROVAL, S.CANCELLED, frozenset({P.APPROVE_ORDERS})),
    Transition(E.CANCEL, S.AWAITING_APPROVAL, S.CANCELLED, BUYERS),
    Transition(E.PAY, S.AWAITING_PAYMENT, S.PLACED, frozenset()),
    Transition(E.EXPIRE, S.AWAITING_PAYMENT, S.CANCELLED, frozenset()),
    Transition(E.CANCEL, S.AWAITING_PAYMENT, S.CANCELLED, BUYERS),
    Transition(E.CONFIRM, S.PLACED, S.CONFIRMED, frozenset({P.FULFIL_ORDERS})),
    Transition(E.DECLINE, S.PLACED, S.CANCELLED, frozenset({P.FULFIL_ORDERS})),
    Transition(E.DECLINE, S.CONFIRMED, S.CANCELLED, frozenset({P.FULFIL_ORDERS})),
    Transition(E.SHIP, S.CONFIRMED, S.SHIPPED, frozenset({P.FULFIL_ORDERS})),
    Transition(E.RECEIVE, S.SHIPPED, S.RECEIVED, RECEIVERS),
    Transition(E.ACCEPT, S.RECEIVED, S.ACCEPTED, RECEIVERS),
)
_TABLE = {(transition.event, transition.source): transition for transition in TRANSITIONS}


def transition_of(event: PartEvent, source: PartState) -> Transition:
    """The move `event` makes from `source`. Raises Conflict when the table has none."""
    found = _TABLE.get((event, source))
    if found is None:
        raise Conflict(
            "state_refuses", N_("订单现在是“%(state)s”，不能进行“%(event)s”"), state=source, event=event
        )
    return found


def events_from(source: PartState) -> tuple[PartEvent, ...]:
    """What may happen next."""
    return tuple(transition.event for transition in TRANSITIONS if transition.source is source)
