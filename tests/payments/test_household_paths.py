"""The ways of money to households: by the village for asset leases, by lot or by period for labour."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind, Transfer
from marketplace.ledger.posting import TransferDraft
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.household_paths import from_households, to_households
from marketplace.payments.models import Credit, LinkagePool
from marketplace.payments.settlement import DueLine, compute_pools, settle_lines, shares_of
from tests.conftest import START, HeldClock
from tests.factories.linkage import (
    AssetLeaseFactory,
    EmploymentFactory,
    EntitlementFactory,
    PeriodFactory,
    attend,
    receive_rent,
)
from tests.factories.registry import (
    NEXT_VILLAGE,
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    beneficiary_policy,
)
from tests.factories.trade import lot_for, offer, sell

ASSET, LABOUR = {Mechanism.ASSET_LEASE: 1_000}, {Mechanism.EMPLOYMENT: 1_000}


def credited(session: Session) -> dict[int, int]:
    """Fen by household id."""
    rows = session.execute(
        select(Credit.household_id, func.sum(Credit.amount_fen)).group_by(Credit.household_id)
    )
    return {household_id: int(fen) for household_id, fen in rows}


def pools(session: Session) -> list[tuple[Attribution, int | None, int | None, int]]:
    """How each pool is shared, its scope and its fen, in the order of writing."""
    query = select(LinkagePool.attribution, LinkagePool.lot_id, LinkagePool.period_id, LinkagePool.pool_fen)
    return [tuple(row) for row in session.execute(query.order_by(LinkagePool.id))]


def test_rent_reaches_households_by_way_of_their_villages(session: Session, clock: HeldClock) -> None:
    beneficiary_policy()
    cooperative = CooperativeFactory()
    period = PeriodFactory(cooperative=cooperative)
    near = [AssetLeaseFactory(enrolment=EnrolmentFactory(cooperative=cooperative)) for _ in range(2)]
    receive_rent(session, cooperative, rent_fen=100_000)
    far = AssetLeaseFactory(
        enrolment=EnrolmentFactory(cooperative=cooperative, household__place=RegionFactory(code=NEXT_VILLAGE))
    )
    EntitlementFactory(agreement=far, period=period, amount_fen=35_000)
    sell(session, offer(session, cooperative, terms=ASSET), units=1)

    assert settle_lines(session) == 1

    # a tenth of 50.00 yuan by 350, 350 and 350: 166.67 each, the odd fen to the first two
    by_household = {near[0].household_id: 167, near[1].household_id: 167, far.household_id: 166}
    assert credited(session) == by_household
    entry = session.scalars(select(Entry).where(Entry.kind == EntryKind.LINE_SETTLED)).one()
    assert session.scalar(select(func.count(Transfer.id)).where(Transfer.entry_id == entry.id)) == 1 + 2 * 3
    villages = [AccountKey.village_payable(code, cooperative.id) for code in (VILLAGE, NEXT_VILLAGE)]
    payable = [AccountKey.household_payable(cooperative.id, one) for one in by_household]
    found = balances(session, [*villages, *payable, AccountKey.cooperative_payable(cooperative.id)])
    assert [found[key] for key in villages] == [0, 0]
    assert [found[key] for key in payable] == [167, 167, 166]
    assert found[AccountKey.cooperative_payable(cooperative.id)] == 4_500


def test_rent_that_waited_is_distributed_by_way_of_the_village(session: Session, clock: HeldClock) -> None:
    beneficiary_policy()
    cooperative = CooperativeFactory()
    PeriodFactory(cooperative=cooperative)
    sell(session, offer(session, cooperative, terms=ASSET), units=1)
    settle_lines(session)
    waiting = AccountKey.unallocated(cooperative.id)
    assert balances(session, [waiting])[waiting] == 500

    lease = AssetLeaseFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    receive_rent(session, cooperative, rent_fen=100_000)
    assert distribute_pools(session) == 1

    village = AccountKey.village_payable(VILLAGE, cooperative.id)
    household = AccountKey.household_payable(cooperative.id, lease.household_id)
    found = balances(session, [waiting, village, household])
    assert [found[key] for key in (waiting, village, household)] == [0, 0, 500]
    assert credited(session) == {lease.household_id: 500}


def test_what_goes_to_households_comes_back_the_same_way() -> None:
    cooperative = AccountKey.cooperative_payable(1)
    village, household = AccountKey.village_payable(VILLAGE, 1), AccountKey.household_payable(1, 7)
    assert to_households(cooperative, 1, {7: 30}, {7: VILLAGE}) == [
        TransferDraft(cooperative, village, 30),
        TransferDraft(village, household, 30),
    ]
    assert from_households(cooperative, 1, {7: 30}, {7: VILLAGE}) == [
        TransferDraft(household, village, 30),
        TransferDraft(village, cooperative, 30),
    ]


def test_a_lot_with_labour_gets_its_part_and_the_rest_goes_to_the_period(
    session: Session, clock: HeldClock
) -> None:
    beneficiary_policy()
    cooperative = CooperativeFactory()
    period = PeriodFactory(cooperative=cooperative)
    offered = offer(session, cooperative, units=3, terms=LABOUR)
    bare = lot_for(session, offered, units=4, harvested_on=START.date())
    picker, guard = (EmploymentFactory(enrolment=EnrolmentFactory(cooperative=cooperative)) for _ in range(2))
    attend(session, picker, lot=offered.lot)
    attend(session, guard, minutes=60)
    sell(session, offered, units=7)

    assert settle_lines(session) == 1

    # 350.00 net, a tenth is 35.00; three of seven units are of the lot that was picked
    assert pools(session) == [
        (Attribution.DIRECT, offered.lot.id, None, 1_500),
        (Attribution.ALLOCATED, None, period.id, 2_000),
    ]
    assert credited(session) == {picker.household_id: 1_500, guard.household_id: 2_000}
    assert bare.committed_g == 4 * 500


def test_labour_of_the_period_waits_when_there_is_none_yet(session: Session, clock: HeldClock) -> None:
    beneficiary_policy()
    cooperative = CooperativeFactory()
    period = PeriodFactory(cooperative=cooperative)
    sell(session, offer(session, cooperative, terms=LABOUR), units=1)
    settle_lines(session)
    assert pools(session) == [(Attribution.ALLOCATED, None, period.id, 500)]
    worker = EmploymentFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    attend(session, worker)
    assert distribute_pools(session) == 1
    assert credited(session) == {worker.household_id: 500}


@given(
    st.integers(1, 10_000_000),
    st.integers(1, 10_000),
    st.lists(st.tuples(st.integers(1, 100_000), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(1, 1_000_000), min_size=1, max_size=8),
)
def test_labour_either_way_sums_to_the_fen(
    net_fen: int, rate_bp: int, lots: list[tuple[int, bool]], weights: list[int]
) -> None:
    labour = Mechanism.EMPLOYMENT
    by_household = dict(enumerate(weights, start=1))
    line = DueLine(
        line_id=1,
        cooperative_id=1,
        net_fen=net_fen,
        due_at=START,
        terms=((labour, rate_bp),),
        lots=tuple((number, grams) for number, (grams, _) in enumerate(lots, start=1)),
        period_id=9,
    )
    scopes = {
        (labour, number, None): by_household for number, (_, worked) in enumerate(lots, start=1) if worked
    }
    scopes[labour, None, 9] = by_household
    parts = compute_pools(line, scopes)
    pool_fen = sum(part.pool_fen for part in parts)
    assert abs(pool_fen - Fraction(net_fen * rate_bp, 10_000)) <= Fraction(1, 2)
    assert all(part.pool_fen > 0 and part.scope in scopes for part in parts)
    assert sum(sum(shares_of(part.pool_fen, scopes[part.scope]).values()) for part in parts) == pool_fen
