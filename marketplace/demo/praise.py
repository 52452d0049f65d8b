"""What buyers say of their purchases once these are paid, and a certificate of what a canteen completed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from sqlalchemy import select

from marketplace.core import clock
from marketplace.demo.founding import Canteen
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.ordering.models import OrderKind, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.purchase_certificates.queries import purchases_to_certify
from marketplace.payments.purchase_certificates.rules import issue_certificate
from marketplace.procurement.evaluations.rules import evaluate_part

PATIENCE = timedelta(days=6)  # so long after paying nobody has said anything yet
CERTIFIED_DAYS, CERTIFIED_UNTIL_DAYS = 300, 20  # the certificate is over the days between, counted back
REMARKS = {
    5: (
        "新鲜，分量足，师傅们都说好",
        "送货准时，包装干净",
        "和上一批一样好，下月还订",
        "米香菜嫩，孩子们爱吃",
    ),
    4: ("品质不错，个头稍有大小", "送货比约定晚了半天，东西没问题", "味道好，外箱有点受潮"),
    3: ("有几袋封口不严，已当场换过", "成色一般，价格公道"),
    2: ("路上压坏了几箱，希望改进包装",),
}
SCORES = (5, 5, 5, 5, 4, 4, 4, 3, 2)
SILENT = 3  # of so many buyers with a good word one leaves it at the score


class Praise:
    """Evaluates, week by week, what was accepted and paid."""

    def __init__(self, world: World, canteens: Sequence[Canteen]) -> None:
        self.world = world
        self.canteens = {canteen.unit.id: canteen for canteen in canteens}
        self.random = Random("what buyers say")  # noqa: S311 - a demo wants the same words again

    def plan(self) -> None:
        """Plan the weekly round, and a certificate near the end of the year."""
        friday = self.world.first_on + timedelta(days=(4 - self.world.first_on.weekday()) % 7)
        self.world.timeline.weekly(friday, self.speak, hour=17, minute=10)
        certified_on = self.world.last_on - timedelta(days=2)
        self.world.timeline.at(at_hour(certified_on, 15, 30), self.certify)

    def speak(self) -> None:
        """Evaluate what was paid some days ago."""
        waiting = (
            select(OrderPart)
            .where(
                OrderPart.state == PartState.ACCEPTED,
                OrderPart.paid_at < clock.now() - PATIENCE,
                OrderPart.evaluated_at.is_(None),
            )
            .order_by(OrderPart.id)
        )
        for part in self.world.session.scalars(waiting).unique().all():
            goods = self.random.choice(SCORES)
            speaks = goods < 4 or self.random.randrange(SILENT)
            remark = self.random.choice(REMARKS[goods]) if speaks else ""
            evaluate_part(
                self.world.session,
                self._receiver(part),
                part,
                goods_score=goods,
                delivery_score=max(3, self.random.choice(SCORES)),
                remark=remark,
            )

    def _receiver(self, part: OrderPart) -> Actor:
        if part.order.buyer_unit_id is None:
            return actor_of(part.order.buyer)
        return self.canteens[part.order.buyer_unit_id].acting("receiver")

    def certify(self) -> None:
        """The purchases of most of the year of the first canteen that has any, on one certificate."""
        today = clock.today()
        since, until = today - timedelta(days=CERTIFIED_DAYS), today - timedelta(days=CERTIFIED_UNTIL_DAYS)
        for canteen in self.canteens.values():
            if purchases_to_certify(self.world.session, canteen.unit.id, OrderKind.CANTEEN, since, until):
                issue_certificate(
                    self.world.session,
                    canteen.acting("payer"),
                    kind=OrderKind.CANTEEN,
                    since=since,
                    until=until,
                    idempotency_key="demo-purchase-certificate",
                )
                return
