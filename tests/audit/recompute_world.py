"""A year of a cooperative with all six mechanisms, refunds, guarantees and a closed period, made by the real rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role, StoredFile
from marketplace.linkage.late_corrections.rules import record_late_correction
from marketplace.linkage.mechanisms.contract_farming.advances import record_advance
from marketplace.linkage.models import Agreement, LinkagePeriod, Mechanism
from marketplace.ordering.models import Order
from marketplace.payments.closing.rules import confirm_closing, prepare_closing
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative
from tests.conftest import HeldClock
from tests.factories.linkage import (
    CONTRACT_TERMS,
    AssetLeaseFactory,
    ContractFactory,
    EmploymentFactory,
    LeaseFactory,
    PeriodFactory,
    TrusteeshipFactory,
    attend,
    pay_rent,
    reap,
    receive_rent,
    weigh,
)
from tests.factories.refunds import refunded
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdMemberFactory,
    actor_at,
    beneficiary_policy,
)
from tests.factories.shares import StakeFactory, share_surplus
from tests.factories.trade import Offer, offer, sell

HALF_YEAR = date(2026, 7, 1)
SIX = {
    Mechanism.CONTRACT_FARMING: 1_000,
    Mechanism.LAND_TRANSFER: 333,
    Mechanism.EMPLOYMENT: 700,
    Mechanism.SHARE_COOPERATION: 250,
    Mechanism.ASSET_LEASE: 151,
}
QUOTA_AND_ADVANCES = {**CONTRACT_TERMS, "quota_g": 2_000, "bonus_share_bp": 1_000, "cap_bp": 5_000}


@dataclass(frozen=True)
class World:
    """What a test of the recomputation starts from."""

    cooperative: Cooperative
    offered: Offer
    period: LinkagePeriod
    orders: list[Order] = field(default_factory=list)


def play(session: Session, clock: HeldClock) -> World:
    """From the evidence of spring to a refund after the first half year was closed."""
    beneficiary_policy()
    cooperative = CooperativeFactory()
    period = PeriodFactory(cooperative=cooperative, ends_on=HALF_YEAR)
    PeriodFactory(cooperative=cooperative, starts_on=HALF_YEAR, previous_ends_on=HALF_YEAR)
    offered = offer(session, cooperative, terms=SIX)
    world = World(cooperative, offered, period)
    _deliver(session, world)
    rice = offer(session, cooperative, terms={Mechanism.PRODUCTION_TRUSTEESHIP: 2_000}, tiers=((1, 777),))
    rice.lot.commodity = "稻谷"
    first = sell(session, offered, units=3, key="the-first-order-of-all")
    sell(session, rice, units=2, key="an-order-of-rice")
    settle_lines(session)
    _bring_evidence(session, world, rice)
    distribute_pools(session)
    refunded(session, first, 1)
    clock.advance(days=25)
    post_due_guarantees(session)
    world.orders.extend(
        sell(session, offered, units=number + 1, key=f"an-order-of-late-june-{number}") for number in range(3)
    )
    settle_lines(session)
    clock.advance(days=10)
    share_surplus(session, period, meeting_on=date(2026, 7, 2), dealings_fen=90_000, base_bp=100)
    distribute_pools(session)
    clerk, manager = (
        actor_at(cooperative, role) for role in (Role.COOPERATIVE_CLERK, Role.COOPERATIVE_MANAGER)
    )
    confirm_closing(session, manager, prepare_closing(session, clerk, period))
    _correct_late(session, world)
    refunded(session, first, 1, key="second-refund")
    post_due_guarantees(session)
    sell(session, rice, units=1, key="rice-in-the-new-period")
    sell(session, offered, units=2, key="an-order-of-the-new-period")
    settle_lines(session)
    session.commit()
    return world


def _correct_late(session: Session, world: World) -> None:
    """A rent of which 12.50 were left out of the closed period."""
    leases = select(Agreement).where(Agreement.mechanism == Mechanism.LAND_TRANSFER).order_by(Agreement.id)
    paper = StoredFile(address="0" * 64, name="receipt.png", media_type="image/png", size_bytes=1)
    session.add(paper)
    record_late_correction(
        session,
        actor_at(world.cooperative),
        agreement=session.scalars(leases.limit(1)).unique().one(),
        period=world.period,
        amount_fen=1_250,
        reason="漏记一块地",
        file=paper,
    )


def agreed(world: World, factory: type, **fields: object) -> Agreement:
    """An agreement of a further household of two people."""
    enrolment = EnrolmentFactory(cooperative=world.cooperative)
    found: Agreement = factory(enrolment=enrolment, **fields)
    return found


def _deliver(session: Session, world: World) -> None:
    """Three contract farmers, one with a quota and an advance, and a picker."""
    for net_g in (1_234, 777):
        weigh(session, agreed(world, ContractFactory), world.offered.lot, slip_no=f"A{net_g}", net_g=net_g)
    careful = agreed(world, ContractFactory, version__terms=QUOTA_AND_ADVANCES)
    record_advance(
        session,
        actor_at(world.cooperative),
        agreement=careful,
        receipt_no="YF-1",
        amount_fen=1_500,
        given_on=date(2026, 4, 1),
    )
    for number, net_g in enumerate((1_501, 1_111, 999)):
        weigh(session, careful, world.offered.lot, slip_no=f"B{number}", net_g=net_g)


def _bring_evidence(session: Session, world: World, rice: Offer) -> None:
    """Rents, labour with and without a lot, a season's yield."""
    for months in (HALF_YEAR, date(2026, 4, 1)):
        pay_rent(session, agreed(world, LeaseFactory), ends_on=months)
    enrolment = EnrolmentFactory(cooperative=world.cooperative)
    HouseholdMemberFactory(household=enrolment.household)
    session.refresh(enrolment.household)
    picker = EmploymentFactory(enrolment=enrolment)
    attend(session, picker, minutes=95, lot=world.offered.lot)
    attend(session, picker, minutes=61)
    for weight in (1, 2):
        terms = {
            "asset_no": "ZC-2026-001",
            "lease_no": "租字-2026-01",
            "resolution_no": "村议〔2026〕3号",
            "plan_weight": weight,
            "retain_bp": 3_000,
        }
        agreed(world, AssetLeaseFactory, version__terms=terms)
    receive_rent(session, world.cooperative, rent_fen=1_001)
    reap(session, agreed(world, TrusteeshipFactory), rice.lot, actual_g=5_000_000)
    agreed(world, StakeFactory, version__stake_fen=210_000)
    deliverer = session.scalars(select(Agreement).order_by(Agreement.id).limit(1)).unique().one()
    StakeFactory(enrolment=deliverer, version__stake_fen=100_000)
