"""Deliveries at the ramp: received, inspected, and some rejected, each with another end."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from marketplace.core import clock
from marketplace.demo.entry import Seller
from marketplace.demo.founding import Canteen
from marketplace.demo.plan import AtRamp, PlannedOrder
from marketplace.demo.world import World
from marketplace.identity.actors import Actor
from marketplace.ordering.models import OrderLine, OrderPart
from marketplace.payments.refunds.answers import agree_rejection, replace_rejected
from marketplace.procurement.compliance.queries import certificates_of_lots
from marketplace.procurement.compliance.rules import PROMISE, issue_certificate
from marketplace.procurement.receiving.models import Inspection, RejectReason
from marketplace.procurement.receiving.rejections import contest_rejection, make_statement
from marketplace.procurement.receiving.rules import (
    Arrival,
    Verdict,
    change_policy,
    inspect_goods,
    receive_goods,
)

INSPECTION_DAYS = 10
REJECTED = 3  # units of a line of which some are sent again
SPOILED, CRUSHED = "开箱后发现底层受潮变质", "外箱压坏，里面的货漏出"
NOT_OURS, SEEN = "装车前逐箱查过，外箱完好，有照片", "卸车时司机在场，已当面指出外箱压坏"


class Ramp:
    """Plays what happens between a delivery's arrival and its acceptance."""

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, canteen: Canteen) -> None:
        """A canteen sets how long it may take to inspect."""
        change_policy(
            self.world.session,
            canteen.acting("approver"),
            inspection_days=INSPECTION_DAYS,
            needs_certificates=False,
        )

    def certify(self, part: OrderPart, seller: Seller) -> None:
        """The cooperative issues what travels with the goods."""
        lots = {share.lot_id: share.lot for line in part.lines for share in line.lots}
        held = certificates_of_lots(self.world.session, set(lots))
        for lot_id, lot in lots.items():
            if lot_id not in held:
                issue_certificate(self.world.session, seller.clerking, lot=lot, promise=PROMISE)

    def receive(self, part: OrderPart, receiver: Actor) -> None:
        """The goods arrive."""
        arrival = Arrival(remark="外箱完好，数量相符") if part.order.buyer_unit_id else Arrival()
        receive_goods(self.world.session, receiver, self.world.tools.files, part, arrival=arrival)

    def inspect(self, planned: PlannedOrder, part: OrderPart, seller: Seller, receiver: Actor) -> None:
        """The goods are inspected; what is rejected is answered the next day, as planned."""
        if planned.at_ramp is AtRamp.FINE:
            inspect_goods(self.world.session, receiver, self.world.tools.files, part)
            return
        everything = planned.at_ramp is AtRamp.RETURNED
        reason, words = (RejectReason.SPOILED, SPOILED) if everything else (RejectReason.DAMAGED, CRUSHED)
        lines = part.lines if everything else part.lines[:1]
        verdicts = {
            line.public_no: Verdict(self._rejected_of(planned, line), reason, words) for line in lines
        }
        found = inspect_goods(self.world.session, receiver, self.world.tools.files, part, verdicts=verdicts)
        answer = {
            AtRamp.RETURNED: partial(agree_rejection, self.world.session, seller.clerking, found),
            AtRamp.AGREED: partial(agree_rejection, self.world.session, seller.clerking, found),
            AtRamp.REPLACED: partial(self._replace, part, found, seller, receiver),
            AtRamp.CONTESTED: partial(self._contest, found, seller, receiver),
        }.get(planned.at_ramp)
        if answer is not None:
            self.world.timeline.at(self.world.later(clock.now(), 1), answer)

    @staticmethod
    def _rejected_of(planned: PlannedOrder, line: OrderLine) -> int:
        if planned.at_ramp is AtRamp.RETURNED:
            return line.quantity
        return min(line.quantity, REJECTED if planned.at_ramp is AtRamp.REPLACED else 1)

    def _replace(self, part: OrderPart, found: Inspection, seller: Seller, receiver: Actor) -> None:
        """Other goods are sent for all units but the last, and arrive the next day without a fault."""
        units = {
            line.line.public_no: max(1, line.rejected_units - 1)
            for line in found.lines
            if line.rejected_units
        }
        replace_rejected(self.world.session, seller.clerking, found, units=units, carrier="自送")
        self.world.timeline.at(
            self.world.later(clock.now(), 1), partial(self._take_replacement, part, receiver)
        )

    def _take_replacement(self, part: OrderPart, receiver: Actor) -> None:
        self.receive(part, receiver)
        inspect_goods(self.world.session, receiver, self.world.tools.files, part)
        self.world.sweep_soon()

    def _contest(self, found: Inspection, seller: Seller, receiver: Actor) -> None:
        """Both sides say their word; the county has not decided yet."""
        files = self.world.tools.files
        contest_rejection(self.world.session, seller.clerking, files, found, words=NOT_OURS)
        self.world.timeline.at(
            clock.now() + timedelta(hours=3),
            partial(make_statement, self.world.session, receiver, files, found, words=SEEN),
        )
