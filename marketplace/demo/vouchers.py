"""A union's pick-up vouchers: one batch in use, one that has lapsed with money going back, one that waits for approval.

Some are redeemed at the cooperative's counter, one pays an order that a member of the staff places online.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from io import StringIO

from marketplace.catalog.models import Listing
from marketplace.catalog.queries import available_units, sale_stop
from marketplace.core import clock
from marketplace.core.money import format_yuan
from marketplace.demo.bank import HEADER
from marketplace.demo.carriage import address_of
from marketplace.demo.entry import Seller
from marketplace.demo.founding import Canteen
from marketplace.demo.goods import Good
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.ordering.models import OrderKind
from marketplace.ordering.rules import (
    Delivery,
    accept_part,
    confirm_part,
    place_order,
    receive_part,
    ship_part,
)
from marketplace.payments.gateways.remittance_codes import display_code
from marketplace.payments.statements import import_statement
from marketplace.payments.vouchers.counter import redeem_voucher
from marketplace.payments.vouchers.models import VoucherBatch
from marketplace.payments.vouchers.queries import returns_to_send
from marketplace.payments.vouchers.rules import (
    Terms,
    approve_batch,
    ask_batch,
    mark_returned,
    print_vouchers,
)
from marketplace.payments.vouchers.spending import spend_vouchers

FACE_FEN = 100_00
WAY = (  # days until each step after a batch is asked for
    (1, "pay"),
    (2, "print"),
    (5, "pick_up"),
    (8, "pick_up"),
    (11, "spend"),
)


@dataclass(frozen=True)
class Wanted:
    """A batch to be: how many days ago it is asked for, how many vouchers, and for how many days they are good."""

    ago: int
    count: int
    good_days: int


LAPSED, IN_USE, ASKED = Wanted(190, 6, 60), Wanted(46, 10, 240), Wanted(0, 20, 180)


class UnionVouchers:
    """Plays the batches of the first unit, good at the first cooperative; the first of the staff spends one online."""

    def __init__(
        self,
        world: World,
        canteen: Canteen,
        seller: Seller,
        goods: Sequence[Good],
        staff: Sequence[User],
    ) -> None:
        self.world = world
        self.canteen = canteen
        self.seller = seller
        self.goods = [good for good in goods if good.seller is seller]
        self.buyer = staff[0]
        self._batches: dict[Wanted, VoucherBatch] = {}
        self._codes: dict[Wanted, list[str]] = {}

    def plan(self) -> None:
        """Plan the batches from their wish on."""
        for wanted in (LAPSED, IN_USE, ASKED):
            day = self.world.last_on - timedelta(days=wanted.ago)
            self.world.timeline.at(at_hour(day, 10), partial(self.ask, wanted))
            if wanted is ASKED:
                continue
            self.world.timeline.at(at_hour(day, 16), partial(self.approve, wanted))
            for days, step in WAY:
                deed = partial(getattr(self, step), wanted)
                self.world.timeline.at(at_hour(day + timedelta(days=days), 15), deed)
        self.world.timeline.at(at_hour(self.world.last_on - timedelta(days=30), 16), self.send_back)

    def ask(self, wanted: Wanted) -> None:
        """The union asks for vouchers."""
        self._batches[wanted] = ask_batch(
            self.world.session,
            self.canteen.acting("orderer"),
            cooperative=self.seller.cooperative,
            terms=Terms(wanted.count, FACE_FEN, clock.today() + timedelta(days=wanted.good_days)),
            idempotency_key=f"demo-vouchers-{wanted.ago}",
        )

    def approve(self, wanted: Wanted) -> None:
        """A colleague approves."""
        approve_batch(self.world.session, self.canteen.acting("approver"), self._batches[wanted])

    def pay(self, wanted: Wanted) -> None:
        """The transfer comes with its code."""
        batch, today = self._batches[wanted], clock.today()
        remark = f"工会购券 {display_code(batch.remittance_code)}"
        out = StringIO(newline="")
        cells = (
            today.isoformat(),
            f"DEMOTQ{today:%Y%m%d}",
            format_yuan(batch.total_fen),
            "",
            batch.unit.name,
            remark,
        )
        csv.writer(out).writerows([HEADER, cells])
        import_statement(
            self.world.session,
            self.world.operating,
            self.world.tools.files,
            content=out.getvalue().encode("gb18030"),
            file_name=f"收款账户明细-购券-{today:%Y%m%d}.csv",
        )

    def print(self, wanted: Wanted) -> None:
        """The orderer prints the sheet."""
        self._codes[wanted] = print_vouchers(
            self.world.session,
            self.canteen.acting("orderer"),
            self._batches[wanted],
            self.world.tools.data_key,
        )

    def pick_up(self, wanted: Wanted) -> None:
        """Somebody brings a voucher to the counter."""
        listing = self._listing()
        if listing is not None:
            redeem_voucher(
                self.world.session,
                self.seller.clerking,
                code=self._codes[wanted].pop(),
                key=self.world.tools.data_key,
                listing=listing,
                quantity=1,
            )
            self.world.sweep_soon()

    def spend(self, wanted: Wanted) -> None:
        """A member of the staff orders online and pays with a voucher."""
        listing, session, buyer = self._listing(), self.world.session, actor_of(self.buyer)
        if listing is None:
            return
        place = address_of(self.buyer, 0, self.seller.county_code)
        order = place_order(
            session,
            buyer,
            kind=OrderKind.PERSONAL,
            idempotency_key=f"demo-order-by-voucher-{wanted.ago}",
            lines=[(listing.public_no, 1)],
            delivery=Delivery(**vars(place)),
        )
        spend_vouchers(
            session, buyer, order, codes=[self._codes[wanted].pop()], key=self.world.tools.data_key
        )
        part, now = order.parts[0], clock.now()
        steps = (
            lambda: confirm_part(session, self.seller.clerking, part),
            lambda: ship_part(session, self.seller.clerking, part, carrier="自送", waybill_no=""),
            lambda: receive_part(session, buyer, part),
            lambda: accept_part(session, buyer, part),
            self.world.sweep_soon,
        )
        for days, step in enumerate(steps, start=1):
            self.world.timeline.at(now + timedelta(days=days), step)

    def send_back(self) -> None:
        """The cashier transfers back what was not used of the batch that lapsed."""
        for one in self.world.session.scalars(returns_to_send()).all():
            mark_returned(self.world.session, self.world.operating, one, serial_no="DEMOTH000001")

    def _listing(self) -> Listing | None:
        """What the cooperative has most of that one voucher pays."""
        goods = [good for good in self.goods if good.listing and good.price_fen <= FACE_FEN]
        goods = [good for good in goods if sale_stop(good.offered, clock.today()) is None]
        left = available_units(self.world.session, [good.made.id for good in goods])
        stocked = [good for good in goods if left[good.made.id] > 1]
        best = max(stocked, key=lambda good: (good.keeps, left[good.made.id]), default=None)
        return best.offered if best else None
