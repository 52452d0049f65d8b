"""The states of an order part, as a pure table: no I/O, nothing but who may move what where.

An order over several cooperatives has one part for each; the part is what is confirmed, shipped, received and
accepted. Paying is a second dimension (`OrderPart.paid_at`): staff pay before the goods move, canteens after they
accepted them. An invoice and an evaluation leave the state as it is, and stand in the part's history.

What is rejected at the inspection waits for the cooperative, which takes it off the bill, sends other goods, or
contests it; a contested rejection ends by either side giving way, or by the county's word.
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
    PART_REJECTED = "part_rejected", N_("有拒收待处理")
    DISPUTED = "disputed", N_("争议处理中")
    ACCEPTED = "accepted", N_("已验收")
    RETURNED = "returned", N_("已全部退货")
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
    DEEM_ACCEPTED = "deem_accepted", N_("逾期未验视为验收")
    REJECT_GOODS = "reject_goods", N_("验收并拒收部分商品")
    AGREE_REJECTION = "agree_rejection", N_("同意拒收并扣减货款")
    AGREE_RETURN = "agree_return", N_("同意全部退货")
    REPLACE = "replace", N_("补发换货")
    CONTEST = "contest", N_("对拒收提出异议")
    WITHDRAW_REJECTION = "withdraw_rejection", N_("撤回拒收")
    INVOICE = "invoice", N_("开具发票")
    EVALUATE = "evaluate", N_("评价完成")


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
SELLERS = frozenset({P.FULFIL_ORDERS})
MEDIATORS = frozenset({P.MEDIATE_DISPUTES})
TRANSITIONS: tuple[Transition, ...] = (
    Transition(E.APPROVE, S.AWAITING_APPROVAL, S.PLACED, frozenset({P.APPROVE_ORDERS})),
    Transition(E.REJECT, S.AWAITING_APPROVAL, S.CANCELLED, frozenset({P.APPROVE_ORDERS})),
    Transition(E.CANCEL, S.AWAITING_APPROVAL, S.CANCELLED, BUYERS),
    Transition(E.PAY, S.AWAITING_PAYMENT, S.PLACED, frozenset()),
    Transition(E.EXPIRE, S.AWAITING_PAYMENT, S.CANCELLED, frozenset()),
    Transition(E.CANCEL, S.AWAITING_PAYMENT, S.CANCELLED, BUYERS),
    Transition(E.CONFIRM, S.PLACED, S.CONFIRMED, SELLERS),
    Transition(E.DECLINE, S.PLACED, S.CANCELLED, SELLERS),
    Transition(E.DECLINE, S.CONFIRMED, S.CANCELLED, SELLERS),
    Transition(E.SHIP, S.CONFIRMED, S.SHIPPED, SELLERS),
    Transition(E.RECEIVE, S.SHIPPED, S.RECEIVED, RECEIVERS),
    Transition(E.ACCEPT, S.RECEIVED, S.ACCEPTED, RECEIVERS),
    Transition(E.DEEM_ACCEPTED, S.RECEIVED, S.ACCEPTED, frozenset()),
    Transition(E.REJECT_GOODS, S.RECEIVED, S.PART_REJECTED, RECEIVERS),
    Transition(E.AGREE_REJECTION, S.PART_REJECTED, S.ACCEPTED, SELLERS),
    Transition(E.AGREE_RETURN, S.PART_REJECTED, S.RETURNED, SELLERS),
    Transition(E.REPLACE, S.PART_REJECTED, S.SHIPPED, SELLERS),
    Transition(E.CONTEST, S.PART_REJECTED, S.DISPUTED, SELLERS),
    Transition(E.WITHDRAW_REJECTION, S.PART_REJECTED, S.ACCEPTED, RECEIVERS),
    Transition(E.AGREE_REJECTION, S.DISPUTED, S.ACCEPTED, SELLERS | MEDIATORS),
    Transition(E.AGREE_RETURN, S.DISPUTED, S.RETURNED, SELLERS | MEDIATORS),
    Transition(E.WITHDRAW_REJECTION, S.DISPUTED, S.ACCEPTED, RECEIVERS | MEDIATORS),
    Transition(E.INVOICE, S.ACCEPTED, S.ACCEPTED, SELLERS),
    Transition(E.EVALUATE, S.ACCEPTED, S.ACCEPTED, RECEIVERS),
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


def duties_of(event: PartEvent) -> frozenset[Permission]:
    """Everybody whom the table lets make `event`, from whichever state."""
    return frozenset().union(*(one.permissions for one in TRANSITIONS if one.event is event))


def events_from(source: PartState) -> tuple[PartEvent, ...]:
    """What may happen next."""
    return tuple(transition.event for transition in TRANSITIONS if transition.source is source)
