"""Refunds: buyers ask with a reason, cooperatives agree or decline, the cashier sends the money back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import count

from sqlalchemy import exists, select

from marketplace.demo.entry import Seller
from marketplace.demo.founding import Canteen
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import User
from marketplace.ordering.models import OrderKind, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.gateways.protocol import RefundMade, RefundState as ProviderState
from marketplace.payments.models import PaymentMethod, Settlement
from marketplace.payments.refunds.models import Refund, RefundLine, RefundState
from marketplace.payments.refunds.rules import agree_refund, ask_refund, decline_refund
from marketplace.payments.refunds.sending import keep_answer, mark_returned
from marketplace.payments.vouchers.models import Voucher

PARTIAL_AGO, AGAIN_AGO, WHOLE_AGO, DECLINED_AGO, WAITING_AGO = 40, 28, 25, 22, 2
BROKEN, MOULDY = "到货时有几件外箱压坏，里面的货不能用", "同一批又挑出发霉的，请再退这几件"
WRONG, LATE = "收到的规格与下单的不符，整行退货", "送货比约定晚了两天，请退一部分货款"
SHORT = "验收后复称发现短秤，请退短少的部分"
DECLINED = "送货单上有贵单位当天的签收时间，没有迟到"


class Aftersales:
    """Plays the refunds of the demo's year."""

    def __init__(
        self, world: World, sellers: Sequence[Seller], canteens: Sequence[Canteen], staff: Sequence[User]
    ) -> None:
        self.world = world
        self.sellers = sellers
        self.canteens = canteens
        self.staff = staff
        self._keys = count(1)
        self._line: OrderLine | None = None
        self._used: set[int] = set()

    def plan(self) -> None:
        """Plan two refunds of one line, one of a whole line, one that is declined and one that waits."""
        for ago, deed in (
            (PARTIAL_AGO, partial(self.refund_some, 1, BROKEN)),
            (AGAIN_AGO, partial(self.refund_some, 2, MOULDY)),
            (WHOLE_AGO, self.refund_whole),
            (DECLINED_AGO, self.decline),
            (WAITING_AGO, self.ask_only),
        ):
            self.world.timeline.at(at_hour(self.world.last_on - timedelta(days=ago), 14), deed)

    def call_off(self, part: OrderPart, buyer: Actor) -> None:
        """A buyer who paid asks everything back before it is shipped."""
        quantities = {line.public_no: line.quantity for line in part.lines}
        reason = "家里临时出远门，收不了货"
        refund = ask_refund(
            self.world.session,
            buyer,
            part=part,
            quantities=quantities,
            reason=reason,
            idempotency_key=self._key(),
        )
        self._agree(refund)

    def refund_some(self, quantity: int, reason: str) -> None:
        """Some units of one and the same settled line."""
        if self._line is None:
            self._line = next((line for line in self._settled() if line.quantity > 3), None)
        if self._line is not None:
            refund = self._ask(self._line, quantity, reason)
            self._agree(refund, is_sent=quantity == 1)

    def refund_whole(self) -> None:
        """All units of another settled line."""
        line = next(iter(self._settled()), None)
        if line is not None:
            self._agree(self._ask(line, line.quantity, WRONG))

    def decline(self) -> None:
        """A refund the cooperative does not agree to."""
        line = next(iter(self._settled()), None)
        if line is not None:
            refund = self._ask(line, 1, LATE)
            decline_refund(self.world.session, self._seller_of(refund).clerking, refund, reason=DECLINED)

    def ask_only(self) -> None:
        """A refund that the first cooperative has not answered: of a delivery its unit has not paid yet."""
        query = (
            select(OrderLine)
            .join(OrderLine.part)
            .where(
                OrderPart.cooperative_id == self.sellers[0].cooperative.id,
                OrderPart.state == PartState.ACCEPTED,
                OrderLine.id.not_in(self._used),
            )
            .order_by(OrderLine.id.desc())
        )
        lines = self.world.session.scalars(query).all()
        of_units = (line for line in lines if line.part.order.kind is OrderKind.CANTEEN)
        self._ask(next(of_units), 1, SHORT)

    # --- the two sides ---

    def _settled(self) -> list[OrderLine]:
        """Settled lines nothing was asked back of and no voucher paid, those of the first cooperative first."""
        query = (
            select(OrderLine)
            .join(Settlement, Settlement.line_id == OrderLine.id)
            .where(
                OrderLine.id.not_in(self._used),
                ~exists().where(RefundLine.line_id == OrderLine.id),
                ~exists().where(Voucher.order_id == OrderLine.order_id),
                Settlement.pool_fen > 0,
            )
            .order_by(Settlement.cooperative_id, OrderLine.id)
            .limit(20)
        )
        return list(self.world.session.scalars(query))

    def _ask(self, line: OrderLine, quantity: int, reason: str) -> Refund:
        self._used.add(line.id)
        return ask_refund(
            self.world.session,
            self._buyer_of(line.part),
            part=line.part,
            quantities={line.public_no: quantity},
            reason=reason,
            idempotency_key=self._key(),
        )

    def _key(self) -> str:
        return f"demo-refund-{next(self._keys)}"

    def _buyer_of(self, part: OrderPart) -> Actor:
        order = part.order
        if order.kind is OrderKind.CANTEEN:
            unit = next(one for one in self.canteens if one.unit.id == order.buyer_unit_id)
            return unit.acting("receiver")
        return actor_of(next(one for one in self.staff if one.id == order.buyer_user_id))

    def _seller_of(self, refund: Refund) -> Seller:
        return next(one for one in self.sellers if one.cooperative.id == refund.cooperative_id)

    def _agree(self, refund: Refund, *, is_sent: bool = True) -> None:
        """The cooperative agrees, and the money goes back, by card or by the cashier's hands."""
        agree_refund(self.world.session, self._seller_of(refund).clerking, refund, note="情况属实")
        if refund.state is not RefundState.AGREED:
            return
        if refund.method is PaymentMethod.CARD:
            ref = f"re_demo{refund.id:06d}"
            made = RefundMade(ref, "pi_demo", refund.own_fen, ProviderState.DONE)
            keep_answer(self.world.session, refund.id, made)
        elif is_sent:
            mark_returned(
                self.world.session, self.world.operating, refund, serial_no=f"TK{next(self._keys):08d}"
            )
