"""Closing a linkage period: two people, figures that still hold, what is missing posted, and nothing more after it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from marketplace.core.clock import set_to
from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, TrailEntry
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Agreement, Entitlement, LinkagePeriod, Mechanism, PeriodState
from marketplace.payments.closing.models import ClosingState, GuaranteePosting, PeriodClosing
from marketplace.payments.closing.queries import all_figures, totals_of_period
from marketplace.payments.closing.rules import confirm_closing, prepare_closing, withdraw_closing
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.closing.verify import CHECKS
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.linkage import (
    AssetLeaseFactory,
    EmploymentFactory,
    EntitlementFactory,
    LeaseFactory,
    PeriodFactory,
    pay_rent,
    receive_rent,
)
from tests.factories.refunds import refunded
from tests.factories.registry import (
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    actor_at,
    beneficiary_policy,
)
from tests.factories.trade import Offer, offer, sell
from tests.payments.test_guarantees import pay_out

HALF_YEAR = date(2026, 7, 1)


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    """Goods of 50.00 yuan, a twentieth of it for the households that let their land."""
    return offer(session, CooperativeFactory(), units=100, terms={Mechanism.LAND_TRANSFER: 500})


@pytest.fixture
def period(offered: Offer) -> LinkagePeriod:
    """The first half of 2026."""
    found: LinkagePeriod = PeriodFactory(cooperative=offered.cooperative, ends_on=HALF_YEAR)
    return found


@pytest.fixture
def lease(offered: Offer, period: LinkagePeriod) -> Agreement:
    """A household that is due 10.00 of rent in the period."""
    return lease_at(offered, period, 1_000)


def lease_at(offered: Offer, period: LinkagePeriod, amount_fen: int) -> Agreement:
    """A further household that lets its land."""
    found: Agreement = LeaseFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative))
    EntitlementFactory(agreement=found, period=period, amount_fen=amount_fen, due_on=period.ends_on)
    return found


def clerk_and_manager(offered: Offer) -> tuple[Actor, Actor]:
    """Two people of the cooperative."""
    roles = (Role.COOPERATIVE_CLERK, Role.COOPERATIVE_MANAGER)
    clerk, manager = (actor_at(offered.cooperative, role) for role in roles)
    return clerk, manager


def money_of(session: Session, agreement: Agreement) -> int:
    """The balance of the household with the cooperative, in fen."""
    key = AccountKey.household_payable(agreement.cooperative_id, agreement.household_id)
    return balances(session, [key])[key]


def findings(session: Session) -> list[str]:
    """What the checks of this room find."""
    session.flush()
    return [str(finding) for result in run_checks(session, CHECKS) for finding in result.findings]


def closed(session: Session, offered: Offer, period: LinkagePeriod) -> PeriodClosing:
    """The closing of the period by two people."""
    clerk, manager = clerk_and_manager(offered)
    return confirm_closing(session, manager, prepare_closing(session, clerk, period))


@contextmanager
def refusing(code: str) -> Iterator[None]:
    """The block is refused for that reason."""
    with pytest.raises((Refused, Conflict)) as refusal:
        yield
    assert refusal.value.code == code


def nothing_posted(session: Session, period: LinkagePeriod) -> bool:
    """Whether the period is open and no guarantee was posted."""
    postings = session.scalar(select(func.count(GuaranteePosting.id)))
    return period.state is PeriodState.OPEN and postings == 0


def test_closing_tops_every_household_up_to_what_it_is_due(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    other = lease_at(offered, period, 500)
    sell(session, offered, units=1)
    settle_lines(session)
    clock.advance(days=31)
    clerk, manager = clerk_and_manager(offered)
    closing = prepare_closing(session, clerk, period)

    # 2.50 credited, two to one: 1.67 and 0.83
    figures = totals_of_period(session, period.id)
    assert (figures.households, figures.due_fen, figures.credited_fen) == (2, 1_500, 250)
    assert (figures.standing_fen, figures.top_up_fen) == (0, 1_250)
    assert (closing.households, closing.due_fen, closing.top_up_fen) == (2, 1_500, 1_250)
    confirm_closing(session, manager, closing)

    assert (money_of(session, lease), money_of(session, other)) == (1_000, 500)
    assert (period.state, closing.state) == (PeriodState.CLOSED, ClosingState.CONFIRMED)
    amounts = select(GuaranteePosting.amount_fen).order_by(GuaranteePosting.household_id)
    assert session.scalars(amounts).all() == [833, 417]
    entry = session.scalars(select(Entry).where(Entry.kind == EntryKind.GUARANTEE)).first()
    assert entry is not None
    assert (entry.subject_kind, entry.subject_id) == ("linkage_period", period.id)
    assert entry.actor_user_id == manager.user_id
    assert findings(session) == []
    actions = session.scalars(select(TrailEntry.action).order_by(TrailEntry.id)).all()
    assert actions[-2:] == ["payments.prepare_closing", "payments.confirm_closing"]


def test_a_credit_after_the_closing_replaces_the_top_up(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    sell(session, offered, units=3)
    clock.advance(days=31)
    closed(session, offered, period)
    assert money_of(session, lease) == 1_000
    assert settle_lines(session) == 1  # it was accepted and paid within the period

    assert money_of(session, lease) == 1_000
    standing = select(GuaranteePosting.standing_after_fen).order_by(GuaranteePosting.id)
    assert session.scalars(standing).all() == [1_000, 250]
    assert findings(session) == []


def test_a_household_with_more_than_it_is_due_keeps_it(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    sell(session, offered, units=10)
    settle_lines(session)
    clock.advance(days=31)
    closed(session, offered, period)
    assert money_of(session, lease) == 2_500
    assert session.scalars(select(GuaranteePosting)).all() == []


def test_who_prepared_a_closing_does_not_confirm_it(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    clerk, _ = clerk_and_manager(offered)
    closing = prepare_closing(session, clerk, period)
    with refusing("same_person"):
        confirm_closing(session, clerk, closing)
    assert nothing_posted(session, period)
    with pytest.raises(DatabaseError), session.begin_nested():
        session.execute(
            text(
                "UPDATE period_closing SET state = 'confirmed', confirmed_by = prepared_by, confirmed_at = :at"
            ),
            {"at": "2026-07-02 00:00:00+00:00"},
        )


def test_a_period_is_closed_once(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    closing = closed(session, offered, period)
    entries = session.scalar(select(func.count(Entry.id)))
    clerk, manager = clerk_and_manager(offered)
    with refusing("period_closed"):
        confirm_closing(session, manager, closing)
    with refusing("period_closed"):
        prepare_closing(session, clerk, period)
    assert session.scalar(select(func.count(Entry.id))) == entries
    assert money_of(session, lease) == 1_000


def test_a_period_that_is_not_over_stays_open(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clerk, _ = clerk_and_manager(offered)
    clock.advance(days=29, hours=13, minutes=59)  # 2026-06-30 23:59 in China
    with refusing("period_not_over"):
        prepare_closing(session, clerk, period)
    assert nothing_posted(session, period)
    assert session.scalars(select(PeriodClosing)).all() == []
    clock.advance(minutes=1)
    assert prepare_closing(session, clerk, period).state is ClosingState.PREPARED


@pytest.mark.parametrize("change", ["evidence", "credit"])
def test_figures_that_changed_are_prepared_again(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock, change: str
) -> None:
    sell(session, offered, units=1)
    clock.advance(days=31)
    clerk, manager = clerk_and_manager(offered)
    closing = prepare_closing(session, clerk, period)
    if change == "evidence":
        EntitlementFactory(agreement=lease, period=period, amount_fen=1, due_on=period.ends_on)
    else:
        settle_lines(session)
    with refusing("figures_changed"):
        confirm_closing(session, manager, closing)
    assert nothing_posted(session, period)

    again = prepare_closing(session, clerk, period)
    assert (closing.state, again.state) == (ClosingState.CANCELLED, ClosingState.PREPARED)
    confirm_closing(session, manager, again)
    assert money_of(session, lease) == (1_001 if change == "evidence" else 1_000)


def test_a_closing_that_was_withdrawn_cannot_be_confirmed(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    clerk, manager = clerk_and_manager(offered)
    closing = withdraw_closing(session, manager, prepare_closing(session, clerk, period))
    with refusing("closing_withdrawn"):
        confirm_closing(session, manager, closing)
    assert nothing_posted(session, period)


def test_only_people_of_the_cooperative_close_its_periods(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    closing = prepare_closing(session, clerk_and_manager(offered)[0], period)
    with pytest.raises(NotFound):
        confirm_closing(session, actor_at(CooperativeFactory()), closing)
    with pytest.raises(Forbidden):
        prepare_closing(session, actor_at(offered.cooperative, Role.HOUSEHOLD), period)
    assert nothing_posted(session, period)


def test_a_closed_period_takes_no_evidence(
    session: Session, offered: Offer, period: LinkagePeriod, clock: HeldClock
) -> None:
    beneficiary_policy()
    lease = LeaseFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative))
    clock.advance(days=31)
    closed(session, offered, period)
    with refusing("closed_period"):
        pay_rent(session, lease, ends_on=HALF_YEAR)
    with pytest.raises(DatabaseError, match="closed"), session.begin_nested():
        EntitlementFactory(agreement=lease, period=period)
    assert session.scalars(select(Entitlement)).all() == []


def test_a_closed_period_stays_closed(
    session: Session, offered: Offer, period: LinkagePeriod, clock: HeldClock
) -> None:
    clock.advance(days=31)
    closed(session, offered, period)
    session.flush()
    with pytest.raises(DatabaseError, match="stays closed"), session.begin_nested():
        session.execute(text("UPDATE linkage_period SET state = 'open'"))


def test_the_figures_name_each_household_under_each_mechanism(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    sell(session, offered, units=1)
    settle_lines(session)
    (row,) = all_figures(session, period.id)
    assert (row.mechanism, row.household_no) == (Mechanism.LAND_TRANSFER, lease.household.public_no)
    assert (row.due_fen, row.credited_fen, row.standing_fen, row.top_up_fen) == (1_000, 250, 0, 750)


def test_closing_many_households_takes_a_fixed_number_of_statements(
    session: Session, offered: Offer, period: LinkagePeriod, clock: HeldClock, statements: Any
) -> None:
    elsewhere = offer(session, CooperativeFactory())
    other = PeriodFactory(cooperative=elsewhere.cooperative, ends_on=HALF_YEAR)
    lease_at(elsewhere, other, 1_000)
    for _ in range(12):
        lease_at(offered, period, 1_000)
    clock.advance(days=31)
    sent = []
    for one, its in ((elsewhere, other), (offered, period)):
        clerk, manager = clerk_and_manager(one)
        closing = prepare_closing(session, clerk, its)
        with statements() as some:
            confirm_closing(session, manager, closing)
        sent.append(some)
    few, many = sent
    assert len(many) <= len(few), "\n".join(s[:120].replace("\n", " ") for s in many)
    assert session.scalar(select(func.count(GuaranteePosting.id))) == 13


def test_closing_an_asset_lease_pays_the_village_its_part_and_the_households_by_way_of_it(
    session: Session, offered: Offer, period: LinkagePeriod, clock: HeldClock
) -> None:
    beneficiary_policy()
    leases = [AssetLeaseFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative)) for _ in "ab"]
    receive_rent(session, offered.cooperative, rent_fen=10_001)
    clock.advance(days=31)
    closing = closed(session, offered, period)

    # 30 % of 100.01 stays with the village: 30.00; the rest is 35.01 and 35.00
    assert closing.village_fen == 3_000
    assert [money_of(session, lease) for lease in leases] == [3_501, 3_500]
    keys = [
        AccountKey.village_payable(VILLAGE, offered.cooperative.id),
        AccountKey.cooperative_payable(offered.cooperative.id),
    ]
    found = balances(session, keys)
    assert [found[key] for key in keys] == [3_000, -10_001]
    assert findings(session) == []


def test_employment_of_a_period_is_topped_up_at_its_close_and_of_a_lot_when_due(
    session: Session, offered: Offer, period: LinkagePeriod, clock: HeldClock
) -> None:
    job = EmploymentFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative))
    EntitlementFactory(agreement=job, period=period, amount_fen=900, due_on=period.ends_on)
    EntitlementFactory(agreement=job, lot=offered.lot, amount_fen=300, due_on=date(2026, 6, 19))
    clock.advance(days=31)
    assert post_due_guarantees(session) == 1
    assert money_of(session, job) == 300
    closed(session, offered, period)
    assert money_of(session, job) == 1_200
    assert findings(session) == []


def test_what_a_refund_takes_back_of_a_closed_period_is_guaranteed_again(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    order = sell(session, offered, units=2)
    settle_lines(session)
    clock.advance(days=31)
    closed(session, offered, period)
    assert money_of(session, lease) == 1_000
    refunded(session, order, 2)
    assert money_of(session, lease) == 500

    assert post_due_guarantees(session) == 1
    assert money_of(session, lease) == 1_000
    assert post_due_guarantees(session) == 0
    assert findings(session) == []


def test_relief_left_with_a_household_is_not_guaranteed_a_second_time(
    session: Session, offered: Offer, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    order = sell(session, offered, units=4)
    settle_lines(session)
    clock.advance(days=31)
    closed(session, offered, period)
    pay_out(session, lease, 1_000)
    refunded(session, order, 4)

    assert money_of(session, lease) == 0  # 10.00 in cash, and nothing more is due
    assert post_due_guarantees(session) == 0
    assert findings(session) == []


@pytest.mark.databases("postgresql")
def test_crediting_beside_a_closing_is_counted_once(
    engine: Engine,
    session: Session,
    offered: Offer,
    period: LinkagePeriod,
    lease: Agreement,
    clock: HeldClock,
) -> None:
    """The closing holds the period until it commits; a settlement that waits for it then replaces the top-up."""
    sell(session, offered, units=1)
    clock.advance(days=31)
    clerk, manager = clerk_and_manager(offered)
    closing = prepare_closing(session, clerk, period)
    session.commit()
    settled, maker, at = threading.Event(), session_maker(engine), clock.now

    def settle() -> None:
        with set_to(at), maker() as own:
            assert settle_lines(own) == 1
            own.commit()
        settled.set()

    confirm_closing(session, manager, closing)
    worker = threading.Thread(target=settle)
    worker.start()
    assert not settled.wait(0.3)  # it waits for the closing
    session.commit()
    worker.join()
    session.rollback()
    assert money_of(session, lease) == 1_000
    assert findings(session) == []
