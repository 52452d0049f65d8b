"""Households found not to meet the conditions as of a past day, and what two people make of their credits since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

from sqlalchemy import case, func, select

from marketplace.core import clock
from marketplace.demo.entry import Seller
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.payments.corrections.models import CorrectionKind, CorrectionSet
from marketplace.payments.corrections.rules import agree_correction, propose_correction
from marketplace.payments.models import Credit
from marketplace.registry.models import Household, HouseholdStatusKind
from marketplace.registry.rules import record_status

FOUND_AGO, WAITING_AGO = 15, 3
SINCE_DAYS, BEFORE_DAYS = 75, 5
REASON = "县级核查发现户主名下有注册企业，从该日起不再符合条件"


class Findings:
    """Two findings in the first county: one agreed to, one that waits for a second person."""

    def __init__(self, world: World, sellers: Sequence[Seller]) -> None:
        self.world = world
        self.sellers = [one for one in sellers if one.county_code == sellers[0].county_code]

    def plan(self) -> None:
        """Plan both; the first is agreed to on the next day."""
        county = self.world.officials[self.sellers[0].county_code]
        colleague = self.world.colleagues[self.sellers[0].county_code]
        last_on, at = self.world.last_on, self.world.timeline.at
        first, last = self.sellers[0], self.sellers[-1]
        at(
            at_hour(last_on - timedelta(days=FOUND_AGO), 10),
            partial(self.find, first, county, agreeing=colleague),
        )
        at(at_hour(last_on - timedelta(days=WAITING_AGO), 10), partial(self.find, last, colleague))

    def find(self, seller: Seller, official: User, agreeing: User | None = None) -> None:
        """State that a household was not eligible, and propose what follows for its credits."""
        household = self._credited(seller)
        if household is None:
            return
        since = self._since(household)
        self.world.gone.add(household.id)
        record_status(
            self.world.session,
            actor_of(official),
            household,
            status=HouseholdStatusKind.INELIGIBLE,
            valid_from=since,
            reason=REASON,
        )
        proposed = propose_correction(
            self.world.session,
            actor_of(official),
            kind=CorrectionKind.INELIGIBLE,
            household=household,
            from_on=since,
            reason=REASON,
        )
        if agreeing is not None:
            at = clock.now() + timedelta(hours=5)
            self.world.timeline.at(at, partial(self._agree, proposed, agreeing))

    def _agree(self, proposed: CorrectionSet, official: User) -> None:
        agree_correction(self.world.session, actor_of(official), proposed, note="已核对登记信息和入账明细")

    def _credited(self, seller: Seller) -> Household | None:
        """A household with credits, without an account of its own: of the cooperative, and on no village's roster, if
        there is one."""
        on_roster = select(Agreement.household_id).where(Agreement.mechanism == Mechanism.ASSET_LEASE)
        cooperative_ids = [one.cooperative.id for one in self.sellers]
        own = func.max(case((Credit.cooperative_id == seller.cooperative.id, 1), else_=0))
        query = (
            select(Household)
            .join(Credit, Credit.household_id == Household.id)
            .where(
                Credit.cooperative_id.in_(cooperative_ids),
                Household.user_id.is_(None),
                Household.id.not_in(self.world.gone),
            )
            .group_by(Household.id)
            .order_by(
                own.desc(), Household.id.in_(on_roster), func.sum(Credit.amount_fen).desc(), Household.id
            )
        )
        return self.world.session.scalars(query.limit(1)).unique().first()

    def _since(self, household: Household) -> date:
        """The day from which it was not eligible: well back, and before the last time it was given something."""
        last = select(func.max(Credit.credited_at)).where(Credit.household_id == household.id)
        given_on = clock.business_day(self.world.session.scalars(last).one())
        return min(clock.today() - timedelta(days=SINCE_DAYS), given_on - timedelta(days=BEFORE_DAYS))
