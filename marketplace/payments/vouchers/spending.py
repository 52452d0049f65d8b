"""Paying a staff order with vouchers, in whole or in part, at the step between placing it and paying the rest by card.

Entering codes promises the vouchers to the order, each once. They pay when the order is paid in full: at once when they
cover everything, else with the card payment of the rest. An order that is called off before lets them go. No change is
given: what a voucher is worth beyond its part goes back to the unit that bought it when the batch ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.rules import mark_paid
from marketplace.ordering.states import PartState
from marketplace.payments.models import Payment, PaymentMethod, PaymentState
from marketplace.payments.vouchers.models import Voucher, VoucherBatch, VoucherSpend, VoucherState
from marketplace.payments.vouchers.posting import post_spent
from marketplace.payments.vouchers.rules import hash_of, note_batch

MOST_CODES = 20
MOST_ORDERS = 20
SHOWN = 4  # characters of a code that a message repeats
BATCH = 200


@dataclass(frozen=True)
class Cover:
    """What a voucher would pay of a part, in fen."""

    voucher: Voucher
    part: OrderPart
    amount_fen: int


def price_vouchers(
    session: Session, actor: Actor, order: Order, *, codes: Sequence[str], key: DataKey
) -> list[Cover]:
    """What the vouchers of these codes would pay of an order of the actor's that waits for payment. Everything is held.

    Raises NotFound for somebody else's order; Conflict when it does not wait for payment, when paying by card has
    begun, or when a voucher was used or has lapsed; Refused, naming the code, when it is unknown, typed twice, of a
    cooperative that sells nothing of the order, of another unit than the vouchers before, or not needed any more.
    """
    parts = _parts_to_pay(session, actor, order)
    found = _vouchers_of(session, codes, key)
    left = _left_of(session, parts)
    units = _units_behind(session, parts)
    covers: list[Cover] = []
    for code, voucher in found:
        part = next((one for one in parts if one.cooperative_id == voucher.cooperative_id), None)
        end = code[-SHOWN:]
        if part is None:
            raise Refused(
                "voucher_elsewhere",
                N_("尾号 %(end)s 的券只能买“%(cooperative)s”的商品，这张订单里没有"),
                field="codes",
                end=end,
                cooperative=voucher.batch.cooperative.name,
            )
        if units.setdefault(part.id, voucher.batch.buyer_unit_id) != voucher.batch.buyer_unit_id:
            raise Refused(
                "voucher_units",
                N_("尾号 %(end)s 的券和前面的券不是同一家单位购买的，请分开下单"),
                field="codes",
                end=end,
            )
        amount_fen = min(voucher.face_fen, left[part.id])
        if not amount_fen:
            raise Refused(
                "voucher_spare",
                N_("尾号 %(end)s 的券用不上：这家合作社的商品已经够付，请去掉它"),
                field="codes",
                end=end,
            )
        left[part.id] -= amount_fen
        covers.append(Cover(voucher, part, amount_fen))
    return covers


def spend_vouchers(
    session: Session, actor: Actor, order: Order, *, codes: Sequence[str], key: DataKey
) -> list[VoucherSpend]:
    """Promise vouchers to an order; when they cover all of it, it is paid. All of them, or none. Raises as
    `price_vouchers`."""
    covers = price_vouchers(session, actor, order, codes=codes, key=key)
    spends = [_promise(session, actor, order, cover) for cover in covers]
    if sum(promised_fen(session, [order.id]).values()) == order.total_fen:
        payment = pay_from_vouchers(session, order, at=now())
        for part in order.parts if payment else ():
            mark_paid(session, SYSTEM, part, at=payment.paid_at)
    return spends


def _parts_to_pay(session: Session, actor: Actor, order: Order) -> list[OrderPart]:
    """The parts of an own order that waits for payment, held against a second mover."""
    if order.buyer_user_id != actor.user_id or order.kind is not OrderKind.PERSONAL:
        raise NotFound
    actor.require(Permission.BUY_PERSONALLY)
    own = select(OrderPart).where(OrderPart.order_id == order.id).order_by(OrderPart.id)
    held = own.with_for_update(of=OrderPart).execution_options(populate_existing=True)
    parts = list(session.scalars(held).unique())
    if any(part.state is not PartState.AWAITING_PAYMENT for part in parts):
        raise Conflict("not_payable", N_("这张订单现在不需要付款，请查看订单状态"))
    begun = select(Payment.id).where(Payment.order_id == order.id, Payment.state == PaymentState.OPEN)
    if session.scalar(begun.limit(1)) is not None:
        raise Conflict("card_begun", N_("这张订单已经开始在线付款，不能再加提货券；请付完，或取消后重新下单"))
    return parts


def _vouchers_of(session: Session, codes: Sequence[str], key: DataKey) -> list[tuple[str, Voucher]]:
    """The vouchers of codes as they were typed, good now and held: first their batches, then they."""
    typed = ["".join(one for one in code.upper() if one.isalnum()) for code in codes]
    typed = [code for code in typed if code]
    if not 1 <= len(typed) <= MOST_CODES:
        raise Refused(
            "voucher_count", N_("请输入券码，每行一个，一次最多 %(most)s 个"), field="codes", most=MOST_CODES
        )
    hashes = [hash_of(code, key) for code in typed]
    batches = select(Voucher.batch_id).where(Voucher.code_hash.in_(hashes))
    session.execute(
        select(VoucherBatch.id)
        .where(VoucherBatch.id.in_(batches))
        .order_by(VoucherBatch.id)
        .with_for_update(of=VoucherBatch)
    ).all()
    rows = session.scalars(
        select(Voucher)
        .where(Voucher.code_hash.in_(hashes))
        .order_by(Voucher.id)
        .with_for_update(of=Voucher)
        .execution_options(populate_existing=True)
    )
    by_hash = {voucher.code_hash: voucher for voucher in rows}
    found: list[tuple[str, Voucher]] = []
    for code, hashed in zip(typed, hashes, strict=True):
        voucher = by_hash.get(hashed)
        _require_good(code[-SHOWN:], voucher, is_twice=any(one is voucher for _, one in found))
        found.append((code, voucher))
    return found


def _require_good(end: str, voucher: Voucher | None, *, is_twice: bool) -> None:
    """Raise unless a voucher may be used now."""
    if voucher is None:
        raise Refused("voucher_unknown", N_("没有尾号 %(end)s 的券，请核对券码"), field="codes", end=end)
    if is_twice:
        raise Refused("voucher_twice", N_("尾号 %(end)s 的券填了两次"), field="codes", end=end)
    if voucher.state is VoucherState.REDEEMED:
        raise Conflict(
            "voucher_redeemed", N_("尾号 %(end)s 的券已经使用过，不能再用"), field="codes", end=end
        )
    if voucher.state is VoucherState.LAPSED or voucher.batch.valid_until < today():
        raise Conflict(
            "voucher_lapsed", N_("尾号 %(end)s 的券已过有效期，余款退回购券单位"), field="codes", end=end
        )


def _left_of(session: Session, parts: Sequence[OrderPart]) -> dict[int, int]:
    """What no voucher was promised to yet, in fen by part id."""
    query = (
        select(VoucherSpend.part_id, func.sum(VoucherSpend.amount_fen))
        .where(VoucherSpend.part_id.in_([part.id for part in parts]))
        .group_by(VoucherSpend.part_id)
    )
    taken = {part_id: int(fen) for part_id, fen in session.execute(query)}
    return {part.id: part.total_fen - taken.get(part.id, 0) for part in parts}


def _units_behind(session: Session, parts: Sequence[OrderPart]) -> dict[int, int]:
    """The unit that bought the vouchers promised to each part, by part id."""
    query = (
        select(VoucherSpend.part_id, VoucherSpend.buyer_unit_id)
        .where(VoucherSpend.part_id.in_([part.id for part in parts]))
        .distinct()
    )
    return dict(session.execute(query).all())


def _promise(session: Session, actor: Actor, order: Order, cover: Cover) -> VoucherSpend:
    voucher, part = cover.voucher, cover.part
    last = select(func.max(VoucherSpend.after_fen)).where(VoucherSpend.part_id == part.id)
    before_fen = session.scalar(last) or 0
    spend = VoucherSpend(
        voucher=voucher,
        part=part,
        cooperative_id=part.cooperative_id,
        buyer_unit_id=voucher.batch.buyer_unit_id,
        face_fen=voucher.face_fen,
        part_fen=part.total_fen,
        before_fen=before_fen,
        follows_fen=before_fen or None,
        amount_fen=cover.amount_fen,
        after_fen=before_fen + cover.amount_fen,
        spent_by=actor.user_id,
    )
    voucher.state, voucher.order_id = VoucherState.REDEEMED, order.id
    voucher.redeemed_at, voucher.redeemed_by = now(), actor.user_id
    session.add(spend)
    note_batch(session, actor, voucher.batch, "spend_voucher")
    return spend


def voucher_of(session: Session, actor: Actor, code: str, *, key: DataKey) -> Voucher:
    """The voucher of a code, when it is good now, for somebody who may buy with it. Raises as `price_vouchers`."""
    actor.require(Permission.BUY_PERSONALLY)
    [(_, voucher)] = _vouchers_of(session, [code], key)
    return voucher


def orders_to_pay_with(session: Session, actor: Actor, voucher: Voucher) -> Sequence[Order]:
    """The actor's own orders that wait for payment and hold goods of the voucher's cooperative, newest first."""
    begun = select(Payment.id).where(Payment.order_id == Order.id, Payment.state == PaymentState.OPEN)
    query = (
        select(Order)
        .join(OrderPart, OrderPart.order_id == Order.id)
        .where(
            Order.buyer_user_id == actor.user_id,
            Order.kind == OrderKind.PERSONAL,
            OrderPart.cooperative_id == voucher.cooperative_id,
            OrderPart.state == PartState.AWAITING_PAYMENT,
            ~begun.exists(),
        )
        .order_by(Order.id.desc())
        .limit(MOST_ORDERS)
    )
    return session.scalars(query).unique().all()


def spends_on(session: Session, order_ids: Collection[int]) -> Sequence[VoucherSpend]:
    """The vouchers that are promised to these orders, or paid for them, in the order they were entered."""
    query = (
        select(VoucherSpend)
        .join(OrderPart, OrderPart.id == VoucherSpend.part_id)
        .where(OrderPart.order_id.in_(order_ids), VoucherSpend.released_at.is_(None))
        .order_by(VoucherSpend.id)
        .options(joinedload(VoucherSpend.voucher))
    )
    return session.scalars(query).all()


def promised_fen(session: Session, order_ids: Collection[int]) -> dict[int, int]:
    """What vouchers pay of each part of these orders, in fen by part id; parts without are left out."""
    found: dict[int, int] = {}
    for spend in spends_on(session, order_ids):
        found[spend.part_id] = found.get(spend.part_id, 0) + spend.amount_fen
    return found


def pay_from_vouchers(session: Session, order: Order, *, at: datetime) -> Payment | None:
    """Let the vouchers promised to an order pay their parts of it: one payment, posted. For who has seen that the rest
    is paid and holds the order's parts. None when there are no vouchers."""
    spends = [one for one in spends_on(session, [order.id]) if one.payment_id is None]
    if not spends:
        return None
    payment = Payment(
        order_id=order.id,
        method=PaymentMethod.VOUCHER,
        state=PaymentState.PAID,
        amount_fen=sum(one.amount_fen for one in spends),
        paid_at=at,
    )
    session.add(payment)
    session.flush()
    batches = {one.voucher.batch_id for one in spends}
    held = select(VoucherBatch).where(VoucherBatch.id.in_(batches)).order_by(VoucherBatch.id)
    session.scalars(
        held.with_for_update(of=VoucherBatch).execution_options(populate_existing=True)
    ).unique().all()
    for spend in spends:
        voucher = spend.voucher
        spend.payment_id = payment.id
        voucher.used_fen, voucher.set_off_at = spend.amount_fen, at
        voucher.batch.used_fen += spend.amount_fen
        post_spent(session, spend, payment)
        note_batch(session, SYSTEM, voucher.batch, "set_off_voucher")
    return payment


