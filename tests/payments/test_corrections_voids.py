"""After a household was found ineligible its entitlements from that day on weigh no more: in sales, in waiting pools,
in guarantees; what was decided before stands."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.recompute.report import Kind
from marketplace.audit.recompute.run import recompute_everything
from marketplace.audit.trace import trace_credit
from marketplace.core.errors import Conflict, Refused
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.linkage.evidence import version_for
from marketplace.linkage.models import Agreement, Entitlement, EntitlementVoid, Evidence, Lot, Mechanism
from marketplace.linkage.queries import weights_in_scope
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.corrections.models import CorrectionKind, CorrectionSet
from marketplace.payments.corrections.queries import voids_of
from marketplace.payments.corrections.rules import agree_correction, propose_correction
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.models import Credit
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative, Household
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.linkage import ContractFactory, weigh
from tests.factories.refunds import refunded, standing
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, beneficiary_policy
from tests.factories.trade import Offer, offer, sell
from tests.payments.test_corrections import county, findings, ineligible, snapshot
from tests.payments.test_corrections_paths import at_once

FROM = date(2026, 5, 10)  # before the slips of 20 May
BEFORE = date(2026, 5, 5)


def contract(cooperative: Cooperative) -> Agreement:
    found: Agreement = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    return found


def offered_at(session: Session, cooperative: Cooperative) -> Offer:
    return offer(session, cooperative, tiers=((1, 10),), terms={Mechanism.CONTRACT_FARMING: 1_000})


def delivered(session: Session, agreement: Agreement, lot: Lot, net_g: int, **fields: object) -> Evidence:
    return weigh(session, agreement, lot, slip_no=f"V{agreement.id}-{net_g}", net_g=net_g, **fields)


def sold(session: Session, offered: Offer, number: int, units: int = 10) -> object:
    order = sell(session, offered, units=units, key=f"an-order-with-number-{number}")
    settle_lines(session)
    return order


def proposed(session: Session, household: int, from_on: date = FROM) -> CorrectionSet:
    ineligible(session, household, from_on=from_on)
    return propose(session, household, from_on)


def propose(session: Session, household: int, from_on: date = FROM) -> CorrectionSet:
    return propose_correction(
        session,
        county(),
        kind=CorrectionKind.INELIGIBLE,
        household=session.get_one(Household, household),
        from_on=from_on,
        reason="动态管理复核",
    )


def corrected(session: Session, clock: HeldClock, household: int, from_on: date = FROM) -> CorrectionSet:
    """Agreed to, a minute after whatever happened before and a minute before whatever comes."""
    clock.advance(minutes=1)
    found = agree_correction(session, county(), proposed(session, household, from_on))
    clock.advance(minutes=1)
    return found


def clean(session: Session) -> None:
    assert findings(session) == []
    report = recompute_everything(session)
    assert (report.agrees, report.first) == (True, [])


@pytest.fixture
def cooperative(session: Session) -> Cooperative:
    beneficiary_policy()
    found: Cooperative = CooperativeFactory()
    return found


@pytest.fixture
def offered(session: Session, cooperative: Cooperative) -> Offer:
    return offered_at(session, cooperative)


@pytest.fixture
def three(session: Session, cooperative: Cooperative, offered: Offer) -> list[int]:
    """Households that delivered in the proportion 3:1:6."""
    contracts = [contract(cooperative) for _ in range(3)]
    for agreement, net_g in zip(contracts, (3_000, 1_000, 6_000), strict=True):
        delivered(session, agreement, offered.lot, net_g)
    return [agreement.household_id for agreement in contracts]


def test_a_sale_after_the_correction_credits_only_the_others(
    session: Session, clock: HeldClock, offered: Offer, three: list[int]
) -> None:
    first, second, third = three
    order = sold(session, offered, 1)
    assert standing(session) == {first: 3, second: 1, third: 6}
    found = corrected(session, clock, third)
    assert standing(session) == {first: 8, second: 2, third: 0}
    void = session.scalars(select(EntitlementVoid)).one()
    entitlement = session.get_one(Entitlement, void.entitlement_id)
    assert (entitlement.household_id, entitlement.void) == (third, void)
    assert (void.correction_no, void.reason) == (found.public_no, "动态管理复核")
    assert void.voided_at == found.decided_at

    sold(session, offered, 2)
    assert standing(session) == {first: 16, second: 4, third: 0}
    with pytest.raises(Refused, match="没有需要更正"):
        propose(session, third)
    clean(session)

    refunded(session, order, 5)
    assert standing(session) == {first: 12, second: 3, third: 0}
    refunded(session, order, 5, key="the-rest-of-it")
    assert standing(session) == {first: 8, second: 2, third: 0}
    clean(session)


def test_a_refund_of_a_line_sold_after_the_correction_takes_from_the_others_alone(
    session: Session, clock: HeldClock, offered: Offer, three: list[int]
) -> None:
    first, second, third = three
    corrected(session, clock, third)
    order = sold(session, offered, 1)
    assert standing(session) == {first: 8, second: 2}
    refunded(session, order, 10)
    assert standing(session) == {first: 0, second: 0}
    clean(session)


def test_weights_of_an_earlier_sharing_keep_what_was_voided_later(
    session: Session, clock: HeldClock, offered: Offer, three: list[int]
) -> None:
    scope = (Mechanism.CONTRACT_FARMING, offered.lot.id, None)
    then, last = clock.now, 10**9
    whole = weights_in_scope(session, [scope], last)[scope]
    assert set(whole) == set(three)
    found = corrected(session, clock, three[2])
    left = {household: fen for household, fen in whole.items() if household != three[2]}
    assert found.decided_at is not None
    assert weights_in_scope(session, [scope], last)[scope] == left
    assert weights_in_scope(session, [scope], last, at=then)[scope] == whole
    assert weights_in_scope(session, [scope], last, at=found.decided_at)[scope] == left
    just_before = found.decided_at - timedelta(microseconds=1)
    assert weights_in_scope(session, [scope], last, at=just_before)[scope] == whole


def test_evidence_from_before_the_date_still_counts(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    both, other = contract(cooperative), contract(cooperative)
    delivered(session, both, offered.lot, 1_000, weighed_on=BEFORE)
    delivered(session, both, offered.lot, 8_000)
    delivered(session, other, offered.lot, 1_000)
    corrected(session, clock, both.household_id)
    sold(session, offered, 1)
    assert standing(session) == {both.household_id: 5, other.household_id: 5}
    clean(session)


def test_a_household_without_credits_is_corrected_before_its_goods_are_sold(
    session: Session, clock: HeldClock, offered: Offer, three: list[int]
) -> None:
    found = proposed(session, three[0])
    assert (found.pools, found.taken_fen, found.cooperative_id) == (0, 0, offered.lot.cooperative_id)
    wanted = voids_of(session, found)
    assert (wanted[0], session.scalars(select(EntitlementVoid)).all()) == (1, [])
    clock.advance(minutes=1)
    agree_correction(session, county(), found)
    assert voids_of(session, found) == wanted
    clock.advance(minutes=1)
    sold(session, offered, 1)
    assert three[0] not in standing(session)
    clean(session)


def test_another_slip_between_proposal_and_agreement_is_ground_moved(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    agreement = contract(cooperative)
    delivered(session, agreement, offered.lot, 1_000)
    found = proposed(session, agreement.household_id)
    entitlement = session.scalars(select(Entitlement)).one()
    session.execute(
        insert(EntitlementVoid),
        [
            {
                "entitlement_id": entitlement.id,
                "correction_no": "GZ00000000",
                "reason": "别处",
                "voided_at": clock.now,
            }
        ],
    )
    before = snapshot(session)
    with pytest.raises(Conflict, match="又有变化"):
        agree_correction(session, county(), found)
    assert snapshot(session) == before


def test_a_pool_whose_weights_are_all_void_waits_as_one_without_evidence(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    gone = contract(cooperative)
    delivered(session, gone, offered.lot, 1_000)
    corrected(session, clock, gone.household_id)
    sold(session, offered, 1)
    waiting = AccountKey.unallocated(cooperative.id)
    assert balances(session, [waiting])[waiting] == 10
    assert distribute_pools(session) == 0
    clean(session)

    stays = contract(cooperative)
    delivered(session, stays, offered.lot, 2_000)
    clock.advance(minutes=1)
    assert distribute_pools(session) == 1
    assert (standing(session), balances(session, [waiting])[waiting]) == ({stays.household_id: 10}, 0)
    clean(session)


def test_a_pool_that_waited_is_shared_out_without_what_was_voided_meanwhile(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    sold(session, offered, 1)
    gone, stays = contract(cooperative), contract(cooperative)
    delivered(session, gone, offered.lot, 9_000)
    delivered(session, stays, offered.lot, 1_000)
    corrected(session, clock, gone.household_id)
    assert distribute_pools(session) == 1
    assert standing(session) == {stays.household_id: 10}
    clean(session)


def test_nothing_that_was_voided_is_guaranteed(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    gone, stays = contract(cooperative), contract(cooperative)
    for agreement in (gone, stays):
        delivered(session, agreement, offered.lot, 1_000)
    due_fen = session.scalars(select(Entitlement.amount_fen)).all()
    corrected(session, clock, gone.household_id)
    clock.advance(days=60)
    assert post_due_guarantees(session) == 1
    keys = [AccountKey.household_payable(cooperative.id, one.household_id) for one in (gone, stays)]
    assert list(balances(session, keys).values()) == [0, due_fen[1]]
    clean(session)


def test_a_guarantee_posted_before_the_correction_stays_as_it_was_decided(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    gone = contract(cooperative)
    delivered(session, gone, offered.lot, 1_000)
    clock.advance(days=60)
    assert post_due_guarantees(session) == 1
    corrected(session, clock, gone.household_id)
    assert post_due_guarantees(session) == 0
    clean(session)


def test_an_entitlement_is_voided_once_and_for_all(
    session: Session, clock: HeldClock, offered: Offer, three: list[int]
) -> None:
    corrected(session, clock, three[0])
    void = session.scalars(select(EntitlementVoid)).one()
    row = {
        "entitlement_id": void.entitlement_id,
        "correction_no": "GZ00000000",
        "reason": "又一次",
        "voided_at": clock.now,
    }
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(EntitlementVoid), [row])
    for change in ("UPDATE entitlement_void SET reason = '改'", "DELETE FROM entitlement_void"):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.connection().exec_driver_sql(change)


def test_a_second_correction_from_an_earlier_day_voids_what_the_first_left(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    gone, stays = contract(cooperative), contract(cooperative)
    delivered(session, gone, offered.lot, 1_000, weighed_on=BEFORE)
    delivered(session, gone, offered.lot, 8_000)
    delivered(session, stays, offered.lot, 1_000)
    first = corrected(session, clock, gone.household_id)
    second = corrected(session, clock, gone.household_id, date(2026, 5, 1))
    voids = session.scalars(select(EntitlementVoid).order_by(EntitlementVoid.voided_at)).all()
    assert [void.correction_no for void in voids] == [first.public_no, second.public_no]
    sold(session, offered, 1)
    assert standing(session) == {stays.household_id: 10}
    clean(session)


def test_later_evidence_of_those_days_is_refused(
    session: Session, clock: HeldClock, cooperative: Cooperative, offered: Offer
) -> None:
    gone = contract(cooperative)
    delivered(session, gone, offered.lot, 1_000)
    corrected(session, clock, gone.household_id)
    with pytest.raises(Refused, match="不属于帮扶对象"):
        version_for(session, gone, Mechanism.CONTRACT_FARMING, date(2026, 5, 25), field="weighed_on")


def test_the_recomputation_finds_a_void_that_nobody_agreed_to_and_one_that_is_missing(
    session: Session, clock: HeldClock, offered: Offer, three: list[int]
) -> None:
    corrected(session, clock, three[2])
    sold(session, offered, 1)
    clean(session)
    entitlement = session.scalars(select(Entitlement).where(Entitlement.household_id == three[0])).one()
    with session.begin_nested() as nested:
        row = {"entitlement_id": entitlement.id, "correction_no": "GZ00000000", "reason": "无人同意"}
        session.execute(insert(EntitlementVoid), [row | {"voided_at": clock.now}])
        report = recompute_everything(session)
        assert report.differing[Kind.VOID] == 1
        (difference,) = [one for one in report.first if one.kind is Kind.VOID]
        assert (difference.numbers[-1], difference.recomputed) == ("GZ00000000", None)
        nested.rollback()


def test_a_traced_credit_is_recomputed_by_the_weights_of_its_day(
    session: Session, clock: HeldClock, offered: Offer, three: list[int]
) -> None:
    sold(session, offered, 1)
    corrected(session, clock, three[2])
    sold(session, offered, 2)
    auditor = actor_with(Role.AUDITOR)
    for credit in session.scalars(select(Credit)).all():
        traced = trace_credit(session, auditor, credit.public_no)
        assert traced.pool.agrees
        assert sum(one.amount_fen for one in traced.evidence) == credit.weight_fen
    gone = session.scalars(select(Credit).where(Credit.household_id == three[2])).one()
    assert trace_credit(session, auditor, gone.public_no).standing_fen == 0


@pytest.mark.databases("postgresql")
def test_a_sale_settled_beside_the_correction_is_before_or_after_it(
    engine: Engine,
    session: Session,
    clock: HeldClock,
    cooperative: Cooperative,
    offered: Offer,
    three: list[int],
) -> None:
    key, reviewer = proposed(session, three[2]).id, county()
    for number in range(3):
        sell(session, offered, units=10, key=f"an-order-with-number-{number}")
    session.commit()

    def settle(own: Session) -> None:
        for _ in range(3):
            settle_lines(own, limit=1)
            own.commit()

    outcomes = at_once(
        engine, settle, lambda own: agree_correction(own, reviewer, own.get_one(CorrectionSet, key))
    )
    session.rollback()
    assert outcomes in (["done", "done"], ["done", "ground_moved"])
    voided = session.scalar(select(EntitlementVoid.voided_at))
    if voided is None:
        assert outcomes == ["done", "ground_moved"]
    else:
        late = select(Credit).where(Credit.household_id == three[2], Credit.credited_at >= voided)
        assert session.scalars(late).all() == []
    clean(session)
