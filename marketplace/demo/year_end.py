"""The end of a linkage year: one person prepares the closing, another confirms it; something is found too late."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from marketplace.demo.agreements import RENT_MISSING, Fields
from marketplace.demo.entry import Seller
from marketplace.demo.papers import keep_paper
from marketplace.demo.property_income import period_of
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.linkage.late_corrections.rules import record_late_correction
from marketplace.linkage.models import Evidence
from marketplace.payments.closing.models import PeriodClosing
from marketplace.payments.closing.rules import confirm_closing, prepare_closing

CLOSING_DAYS, LATE_DAYS = 30, 58  # after the turn of the linkage year
LATE_FEN = 3_600
LATE_REASON = "年底复核面积时发现边角地块漏量，按合同补记这一年的租金差额"


class YearEnd:
    """Closes the linkage year of one cooperative that is over."""

    def __init__(self, world: World, seller: Seller, fields: Fields) -> None:
        self.world = world
        self.seller = seller
        self.fields = fields

    def plan(self) -> None:
        """Plan the closing, and what is found out a month after it."""
        closed_on = self.world.turn_on + timedelta(days=CLOSING_DAYS + self.seller.place)
        self.world.timeline.at(at_hour(closed_on, 10), self.close)
        late_on = self.world.turn_on + timedelta(days=LATE_DAYS + self.seller.place)
        self.world.timeline.at(at_hour(late_on, 14), self.correct)

    def close(self) -> PeriodClosing:
        """The clerk prepares the figures, the manager confirms them."""
        period = period_of(self.world, self.seller, self.world.turned_on)
        closing = prepare_closing(self.world.session, self.seller.clerking, period)
        return confirm_closing(self.world.session, self.seller.acting, closing)

    def correct(self) -> None:
        """A parcel of the first lease was larger than recorded: said in the year under way."""
        if not self.fields.leases or self.seller.place == RENT_MISSING:
            return  # where no rent of the year is recorded yet, this would get all that waits
        lease = self.fields.leases[0]
        period = period_of(self.world, self.seller, self.world.turned_on)
        of_lease = Evidence.agreement_version_id.in_([version.id for version in lease.versions])
        recorded = select(Evidence).where(of_lease, Evidence.occurred_on < period.ends_on)
        record_late_correction(
            self.world.session,
            self.seller.clerking,
            agreement=lease,
            period=period,
            amount_fen=LATE_FEN,
            reason=LATE_REASON,
            corrected=self.world.session.scalars(recorded.order_by(Evidence.id).limit(1)).first(),
            file=keep_paper(self.world, self.seller.clerking, "地块复核记录"),
        )
        self.world.sweep_soon()
