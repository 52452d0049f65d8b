"""Who gets the money of an agreed refund, by which way, and in which order, to the fen.

    1  what a lost dispute took back already    to nobody again; it stays with the cooperative, which bore it
    2  the buyer's own money                    as it came: by the gateway, or by the cashier's hands
    3  what vouchers paid                       to the unit that bought them, by the cashier's hands

Each source gives at most what it paid of the part and has not given back; what is asked beyond that is refused. The
shares of a payment are kept as a chain, so that the database refuses it too. See docs/decisions,
"a-refund-takes-the-buyers-own-money-first".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.ordering.models import OrderPart
from marketplace.payments.disputes.queries import lost_of_part
from marketplace.payments.models import Payment, PaymentMethod, PaymentState
from marketplace.payments.refunds.models import Refund, RefundShare, RefundState
from marketplace.payments.vouchers.models import Voucher
from marketplace.payments.vouchers.spending import paid_with_vouchers

GONE_BACK = (RefundState.AGREED, RefundState.SENT, RefundState.FAILED, RefundState.RETURNED)


@dataclass(frozen=True)
class Sources:
    """Fen of a part, or of a refund of it, by where they come from: lost in a dispute, the buyer's own, vouchers'."""

    lost_fen: int
    own_fen: int
    voucher_fen: int

    @property
    def total_fen(self) -> int:
        """All of it."""
        return self.lost_fen + self.own_fen + self.voucher_fen


def take_from(sources: Sources, amount_fen: int) -> Sources:
    """What each source gives for `amount_fen`: one after another, in the order above, never more than it has.

    Raises Conflict when all of them have less.
    """
    if amount_fen > sources.total_fen:
        raise Conflict(
            "more_than_paid",
            N_("这笔订单收到的货款只剩 ¥%(left)s 可以退，要退的是 ¥%(asked)s；请核对退款和付款争议的记录"),
            left=format_yuan(sources.total_fen),
            asked=format_yuan(amount_fen),
        )
    lost_fen = min(amount_fen, sources.lost_fen)
    own_fen = min(amount_fen - lost_fen, sources.own_fen)
    return Sources(lost_fen, own_fen, amount_fen - lost_fen - own_fen)


def spread(pots: Sequence[int], amounts: Sequence[int]) -> list[list[int]]:
    """Fill `amounts` from `pots`, both in their order; row by row what each pot gives. The sums of both are equal."""
    left, rows = list(pots), []
    for amount in amounts:
        row = []
        for place, pot in enumerate(left):
            given = min(pot, amount - sum(row))
            left[place] -= given
            row.append(given)
        rows.append(row)
    return rows


def left_of(session: Session, part: OrderPart, payment: Payment) -> Sources:
    """What of the money of a part, whose payment has come and is held, has not gone back."""
    back = select(
        func.coalesce(func.sum(Refund.own_fen), 0), func.coalesce(func.sum(Refund.voucher_fen), 0)
    ).where(Refund.part_id == part.id, Refund.state.in_(GONE_BACK))
    own_back, voucher_back = session.execute(back).one()
    by_vouchers = paid_with_vouchers(session, part)
    own_fen = paid_for(session, part, payment) - by_vouchers - int(own_back) - lost_of_part(session, part.id)
    return Sources(0, max(0, own_fen), by_vouchers - int(voucher_back))


def paid_for(session: Session, part: OrderPart, payment: Payment) -> int:
    """What was paid for a part in all, in fen: goods and freight, less what came off a unit's bill before it paid."""
    if payment.part_id is None:
        return part.total_fen + part.freight_fen
    off = select(func.coalesce(func.sum(Refund.amount_fen), 0)).where(
        Refund.part_id == part.id, Refund.state == RefundState.REDUCED
    )
    return part.total_fen - int(session.scalar(off) or 0)


def send_back(session: Session, refund: Refund, payment: Payment, *, lost_fen: int = 0) -> None:
    """Agree to send a refund back, of a part whose payment has come and is held. `lost_fen` of it a dispute took.

    Raises Conflict when more is to go back than is left of what was paid.
    """
    part = session.get_one(OrderPart, refund.part_id)
    with session.no_autoflush:  # the row is whole again only with its state
        left = left_of(session, part, payment)
        taken = take_from(Sources(lost_fen, left.own_fen, left.voucher_fen), refund.total_fen)
        shares = _shares_of(session, part, payment, taken)
    refund.voucher_fen, refund.lost_fen = taken.voucher_fen, taken.lost_fen
    only_vouchers = taken.voucher_fen and not taken.own_fen
    refund.method = PaymentMethod.VOUCHER if only_vouchers else payment.method
    refund.state, refund.payment_id = RefundState.AGREED, payment.id
    if taken.lost_fen == taken.total_fen:
        refund.state, refund.returned_at = RefundState.RETURNED, now()
    refund.shares = shares


def _shares_of(session: Session, part: OrderPart, payment: Payment, taken: Sources) -> list[RefundShare]:
    """The links that a refund adds to the chains of the payments it comes out of."""
    shares = []
    if taken.own_fen:
        shares.append(_link(session, payment, taken.own_fen, paid_fen=_paid_by(session, part, payment)))
    if taken.voucher_fen:
        source = _voucher_payment(session, payment)
        link = _link(session, source, taken.voucher_fen, paid_fen=_paid_by(session, part, source))
        link.buyer_unit_id = _unit_behind(session, part)
        shares.append(link)
    return shares


def _paid_by(session: Session, part: OrderPart, payment: Payment) -> int:
    """What a payment brought; of a unit's bill, with what a deposit or a voucher paid of it."""
    return payment.amount_fen if payment.part_id is None else paid_for(session, part, payment)


def _link(session: Session, payment: Payment, amount_fen: int, *, paid_fen: int) -> RefundShare:
    last = select(func.max(RefundShare.after_fen)).where(RefundShare.payment_id == payment.id)
    before_fen = session.scalar(last) or 0
    return RefundShare(
        payment_id=payment.id,
        payment_fen=payment.amount_fen if payment.part_id is None else None,
        paid_fen=paid_fen,
        before_fen=before_fen,
        follows_fen=before_fen or None,
        amount_fen=amount_fen,
        after_fen=before_fen + amount_fen,
    )


def _voucher_payment(session: Session, payment: Payment) -> Payment:
    """What vouchers paid of an order is a payment of its own; the bill of what was picked up they paid itself."""
    if payment.part_id is not None or payment.method is PaymentMethod.VOUCHER:
        return payment
    query = select(Payment).where(
        Payment.order_id == payment.order_id,
        Payment.method == PaymentMethod.VOUCHER,
        Payment.state == PaymentState.PAID,
    )
    return session.scalars(query).one()


def _unit_behind(session: Session, part: OrderPart) -> int:
    """The unit whose vouchers paid for a part: of one part they are of one unit."""
    query = select(Voucher).where(
        Voucher.order_id == part.order_id,
        Voucher.cooperative_id == part.cooperative_id,
        Voucher.used_fen > 0,
    )
    return session.scalars(query.limit(1)).one().batch.buyer_unit_id