def release_vouchers(session: Session) -> int:
    """Let go what was promised to orders that were called off before they were paid; returns how many vouchers are good
    again. A sweep, safe to repeat and to run from two workers."""
    due = session.scalars(
        select(VoucherSpend)
        .join(OrderPart, OrderPart.id == VoucherSpend.part_id)
        .where(
            VoucherSpend.payment_id.is_(None),
            VoucherSpend.released_at.is_(None),
            OrderPart.state == PartState.CANCELLED,
        )
        .order_by(VoucherSpend.id)
        .limit(BATCH)
        .with_for_update(of=VoucherSpend, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    for spend in due:
        voucher = spend.voucher
        spend.released_at = now()
        voucher.state, voucher.order_id = VoucherState.ISSUED, None
        voucher.redeemed_at = voucher.redeemed_by = None
        note_batch(session, SYSTEM, voucher.batch, "release_voucher")
    return len(due)


def paid_with_vouchers(session: Session, part: OrderPart) -> int:
    """What vouchers paid of a part, online or at the counter, in fen."""
    used = func.coalesce(func.sum(Voucher.used_fen), 0)
    query = select(used).where(
        Voucher.order_id == part.order_id, Voucher.cooperative_id == part.cooperative_id
    )
    return int(session.scalar(query) or 0)
