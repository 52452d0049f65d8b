"""Registry corrections: what is proposed, to the fen; what two people post; what is refused, and changes nothing."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ledger.queries import balances, household_totals
from marketplace.payments.corrections.models import (
    CorrectionKind,
    CorrectionLine,
    CorrectionSet,
    CorrectionState,
)
from marketplace.payments.corrections.rules import agree_correction, decline_correction, propose_correction
from marketplace.payments.models import LinkagePool
from marketplace.payments.payouts.verify import CHECKS as PAYOUT_CHECKS
from marketplace.payments.queries import net_credits
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative, Household, HouseholdStatusKind
from marketplace.registry.rules import record_status
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.refunds import refunded, shared_offer, standing
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at
from tests.factories.trade import sell

FROM = date(2026, 6, 1)


def county() -> Actor:
    """A reviewer of the county."""
    return actor_with(Role.COUNTY_REVIEWER)


def ineligible(session: Session, household_id: int, *, from_on: date = FROM) -> Household:
    """A household that the county found ineligible as of a day."""
    household = session.get_one(Household, household_id)
    record_status(
        session,
        county(),
        household,
        status=HouseholdStatusKind.INELIGIBLE,
        valid_from=from_on,
        reason="复核发现有商品房",
    )
    return household


def proposed(session: Session, household: Household, actor: Actor | None = None) -> CorrectionSet:
    return propose_correction(
        session,
        actor or county(),
        kind=CorrectionKind.INELIGIBLE,
        household=household,
        from_on=FROM,
        reason="动态管理复核",
    )


def payable(session: Session, cooperative: Cooperative, *households: int) -> list[int]:
    keys = [AccountKey.household_payable(cooperative.id, household) for household in households]
    found = balances(session, keys)
    return [found[key] for key in keys]


def pay_out(session: Session, cooperative: Cooperative, household: int, fen: int, clock: HeldClock) -> None:
    source = AccountKey.household_payable(cooperative.id, household)
    transfer = TransferDraft(source, AccountKey.payout_clearing(cooperative.id), fen)
    post_entry(
        session,
        EntryDraft(
            kind=EntryKind.PAYOUT_SENT,
            idempotency_key=f"payout:{household}",
            occurred_at=clock.now,
            transfers=(transfer,),
            subject=("payout", household),
            cooperative_id=cooperative.id,
        ),
    )


def findings(session: Session) -> list[str]:
    """What the checks find; `pay_out` here has no payout behind it, so the checks of payouts are left out."""
    asked = [check for check in CHECKS if check not in PAYOUT_CHECKS]
    return [str(one) for result in run_checks(session, asked) for one in result.findings]


def snapshot(session: Session) -> tuple[int, dict[int, int]]:
    return session.scalar(select(func.count()).select_from(Entry)) or 0, standing(session)


def test_an_ineligible_household_s_share_goes_to_those_who_remain(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, (first, second, third) = shared_offer(session, cooperative, 3, 1, 6)
    sell(session, offered, units=10)
    settle_lines(session)
    found = proposed(session, ineligible(session, third))
    assert (found.pools, found.taken_fen, found.given_fen, found.unallocated_fen) == (1, 6, 6, 0)
    assert found.cooperative_id == cooperative.id
    assert standing(session) == {first: 3, second: 1, third: 6}  # nothing is posted yet

    agree_correction(session, county(), found)

    # 10 fen over weights 3:1 are 7.5 and 2.5: the odd fen to the household with the lower number
    assert standing(session) == {first: 8, second: 2, third: 0}
    assert payable(session, cooperative, first, second, third) == [8, 2, 0]
    entry = session.scalars(select(Entry).where(Entry.kind == EntryKind.REVERSAL)).one()
    assert (entry.reason, entry.reverses_entry_id is not None) == ("动态管理复核", True)
    totals = household_totals(session, [first, third])
    assert [(one.credited_fen, one.balance_fen) for one in totals.values()] == [(8, 8), (0, 0)]
    pool = session.scalars(select(LinkagePool)).one()
    scope = (pool.mechanism, pool.lot_id, None)
    assert net_credits(session, [scope]) == {scope: {first: 8, second: 2, third: 0}}
    assert findings(session) == []


def test_money_already_paid_out_stays_and_the_cooperative_bears_it(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, (first, second) = shared_offer(session, cooperative, 4, 6)
    sell(session, offered, units=10)
    settle_lines(session)
    pay_out(session, cooperative, second, 5, clock)
    agree_correction(session, county(), proposed(session, ineligible(session, second)))

    assert payable(session, cooperative, first, second) == [10, 0]
    totals = household_totals(session, [second])[second]
    assert (totals.credited_fen, totals.relief_fen, totals.paid_out_fen) == (0, 5, 5)
    own = AccountKey.cooperative_payable(cooperative.id)
    assert balances(session, [own])[own] == 90 - 5
    assert findings(session) == []


@pytest.mark.parametrize(("before", "after"), [((), (4, 6)), ((4,), (1, 5)), ((3, 2), (5,)), ((9,), (1,))])
def test_at_a_full_refund_nobody_keeps_a_fen_of_a_corrected_line(
    session: Session, clock: HeldClock, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    cooperative = CooperativeFactory()
    offered, households = shared_offer(session, cooperative, 3, 1, 6)
    order = sell(session, offered, units=10)
    settle_lines(session)
    for number, units in enumerate(before):
        refunded(session, order, units, key=f"before-{number}")
    agree_correction(session, county(), proposed(session, ineligible(session, households[2])))
    left = 10 - sum(before)
    assert sum(standing(session).values()) == left
    assert standing(session)[households[2]] == 0
    for number, units in enumerate(after):
        refunded(session, order, units, key=f"after-{number}")
        left -= units
        assert sum(standing(session).values()) == left
        assert all(fen >= 0 for fen in standing(session).values())
        assert findings(session) == []

    assert standing(session) == dict.fromkeys(households, 0)
    keys = [AccountKey.clearing("card"), AccountKey.cooperative_payable(cooperative.id)]
    assert list(balances(session, keys).values()) == [0, 0]


def test_what_nobody_is_left_to_get_waits(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, [only] = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    found = proposed(session, ineligible(session, only))
    assert (found.taken_fen, found.given_fen, found.unallocated_fen) == (10, 0, 10)
    agree_correction(session, county(), found)

    waiting = AccountKey.unallocated(cooperative.id)
    assert standing(session) == {only: 0}
    assert balances(session, [waiting])[waiting] == 10
    refunded(session, order, 4)
    assert balances(session, [waiting])[waiting] == 6
    refunded(session, order, 6, key="the-rest-of-it")
    assert balances(session, [waiting])[waiting] == 0
    assert findings(session) == []


def test_a_second_correction_does_not_bring_the_first_household_back(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, (first, second, third) = shared_offer(session, cooperative, 3, 1, 6)
    sell(session, offered, units=10)
    settle_lines(session)
    for household in (third, first):
        agree_correction(session, county(), proposed(session, ineligible(session, household)))
    assert standing(session) == {first: 0, second: 10, third: 0}
    assert findings(session) == []


def test_credits_before_the_date_stay(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, (first, second) = shared_offer(session, cooperative, 1, 1)
    sell(session, offered, units=10)
    settle_lines(session)
    clock.advance(days=10)
    sell(session, offered, units=10, key="an-order-ten-days-later")
    settle_lines(session)
    household = ineligible(session, second, from_on=date(2026, 6, 5))
    found = propose_correction(
        session,
        county(),
        kind=CorrectionKind.INELIGIBLE,
        household=household,
        from_on=date(2026, 6, 5),
        reason="动态管理复核",
    )
    agree_correction(session, county(), found)
    assert standing(session) == {first: 15, second: 5}


def test_a_merged_household_passes_on_what_it_was_not_paid_yet(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, (first, second) = shared_offer(session, cooperative, 4, 6)
    order = sell(session, offered, units=10)
    settle_lines(session)
    pay_out(session, cooperative, second, 2, clock)
    found = propose_correction(
        session,
        county(),
        kind=CorrectionKind.MERGED,
        household=session.get_one(Household, second),
        other=session.get_one(Household, first),
        from_on=FROM,
        reason="同一户重复建档",
    )
    agree_correction(session, county(), found)
    assert standing(session) == {first: 8, second: 2}
    assert payable(session, cooperative, first, second) == [8, 0]
    assert findings(session) == []
    refunded(session, order, 10)
    assert standing(session) == {first: 0, second: 0}
    assert findings(session) == []


def test_a_split_household_gives_the_new_one_its_share(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, [household] = shared_offer(session, cooperative, 1)
    sell(session, offered, units=11)
    settle_lines(session)
    new = EnrolmentFactory(cooperative=cooperative).household
    found = propose_correction(
        session,
        county(),
        kind=CorrectionKind.SPLIT,
        household=session.get_one(Household, household),
        other=new,
        share_bp=5_000,
        from_on=FROM,
        reason="儿子分户",
    )
    agree_correction(session, county(), found)
    assert standing(session) == {household: 6, new.id: 5}  # 11 fen: the half is floored
    assert findings(session) == []


def test_a_household_that_moved_keeps_its_credits(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, [household_id] = shared_offer(session, cooperative, 1)
    sell(session, offered, units=10)
    settle_lines(session)
    household, village = session.get_one(Household, household_id), CooperativeFactory().village
    found = propose_correction(
        session,
        county(),
        kind=CorrectionKind.MOVED,
        household=household,
        village=village,
        from_on=FROM,
        reason="易地搬迁",
    )
    before = snapshot(session)
    agree_correction(session, county(), found)
    assert (household.village_code, household.county_code) == (village.code, village.code[:6])
    assert snapshot(session) == before


# --- two people ---


def test_nobody_agrees_to_his_own_proposal(session: Session, clock: HeldClock) -> None:
    offered, [household] = shared_offer(session, CooperativeFactory(), 1)
    sell(session, offered, units=10)
    settle_lines(session)
    proposer = county()
    found = proposed(session, ineligible(session, household), proposer)
    before = snapshot(session)
    with pytest.raises(Forbidden):
        agree_correction(session, proposer, found)
    with pytest.raises(Forbidden):
        decline_correction(session, proposer, found, reason="有误")
    assert (found.state, snapshot(session)) == (CorrectionState.PROPOSED, before)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(
            text(
                "UPDATE correction_set SET state = 'posted', decided_by = proposed_by, decided_at = proposed_at"
            )
        )


def test_only_those_concerned_decide(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered, [household] = shared_offer(session, cooperative, 1)
    sell(session, offered, units=10)
    settle_lines(session)
    found = proposed(session, ineligible(session, household))
    before = snapshot(session)
    for stranger, refusal in (
        (actor_at(CooperativeFactory()), NotFound),
        (actor_at(cooperative, Role.COOPERATIVE_CLERK), Forbidden),
        (actor_with(Role.AUDITOR), Forbidden),
    ):
        with pytest.raises(refusal):
            agree_correction(session, stranger, found)
    assert snapshot(session) == before
    agree_correction(session, actor_at(cooperative), found)
    assert standing(session) == {household: 0}


def test_a_declined_set_is_kept_with_its_reason(session: Session, clock: HeldClock) -> None:
    offered, [household] = shared_offer(session, CooperativeFactory(), 1)
    sell(session, offered, units=10)
    settle_lines(session)
    found = proposed(session, ineligible(session, household))
    before = snapshot(session)
    with pytest.raises(Refused):
        decline_correction(session, county(), found, reason=" ")
    decline_correction(session, county(), found, reason="认定有误，已申诉")
    with pytest.raises(Conflict):
        agree_correction(session, county(), found)
    assert (found.state, found.note) == (CorrectionState.DECLINED, "认定有误，已申诉")
    assert snapshot(session) == before


def test_a_set_whose_ground_has_moved_is_refused(session: Session, clock: HeldClock) -> None:
    offered, (first, second) = shared_offer(session, CooperativeFactory(), 1, 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    found = proposed(session, ineligible(session, second))
    refunded(session, order, 2)
    before = snapshot(session)
    with pytest.raises(Conflict, match="又有变化"):
        agree_correction(session, county(), found)
    assert (found.state, snapshot(session)) == (CorrectionState.PROPOSED, before)

    decline_correction(session, county(), found, reason="买方退款后重算")
    again = proposed(session, session.get_one(Household, second))
    agree_correction(session, county(), again)
    assert standing(session) == {first: 8, second: 0}


def test_what_cannot_be_is_refused(session: Session, clock: HeldClock) -> None:
    offered, (first, second) = shared_offer(session, CooperativeFactory(), 1, 1)
    sell(session, offered, units=10)
    settle_lines(session)
    eligible, own = session.get_one(Household, first), county()
    before = snapshot(session)
    with pytest.raises(Refused, match="仍符合条件"):
        proposed(session, eligible)
    for kind, extra in (
        (CorrectionKind.MERGED, {}),
        (CorrectionKind.MERGED, {"other": eligible}),
        (CorrectionKind.SPLIT, {"other": session.get_one(Household, second)}),
        (CorrectionKind.SPLIT, {"other": session.get_one(Household, second), "share_bp": 10_000}),
        (CorrectionKind.MOVED, {}),
    ):
        with pytest.raises(Refused):
            propose_correction(
                session, own, kind=kind, household=eligible, from_on=FROM, reason="依据", **extra
            )
    household = ineligible(session, second)
    with pytest.raises(Refused):
        propose_correction(
            session,
            own,
            kind=CorrectionKind.INELIGIBLE,
            household=household,
            from_on=date(2026, 6, 2),
            reason="依据",
        )
    proposed(session, household)
    with pytest.raises(Conflict, match="等待复核"):
        proposed(session, household)
    assert session.scalar(select(func.count()).select_from(CorrectionSet)) == 1
    assert session.scalar(select(func.count()).select_from(CorrectionLine)) == 2
    assert snapshot(session) == before
