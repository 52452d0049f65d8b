"""Filing a reserved quota: what is refused, what is kept, and that one filing is in force for a unit and year."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import SHANGHAI
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, StoredFile, TrailEntry, User
from marketplace.procurement.quota.models import QuotaCover, QuotaDecision, QuotaFiling
from marketplace.procurement.quota.queries import FilingState, filing_in_force, state_of, tasks_of
from marketplace.procurement.quota.rules import decide_filing, file_quota
from marketplace.registry.models import BuyerUnit
from tests.conftest import HeldClock
from tests.factories.quota import MILLION, confirmed, filed, paper, quota_rule
from tests.factories.registry import BuyerUnitFactory, actor_at, user_of
from tests.ordering.test_concurrency import all_at_once


@pytest.fixture
def unit(session: Session, clock: HeldClock) -> BuyerUnit:
    """A unit whose rule asks 10 % by 30 June; today is 1 June 2026."""
    quota_rule()
    return BuyerUnitFactory()


def counts(session: Session) -> tuple[int, int, int]:
    def number(model: type) -> int:
        return session.scalar(select(func.count()).select_from(model)) or 0

    return number(QuotaFiling), number(QuotaDecision), number(QuotaCover)


def decision(filing: QuotaFiling, filed_by: int | None, decided_by: int | None) -> dict[str, object]:
    return {
        "filing_id": filing.id,
        "filed_by": filed_by,
        "is_confirmed": True,
        "note": "",
        "decided_by": decided_by,
    }


def refusal(session: Session, act) -> DomainError:
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    return refused.value


# --- what is refused ---


@pytest.mark.parametrize(
    ("code", "field", "facts"),
    [
        ("base_zero", "base_fen", {"base_fen": 0}),
        ("base_zero", "base_fen", {"base_fen": -MILLION}),
        ("base_absurd", "base_fen", {"base_fen": 9_999}),
        ("base_absurd", "base_fen", {"base_fen": 50_000_000_001}),
        ("under_floor", "reserve_bp", {"reserve_bp": 999}),
        ("over_whole", "reserve_bp", {"reserve_bp": 10_001}),
        ("no_evidence", "papers", {"papers": []}),
    ],
)
def test_a_filing_that_cannot_be_is_refused(
    session: Session, unit: BuyerUnit, code: str, field: str, facts: dict[str, object]
) -> None:
    refused = refusal(session, lambda: filed(session, unit, **facts))
    assert (refused.code, refused.field) == (code, field)
    assert counts(session) == (0, 0, 0)


@pytest.mark.parametrize("year", [2020, 2025, 2027])
def test_another_year_than_this_is_refused(session: Session, unit: BuyerUnit, year: int) -> None:
    refused = refusal(
        session,
        lambda: file_quota(
            session,
            actor_at(unit, Role.UNIT_ORDERER),
            year=year,
            base_fen=MILLION,
            reserve_bp=1_000,
            papers=[paper(session, unit)],
            idempotency_key="a-filing-of-another-year",
        ),
    )
    assert (refused.code, refused.field) == ("filing_year", "year")
    assert counts(session) == (0, 0, 0)


def test_without_a_rule_nothing_is_filed(session: Session, clock: HeldClock) -> None:
    assert refusal(session, lambda: filed(session, BuyerUnitFactory())).code == "no_quota_rule"
    assert counts(session) == (0, 0, 0)


def test_the_papers_of_another_unit_are_not_found(session: Session, unit: BuyerUnit) -> None:
    foreign = paper(session, BuyerUnitFactory())
    assert isinstance(refusal(session, lambda: filed(session, unit, papers=[foreign])), NotFound)
    assert counts(session) == (0, 0, 0)


@pytest.mark.parametrize("role", [Role.UNIT_APPROVER, Role.UNIT_RECEIVER, Role.UNIT_PAYER])
def test_only_the_orderer_files(session: Session, unit: BuyerUnit, role: Role) -> None:
    other = actor_at(unit, role)
    assert isinstance(refusal(session, lambda: filed(session, unit, orderer=other)), Forbidden)
    assert counts(session) == (0, 0, 0)


def test_a_second_filing_waits_for_the_first(session: Session, unit: BuyerUnit) -> None:
    filed(session, unit)
    assert refusal(session, lambda: filed(session, unit)).code == "filing_waiting"
    assert counts(session) == (1, 0, 1)


def test_less_than_last_year_wants_an_explanation(
    session: Session, unit: BuyerUnit, clock: HeldClock
) -> None:
    confirmed(session, unit, base_fen=MILLION, reserve_bp=1_500)
    clock.set_to(datetime(2027, 3, 1, 9, 0, tzinfo=SHANGHAI))
    for less in ({"base_fen": MILLION - 1, "reserve_bp": 1_500}, {"reserve_bp": 1_499}, {}):
        refused = refusal(session, lambda less=less: filed(session, unit, explanation=" 少 ", **less))
        assert (refused.code, refused.field) == ("decrease_unexplained", "explanation")
        assert str(refused) == "比去年少（去年总额 1,000,000.00 元，预留 150,000.00 元），请写明原因"
    assert counts(session) == (1, 1, 1)
    filing = filed(session, unit, explanation="高三年级搬到新校区，用餐人数减少三分之一")
    assert (filing.last_base_fen, filing.last_reserve_fen, filing.reserve_fen) == (
        MILLION,
        15_000_000,
        10_000_000,
    )


def test_as_much_as_last_year_needs_no_explanation(
    session: Session, unit: BuyerUnit, clock: HeldClock
) -> None:
    confirmed(session, unit)
    clock.set_to(datetime(2027, 3, 1, 9, 0, tzinfo=SHANGHAI))
    assert filed(session, unit).explanation == ""


# --- what is kept ---


def test_ten_percent_of_a_million_is_a_hundred_thousand(session: Session, unit: BuyerUnit) -> None:
    orderer = actor_at(unit, Role.UNIT_ORDERER)
    filing = filed(session, unit, orderer=orderer, contractor="  食安 餐饮有限公司 ")
    assert (filing.base_fen, filing.reserve_bp, filing.reserve_fen) == (100_000_000, 1_000, 10_000_000)
    assert (filing.floor_bp, filing.due_on, filing.filed_on, filing.is_late) == (
        1_000,
        date(2026, 6, 30),
        date(2026, 6, 1),
        False,
    )
    assert filing.contractor == "食安 餐饮有限公司"
    trail = session.scalars(select(TrailEntry).where(TrailEntry.action == "procurement.file_quota")).one()
    assert (trail.buyer_unit_id, trail.detail["reserve_fen"]) == (unit.id, 10_000_000)


def test_half_a_fen_of_the_reserve_is_rounded_up(session: Session, unit: BuyerUnit) -> None:
    assert filed(session, unit, base_fen=100_005).reserve_fen == 10_001


def test_the_last_day_is_in_time_and_the_next_is_late(session: Session, clock: HeldClock) -> None:
    quota_rule()
    clock.set_to(datetime(2026, 6, 30, 23, 59, tzinfo=SHANGHAI))
    assert not filed(session, BuyerUnitFactory()).is_late
    clock.set_to(datetime(2026, 7, 1, 0, 0, tzinfo=SHANGHAI))
    unit = BuyerUnitFactory()
    assert filed(session, unit).is_late
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text("UPDATE quota_filing SET is_late = false"))


def test_a_repeated_submit_is_the_first_filing(session: Session, unit: BuyerUnit) -> None:
    orderer, key = actor_at(unit, Role.UNIT_ORDERER), "the-same-form-sent-twice"
    first = filed(session, unit, orderer=orderer, idempotency_key=key)
    assert filed(session, unit, orderer=orderer, idempotency_key=key) is first
    assert counts(session) == (1, 0, 1)


# --- confirming ---


def test_a_confirmed_filing_is_in_force(session: Session, unit: BuyerUnit) -> None:
    filing = filed(session, unit)
    approver = actor_at(unit, Role.UNIT_APPROVER)
    assert [task.count for task in tasks_of(session, approver)] == [1]
    assert filing_in_force(session, unit.id, 2026) is None
    decide_filing(session, approver, filing, is_confirmed=True)
    assert filing_in_force(session, unit.id, 2026) is filing
    assert state_of(filing, filing) is FilingState.IN_FORCE
    assert tasks_of(session, approver) == []


def test_who_filed_does_not_confirm(session: Session, unit: BuyerUnit) -> None:
    both = actor_at(unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    filing = filed(session, unit, orderer=both)
    refused = refusal(session, lambda: decide_filing(session, both, filing, is_confirmed=True))
    assert (type(refused), refused.code) == (Forbidden, "own_filing")
    with pytest.raises(IntegrityError, match="separate_duties"), session.begin_nested():
        session.execute(insert(QuotaDecision), decision(filing, both.user_id, both.user_id))
    assert counts(session) == (1, 0, 1)
    assert tasks_of(session, both) == []


def test_the_database_knows_who_filed(session: Session, unit: BuyerUnit) -> None:
    filing = filed(session, unit)
    somebody = user_of(unit, Role.UNIT_RECEIVER)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(QuotaDecision), decision(filing, somebody.id, filing.filed_by))
    assert counts(session) == (1, 0, 1)


def test_another_unit_s_approver_does_not_find_it(session: Session, unit: BuyerUnit) -> None:
    filing = filed(session, unit)
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_APPROVER)
    assert isinstance(
        refusal(session, lambda: decide_filing(session, stranger, filing, is_confirmed=True)), NotFound
    )
    assert counts(session) == (1, 0, 1)


def test_a_returned_filing_is_filed_again(session: Session, unit: BuyerUnit) -> None:
    orderer, approver = actor_at(unit, Role.UNIT_ORDERER), actor_at(unit, Role.UNIT_APPROVER)
    filing = filed(session, unit, orderer=orderer)
    assert (
        refusal(session, lambda: decide_filing(session, approver, filing, is_confirmed=False)).code
        == "return_reason"
    )
    decide_filing(session, approver, filing, is_confirmed=False, note="总额少算了教工食堂")
    assert [task.message for task in tasks_of(session, orderer)] == [
        "%(count)s 份预留份额申报被退回，请改正后再报"
    ]
    again = filed(session, unit, orderer=orderer, base_fen=2 * MILLION)
    decide_filing(session, approver, again, is_confirmed=True)
    assert (again.version, again.amends_id) == (2, None)
    assert filing_in_force(session, unit.id, 2026) is again
    assert state_of(filing, again) is FilingState.RETURNED


def test_an_amendment_is_a_new_version_that_says_why(session: Session, unit: BuyerUnit) -> None:
    first = confirmed(session, unit)
    refused = refusal(session, lambda: filed(session, unit, base_fen=2 * MILLION))
    assert (refused.code, refused.field) == ("amendment_reason", "amendment_reason")
    second = filed(session, unit, base_fen=2 * MILLION, amendment_reason="新增一个年级，用餐人数增加")
    assert (second.version, second.amends_id) == (2, first.id)
    assert filing_in_force(session, unit.id, 2026) is first
    decide_filing(session, actor_at(unit, Role.UNIT_APPROVER), second, is_confirmed=True)
    session.expire_all()
    assert filing_in_force(session, unit.id, 2026) is second
    assert state_of(first, second) is FilingState.SUPERSEDED
    assert counts(session) == (2, 2, 1)


def test_an_amendment_after_the_last_day_is_not_late(
    session: Session, unit: BuyerUnit, clock: HeldClock
) -> None:
    confirmed(session, unit)
    clock.set_to(datetime(2026, 9, 1, 9, 0, tzinfo=SHANGHAI))
    assert not filed(session, unit, amendment_reason="新增一个年级，用餐人数增加").is_late


def test_a_filing_is_decided_once(session: Session, unit: BuyerUnit) -> None:
    filing = confirmed(session, unit)
    other = actor_at(unit, Role.UNIT_APPROVER)
    refused = refusal(
        session, lambda: decide_filing(session, other, filing, is_confirmed=False, note="再看看总额")
    )
    assert (type(refused), refused.code) == (Conflict, "filing_decided")
    assert counts(session) == (1, 1, 1)


# --- the database ---


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("base", {"base_fen": 0, "reserve_fen": 0}),
        ("floor", {"reserve_bp": 999, "reserve_fen": 9_990_000}),
        ("reserve", {"reserve_fen": 1}),
        ("decrease_explained", {"last_base_fen": 2 * MILLION, "last_reserve_fen": 1}),
        ("amendment", {"amendment_reason": "没有被变更的申报"}),
        ("late", {"is_late": True}),
    ],
)
def test_the_database_refuses_what_the_rule_would(
    session: Session, unit: BuyerUnit, name: str, change: dict[str, object]
) -> None:
    rule = session.execute(text("SELECT id FROM reserved_quota_rule")).scalar_one()
    facts = {
        "unit_id": unit.id,
        "year": 2026,
        "version": 1,
        "rule_id": rule,
        "base_fen": MILLION,
        "floor_bp": 1_000,
        "reserve_bp": 1_000,
        "reserve_fen": 10_000_000,
        "due_on": date(2026, 6, 30),
        "filed_on": date(2026, 6, 1),
        "is_late": False,
        "idempotency_key": "straight-into-the-table",
        "filed_by": user_of(unit).id,
        **change,
    }
    with pytest.raises(IntegrityError, match=name), session.begin_nested():
        session.execute(insert(QuotaFiling), facts)
    assert counts(session) == (0, 0, 0)


def test_two_people_who_file_at_once_make_one_filing(
    session: Session, engine: Engine, unit: BuyerUnit
) -> None:
    people = [user_of(unit, Role.UNIT_ORDERER).id for _ in range(2)]
    paper_id = paper(session, unit).id
    session.commit()

    def filing(user_id: int):
        def act(own: Session) -> object:
            return file_quota(
                own,
                actor_of(own.get_one(User, user_id)),
                year=2026,
                base_fen=MILLION,
                reserve_bp=1_000,
                papers=[own.get_one(StoredFile, paper_id)],
                idempotency_key=f"a-form-of-{user_id}",
            ).version

        return act

    answers = all_at_once(engine, [filing(one) for one in people])
    assert sorted(answers, key=str) in ([1, "filed_twice"], [1, "filing_waiting"])
    session.expire_all()
    assert counts(session) == (1, 0, 1)
