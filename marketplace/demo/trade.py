"""Orders as they happen: placed, approved or paid, confirmed, shipped, received, accepted; and those that go wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from marketplace.core import clock
from marketplace.demo.carriage import address_of
from marketplace.demo.entry import Seller
from marketplace.demo.founding import Canteen
from marketplace.demo.inspections import Ramp
from marketplace.demo.plan import AtRamp, Fate, PlannedOrder
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import User
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.rules import (
    Delivery,
    cancel_order,
    confirm_part,
    decline_part,
    place_order,
    ship_part,
)
from marketplace.ordering.states import PartEvent
from marketplace.payments.gateways.protocol import CheckoutOpened
from marketplace.payments.gateways.stripe_gateway import StripeGateway
from marketplace.payments.models import Payment
from marketplace.payments.notices import apply_notices, take_notice
from marketplace.payments.rules import ask_card_payment, cancel_payments, keep_checkout
from marketplace.payments.stripe_emulator.webhooks import signature_header
from marketplace.procurement.rules import approve_order, reject_order

CARRIERS = ("自送", "邮政快递", "县域共配")
REASONS_TO_DECLINE = ("连日降雨，鲜货采收不上来", "本批已全部预订，下批十天后到货")
REASONS_TO_REJECT = ("本周菜单有调整，请合并到下周采购", "数量超过本周用量，请核减后重报")
CURRENCY = "cny"


class Trade:
    """Plays planned orders on the timeline. Cooperatives are found by their id once they have one."""

    def __init__(
        self,
        world: World,
        sellers: Sequence[Seller],
        canteens: Sequence[Canteen],
        staff: Sequence[User],
        call_off: Callable[[OrderPart, Actor], None],
    ) -> None:
        self.world = world
        self.sellers = sellers
        self.canteens = canteens
        self.staff = staff
        self.call_off = call_off
        self.ramp = Ramp(world)
        self.unpaid_parts: set[int] = set()
        self._notices = count(1)
        self._gateway = StripeGateway(
            "sk_test_demo", world.tools.webhook_secret
        )  # reads messages; calls nobody

    def plan(self, orders: Sequence[PlannedOrder]) -> None:
        """Plan the placing of each order; the rest follows from it."""
        self.ramp.open(self.canteens[0])
        for planned in orders:
            self.world.timeline.at(planned.at, partial(self.place, planned))

    def place(self, planned: PlannedOrder) -> None:
        """Place an order and plan what comes next."""
        buyer, delivery = self._buyer(planned)
        order = place_order(
            self.world.session,
            buyer,
            kind=planned.kind,
            idempotency_key=f"demo-order-{planned.number}",
            lines=[(wanted.good.offered.public_no, wanted.quantity) for wanted in planned.wanted],
            delivery=delivery,
            carriage=Carriage(delivery.region_code or "") if planned.kind is OrderKind.PERSONAL else None,
        )
        if planned.kind is OrderKind.CANTEEN:
            self._go_on_at_canteen(planned, order)
        else:
            self._go_on_with_card(planned, order, buyer)

    def _buyer(self, planned: PlannedOrder) -> tuple[Actor, Delivery]:
        if planned.kind is OrderKind.CANTEEN:
            canteen = self.canteens[planned.buyer]
            unit, receiver = canteen.unit, canteen.people["receiver"]
            return canteen.acting("orderer"), Delivery(
                receiver.display_name, unit.contact_phone, unit.address
            )
        user = self.staff[planned.buyer]
        place = address_of(user, planned.buyer, self.sellers[0].county_code)
        return actor_of(user), Delivery(**vars(place))

    def _then(
        self, planned: PlannedOrder, event: PartEvent, at: datetime, deed: Callable[[], object]
    ) -> None:
        """Plan a step unless the order is to be held before it."""
        if planned.stops_before is not event:
            self.world.timeline.at(at, deed)

    # --- a canteen's order ---

    def _go_on_at_canteen(self, planned: PlannedOrder, order: Order) -> None:
        now, canteen = clock.now(), self.canteens[planned.buyer]
        at = self.world.later(now, self.world.random.choice((0, 0, 1)))
        if planned.fate is Fate.CANCELLED:
            self.world.timeline.at(
                at, partial(self._cancel, order, canteen.acting("orderer"), "食堂停伙，取消采购")
            )
        elif planned.fate is Fate.REJECTED:
            self.world.timeline.at(at, partial(self._reject, order, canteen.acting("approver")))
        else:
            self._then(planned, PartEvent.APPROVE, at, partial(self._approve, planned, order, canteen))

    def _cancel(self, order: Order, actor: Actor, reason: str) -> None:
        cancel_order(self.world.session, actor, order, reason=reason)
        cancel_payments(self.world.session, order)

    def _reject(self, order: Order, approver: Actor) -> None:
        reject_order(self.world.session, approver, order, reason=self.world.random.choice(REASONS_TO_REJECT))

    def _approve(self, planned: PlannedOrder, order: Order, canteen: Canteen) -> None:
        approve_order(self.world.session, canteen.acting("approver"), order)
        for part in order.parts:
            self._deliver(planned, part, canteen.acting("receiver"))

    # --- a person's order ---

    def _go_on_with_card(self, planned: PlannedOrder, order: Order, buyer: Actor) -> None:
        now, random = clock.now(), self.world.random
        payment = ask_card_payment(self.world.session, buyer, order=order)
        if planned.stops_before is PartEvent.PAY:
            return
        if planned.fate is Fate.CANCELLED:
            at = now + timedelta(minutes=random.randrange(5, 40))
            self.world.timeline.at(at, partial(self._cancel, order, buyer, "拍错了数量"))
            return
        expires_at = payment.expires_at or now
        key = f"cs_test_demo{planned.number:06d}"
        keep_checkout(self.world.session, payment.id, CheckoutOpened(key, "", expires_at))
        if planned.fate is Fate.ABANDONED:
            self.world.timeline.at(
                expires_at, partial(self._hear, planned, payment, "checkout.session.expired")
            )
            return
        at = now + timedelta(minutes=random.randrange(2, 12))
        self.world.timeline.at(at, partial(self._pay, planned, order, payment, buyer))

    def _pay(self, planned: PlannedOrder, order: Order, payment: Payment, buyer: Actor) -> None:
        self._hear(planned, payment, "checkout.session.completed")
        for part in order.parts:
            self._deliver(planned, part, buyer)

    def _hear(self, planned: PlannedOrder, payment: Payment, kind: str) -> None:
        """Take in a message as the card provider sends it, signed, and apply it."""
        self.hear_of(
            kind,
            f"cs_test_demo{planned.number:06d}",
            reference=payment.public_no,
            amount_fen=payment.amount_fen,
        )
        apply_notices(self.world.session)

    def hear_of(self, kind: str, checkout: str, *, reference: str, amount_fen: int) -> None:
        """Take in one signed message about a checkout."""
        is_paid = kind == "checkout.session.completed"
        message = {
            "id": f"evt_demo{next(self._notices):06d}",
            "object": "event",
            "type": kind,
            "created": int(clock.now().timestamp()),
            "livemode": False,
            "data": {
                "object": {
                    "id": checkout,
                    "object": "checkout.session",
                    "amount_total": amount_fen,
                    "client_reference_id": reference,
                    "currency": CURRENCY,
                    "metadata": {"reference": reference},
                    "payment_intent": checkout.replace("cs_test_", "pi_") if is_paid else None,
                    "payment_status": "paid" if is_paid else "unpaid",
                    "status": "complete" if is_paid else "expired",
                }
            },
        }
        body = json.dumps(message, ensure_ascii=False).encode()
        signature = signature_header(body, self.world.tools.webhook_secret, int(time.time()))
        take_notice(self.world.session, self._gateway, payload=body, signature=signature)

    # --- one cooperative's part ---

    def _seller_of(self, part: OrderPart) -> Seller:
        return next(one for one in self.sellers if one.cooperative.id == part.cooperative_id)

    def _deliver(self, planned: PlannedOrder, part: OrderPart, receiver: Actor) -> None:
        """Plan the cooperative's and the receiver's steps for a part that is to be delivered."""
        seller = self._seller_of(part)
        at = self.world.later(clock.now(), self.world.random.choice((0, 0, 1)))
        if planned.fate is Fate.DECLINED:
            reason = self.world.random.choice(REASONS_TO_DECLINE)
            deed: Callable[[], object] = partial(
                decline_part, self.world.session, seller.acting, part, reason=reason
            )
            self.world.timeline.at(at, deed)
            return
        self._then(planned, PartEvent.CONFIRM, at, partial(self._confirm, planned, part, seller, receiver))

    def _confirm(self, planned: PlannedOrder, part: OrderPart, seller: Seller, receiver: Actor) -> None:
        confirm_part(self.world.session, seller.clerking, part)
        if planned.fate is Fate.CALLED_OFF:
            at = self.world.later(clock.now(), 0)
            self.world.timeline.at(at, partial(self.call_off, part, receiver))
            return
        at = self.world.later(clock.now(), self.world.random.choice((0, 1, 1)))
        self._then(planned, PartEvent.SHIP, at, partial(self._ship, planned, part, seller, receiver))

    def _ship(self, planned: PlannedOrder, part: OrderPart, seller: Seller, receiver: Actor) -> None:
        carrier = self.world.random.choice(CARRIERS)
        waybill = "" if carrier == "自送" else f"YS{planned.number:06d}{seller.place + 1:02d}"
        if planned.at_ramp is not AtRamp.FINE or planned.stops_before is not None:
            self.ramp.certify(part, seller)
        ship_part(self.world.session, seller.clerking, part, carrier=carrier, waybill_no=waybill)
        at = self.world.later(clock.now(), self.world.random.choice((1, 1, 2)))
        self._then(planned, PartEvent.RECEIVE, at, partial(self._receive, planned, part, receiver))

    def _receive(self, planned: PlannedOrder, part: OrderPart, receiver: Actor) -> None:
        self.ramp.receive(part, receiver)
        at = self.world.later(clock.now(), self.world.random.choice((0, 0, 1)))
        self._then(planned, PartEvent.ACCEPT, at, partial(self._accept, planned, part, receiver))

    def _accept(self, planned: PlannedOrder, part: OrderPart, receiver: Actor) -> None:
        self.ramp.inspect(planned, part, self._seller_of(part), receiver)
        if not planned.pays:
            self.unpaid_parts.add(part.id)
        self.world.sweep_soon()
