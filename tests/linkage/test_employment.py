"""Attendance: what a day's work entitles to, and what is refused without leaving a trace."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role, TrailEntry
from marketplace.linkage.mechanisms.employment import mechanism as employment
from marketplace.linkage.mechanisms.employment.days import Work
from marketplace.linkage.mechanisms.employment.models import Attendance, LabourDay, LabourSpan
from marketplace.linkage.mechanisms.employment.queries import worked_between
from marketplace.linkage.mechanisms.employment.reading import parse_hours
from marketplace.linkage.mechanisms.employment.rules import (
    Mark,
    SheetRefused,
    record_attendance_sheet,
)
from marketplace.linkage.models import Agreement, Entitlement, Evidence, Mechanism, PeriodState
from marketplace.linkage.queries import recompute_entitlement
from marketplace.linkage.rules import amend_agreement, end_agreement, sign_agreement
from marketplace.registry.models import HouseholdStatusKind
from tests.factories.identity import actor_with
from tests.factories.linkage import (
    ContractFactory,
    EmploymentFactory,
    LotFactory,
    PeriodFactory,
    attend,
    work_terms,
)
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    HouseholdStatusFactory,
    actor_at,
    beneficiary_policy,
)

pytestmark = pytest.mark.usefixtures("clock")
DAY = date(2026, 5, 20)
PICKING = "采摘（斤）"


@pytest.fixture(autouse=True)
def policy(request):
    if "session" in request.fixturenames:
        request.getfixturevalue("session")
        beneficiary_policy()


@pytest.fixture
def agreement(session):
    made = EmploymentFactory()
    PeriodFactory(cooperative=made.cooperative)
    return made


@pytest.fixture
def lot(session, agreement):
    return LotFactory(cooperative=agreement.cooperative)


def recorded(session):
    tables = (Evidence, Attendance, LabourDay, LabourSpan, Entitlement, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def minutes_of(session, person):
    return session.scalar(select(LabourDay.minutes).where(LabourDay.person_id == person.id))


# --- what it entitles to ---


def day(minutes=None, *, pieces=None, period_ends_on=None):
    return {
        "worked_on": DAY.isoformat(),
        "minutes": minutes,
        "piece_kind": PICKING if pieces else None,
        "pieces": pieces,
        "starts_minute": None,
        "ends_minute": None,
        "period_ends_on": period_ends_on,
    }


@pytest.mark.parametrize(
    ("minutes", "rate", "amount_fen"),
    [(480, 1_500, 12_000), (450, 1_500, 11_250), (1, 1_500, 25), (1, 30, 1), (1, 29, 0), (50, 1_999, 1_666)],
)
def test_hours_are_paid_by_the_minute_and_rounded_once(minutes, rate, amount_fen):
    computed = employment.entitlement(day(minutes), work_terms(rate_fen_per_hour=rate))
    assert (computed.amount_fen, computed.due_on, computed.rule_version) == (amount_fen, date(2026, 6, 19), 1)


@given(st.integers(1, 960), st.integers(1, 100_000))
def test_a_wage_is_rounded_by_less_than_a_fen(minutes, rate):
    amount_fen = employment.entitlement(day(minutes), work_terms(rate_fen_per_hour=rate)).amount_fen
    assert Fraction(-1, 2) < amount_fen - Fraction(minutes * rate, 60) <= Fraction(1, 2)


@given(st.integers(1, 100_000), st.integers(1, 1_000_000))
def test_pieces_are_paid_exactly(pieces, rate):
    terms = work_terms(piece_rates=[{"kind": PICKING, "rate_fen": rate}])
    assert employment.entitlement(day(pieces=pieces), terms).amount_fen == pieces * rate


def test_labour_for_no_lot_is_due_when_its_period_closes():
    computed = employment.entitlement(day(480, period_ends_on="2027-01-01"), work_terms())
    assert computed.due_on == date(2027, 1, 1)


def test_work_without_a_wage_has_no_amount():
    with pytest.raises(ValueError, match="no wage"):
        employment.entitlement(day(pieces=3), work_terms(piece_rates=[]))


@pytest.mark.parametrize(
    ("text", "minutes"), [("8", 480), ("7.5", 450), ("7:30", 450), ("0.25", 15), ("16", 960), ("12：05", 725)]
)
def test_hours_are_read_as_people_write_them(text, minutes):
    assert parse_hours(text) == minutes


@pytest.mark.parametrize("text", ["", "-8", "8h", "7:60", "0.33", "八"])
def test_hours_that_cannot_be_read_are_refused(text):
    with pytest.raises(ValueError):
        parse_hours(text)


# --- recording ---


def test_a_day_on_a_lot_entitles_the_household_by_the_lot(session, agreement, lot):
    evidence = attend(session, agreement, lot=lot)
    person = agreement.household.members[0]
    uscc = agreement.cooperative.uscc
    assert evidence.key == f"attendance:{person.person_no}:2026-05-20:{uscc}:{lot.public_no}:minutes"
    entitlement = session.scalars(select(Entitlement)).one()
    assert (entitlement.lot_id, entitlement.period_id) == (lot.id, None)
    assert (entitlement.amount_fen, entitlement.due_on) == (12_000, date(2026, 6, 19))
    assert entitlement.mechanism is Mechanism.EMPLOYMENT
    assert minutes_of(session, person) == 480


def test_a_day_for_no_lot_belongs_to_the_linkage_period(session, agreement):
    attend(session, agreement, minutes=None, piece_kind=PICKING, pieces=120)
    entitlement = session.scalars(select(Entitlement)).one()
    assert entitlement.lot_id is None
    assert entitlement.period_id is not None
    assert (entitlement.amount_fen, entitlement.due_on) == (9_600, date(2027, 1, 1))


def test_an_entitlement_is_computed_again_to_the_same_fen(session, agreement, lot):
    attend(session, agreement, lot=lot, minutes=455, starts_minute=480, ends_minute=1020)
    attend(session, agreement, minutes=None, piece_kind=PICKING, pieces=7)
    session.commit()
    session.expire_all()
    for entitlement in session.scalars(select(Entitlement)).all():
        again = recompute_entitlement(session, entitlement)
        assert (again.amount_fen, again.due_on) == (entitlement.amount_fen, entitlement.due_on)
        assert again.inputs == entitlement.inputs


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"minutes": 0}, "minutes", "minutes"),
        ({"minutes": -60}, "minutes", "minutes"),
        ({"minutes": 961}, "minutes", "minutes"),
        ({"minutes": None}, "pieces", "pieces"),
        ({"minutes": None, "piece_kind": PICKING, "pieces": 0}, "pieces", "pieces"),
        ({"minutes": None, "piece_kind": PICKING, "pieces": -5}, "pieces", "pieces"),
        ({"minutes": None, "piece_kind": PICKING, "pieces": 100_001}, "pieces", "pieces"),
        ({"minutes": None, "piece_kind": "除草", "pieces": 5}, "unknown_kind", "piece_kind"),
        ({"starts_minute": 480}, "both_times", "ends_minute"),
        ({"starts_minute": 960, "ends_minute": 480}, "times", "ends_minute"),
        ({"starts_minute": 1000, "ends_minute": 1441}, "times", "ends_minute"),
        ({"starts_minute": 480, "ends_minute": 900}, "within_times", "minutes"),
        ({"worked_on": date(2026, 6, 2)}, "future_day", "worked_on"),
        ({"worked_on": date(2025, 12, 31)}, "before_agreement", "worked_on"),
    ],
)
def test_an_attendance_that_cannot_be_is_refused(session, agreement, fields, code, field):
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        attend(session, agreement, **fields)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert recorded(session) == before


def test_the_same_attendance_is_not_recorded_twice(session, agreement, lot):
    attend(session, agreement, lot=lot, minutes=100)
    before = recorded(session)
    with pytest.raises(Conflict) as refusal:
        attend(session, agreement, lot=lot, minutes=200)
    assert str(refusal.value) == "这个人 2026-05-20 的这项考勤已经记过，没有重复记录"
    assert recorded(session) == before
    attend(session, agreement, minutes=200)  # the rest of the day was for no lot
    assert minutes_of(session, agreement.household.members[0]) == 300


def elsewhere(agreement):
    """The same household at work for another cooperative."""
    other = EmploymentFactory(
        enrolment=EnrolmentFactory(household=agreement.household, cooperative=CooperativeFactory())
    )
    PeriodFactory(cooperative=other.cooperative)
    return other


def test_sixteen_hours_a_day_are_the_most_over_all_cooperatives(session, agreement, lot):
    other = elsewhere(agreement)
    attend(session, agreement, minutes=600)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        attend(session, other, minutes=361)
    assert (refusal.value.code, refusal.value.params) == (
        "over_sixteen_hours",
        {"hours": 10, "minutes": 0, "most": 16},
    )
    assert recorded(session) == before
    attend(session, other, minutes=360)
    with pytest.raises(Refused):
        attend(session, agreement, lot=lot, minutes=1)
    assert minutes_of(session, agreement.household.members[0]) == 960
    attend(
        session, agreement, minutes=480, person=agreement.household.members[1]
    )  # another person has a day too


def test_two_attendances_of_a_day_never_overlap(session, agreement, lot):
    other = elsewhere(agreement)
    attend(session, agreement, minutes=180, starts_minute=480, ends_minute=720)
    before = recorded(session)
    for starts, ends in ((420, 481), (719, 800), (500, 600), (400, 800)):
        with pytest.raises(Conflict) as refusal:
            attend(session, other, minutes=60, starts_minute=starts, ends_minute=ends)
        assert (refusal.value.code, refusal.value.params) == (
            "times_overlap",
            {"first": "08:00", "last": "12:00"},
        )
    assert recorded(session) == before
    attend(session, other, minutes=60, starts_minute=720, ends_minute=800)
    attend(session, agreement, lot=lot, minutes=60, starts_minute=300, ends_minute=480)
    spans = session.execute(
        select(LabourSpan.starts_minute, LabourSpan.previous_ends_minute).order_by(LabourSpan.starts_minute)
    ).all()
    assert spans == [(300, None), (480, 480), (720, 720)]
    session.commit()


def test_pieces_with_times_noted_count_towards_sixteen_hours(session, agreement):
    attend(
        session,
        agreement,
        minutes=None,
        piece_kind=PICKING,
        pieces=10,
        starts_minute=300,
        ends_minute=900,
    )
    with pytest.raises(Refused) as refusal:
        attend(session, agreement, minutes=361)
    assert refusal.value.code == "over_sixteen_hours"


def test_a_day_in_a_closed_period_is_refused(session):
    agreement = EmploymentFactory()
    PeriodFactory(cooperative=agreement.cooperative, state=PeriodState.CLOSED)
    before = recorded(session)
    for lot in (None, LotFactory(cooperative=agreement.cooperative)):
        with pytest.raises(Refused) as refusal:
            attend(session, agreement, lot=lot)
        assert (refusal.value.code, refusal.value.field) == ("closed_period", "worked_on")
    assert recorded(session) == before


def test_labour_for_no_lot_needs_a_linkage_period(session):
    agreement = EmploymentFactory()
    with pytest.raises(Refused) as refusal:
        attend(session, agreement)
    assert refusal.value.code == "no_period"
    attend(session, agreement, lot=LotFactory(cooperative=agreement.cooperative))


def test_only_the_people_agreed_on_may_work(session, agreement):
    stranger = HouseholdFactory().members[0]
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        attend(session, agreement, person=stranger)
    assert refusal.value.code == "other_household"
    head, second = agreement.household.members
    amend_agreement(
        session,
        actor_at(agreement.cooperative),
        agreement,
        valid_from=date(2026, 5, 1),
        valid_to=None,
        terms=work_terms(head),
    )
    with pytest.raises(Refused) as refusal:
        attend(session, agreement, person=second)
    assert refusal.value.code == "not_agreed_person"
    assert recorded(session)[:5] == before[:5]
    attend(session, agreement, person=head)


def test_a_household_that_counts_no_more_is_refused(session, agreement):
    HouseholdStatusFactory(
        household=agreement.household, status=HouseholdStatusKind.INELIGIBLE, valid_from=date(2026, 5, 1)
    )
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        attend(session, agreement)
    assert refusal.value.code == "not_beneficiary"
    assert recorded(session) == before


def test_another_cooperatives_agreement_or_lot_is_not_found(session, agreement):
    other = EmploymentFactory()
    before = recorded(session)
    with pytest.raises(NotFound):
        attend(session, other, actor=actor_at(agreement.cooperative))
    with pytest.raises(NotFound):
        attend(session, agreement, lot=LotFactory())
    with pytest.raises(Forbidden):
        attend(session, agreement, actor=actor_with(Role.AUDITOR))
    with pytest.raises(Refused) as refusal:
        attend(session, ContractFactory(enrolment=EnrolmentFactory(cooperative=agreement.cooperative)))
    assert refusal.value.code == "wrong_mechanism"
    assert recorded(session)[:5] == before[:5]


def test_a_day_is_paid_by_the_terms_of_its_day_and_ends_with_the_agreement(session, agreement):
    actor = actor_at(agreement.cooperative)
    terms = work_terms(*agreement.household.members, rate_fen_per_hour=2_000)
    amend_agreement(session, actor, agreement, valid_from=DAY, valid_to=None, terms=terms)
    attend(session, agreement, worked_on=date(2026, 5, 19))
    attend(session, agreement)
    assert session.scalars(select(Entitlement.amount_fen).order_by(Entitlement.id)).all() == [12_000, 16_000]
    with pytest.raises(Refused) as refusal:
        end_agreement(session, actor, agreement, ended_on=DAY)
    assert refusal.value.code == "recorded_later"
    end_agreement(session, actor, agreement, ended_on=date(2026, 5, 21))
    with pytest.raises(Refused) as refusal:
        attend(session, agreement, worked_on=date(2026, 5, 21))
    assert refusal.value.code == "after_agreement"


def test_a_sheet_is_recorded_whole_or_not_at_all(session, agreement):
    head, second = agreement.household.members
    actor = actor_at(agreement.cooperative)
    attend(session, agreement, person=second, minutes=900)
    before = recorded(session)
    marks = [Mark(agreement, head, Work(480)), Mark(agreement, second, Work(480))]
    with pytest.raises(SheetRefused) as refusal:
        record_attendance_sheet(session, actor, worked_on=DAY, marks=marks)
    assert {person: error.code for person, error in refusal.value.rows.items()} == {
        second.public_no: "attendance_used"
    }
    assert recorded(session) == before
    with pytest.raises(Refused) as empty:
        record_attendance_sheet(session, actor, worked_on=DAY, marks=[])
    assert empty.value.code == "nobody"
    record_attendance_sheet(session, actor, worked_on=date(2026, 5, 21), marks=marks)
    totals = worked_between(session, agreement.cooperative_id, date(2026, 5, 1), date(2026, 6, 1))
    assert [(one.person.id, one.days, one.minutes, one.amount_fen) for one in totals] == [
        (head.id, 1, 480, 12_000),
        (second.id, 2, 1380, 34_500),
    ]


# --- terms ---


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"persons": []}, "no_persons", "persons"),
        ({"persons": "M-1"}, "no_persons", "persons"),
        ({"persons": [str(n) for n in range(21)]}, "too_many_persons", "persons"),
        ({"rate_fen_per_hour": None, "piece_rates": []}, "no_wage", "rate_fen_per_hour"),
        ({"rate_fen_per_hour": 0}, "term_range", "rate_fen_per_hour"),
        ({"rate_fen_per_hour": -1}, "term_range", "rate_fen_per_hour"),
        ({"rate_fen_per_hour": 100_001}, "term_range", "rate_fen_per_hour"),
        ({"piece_rates": [{"kind": "", "rate_fen": 80}]}, "term_missing", "piece_rates"),
        ({"piece_rates": [{"kind": "除草", "rate_fen": 0}]}, "term_range", "piece_rates"),
        ({"piece_rates": [{"kind": "除草", "rate_fen": 1}] * 2}, "kind_twice", "piece_rates"),
        ({"piece_rates": ["除草"]}, "piece_rate", "piece_rates"),
        ({"payment_days": 366}, "term_range", "payment_days"),
        ({"commodity": "油茶籽"}, "unknown_term", None),
    ],
)
def test_terms_that_cannot_be_are_refused(wrong, code, field):
    with pytest.raises(Refused) as refusal:
        employment.validate_terms({**work_terms(), "persons": ["M-1"], **wrong})
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_an_agreement_names_only_people_of_the_household_and_each_once(session):
    enrolment = EnrolmentFactory()
    actor = actor_at(enrolment.cooperative)

    def sign(*persons):
        return sign_agreement(
            session,
            actor,
            household=enrolment.household,
            mechanism=Mechanism.EMPLOYMENT,
            valid_from=date(2026, 1, 1),
            valid_to=None,
            terms=work_terms(*persons),
        )

    head, second = enrolment.household.members
    with pytest.raises(Refused) as refusal, session.begin_nested():
        sign(head, HouseholdFactory().members[0])
    assert (refusal.value.code, refusal.value.field) == ("other_household", "persons")
    sign(head)
    with pytest.raises(Conflict), session.begin_nested():
        sign(head, second)
    sign(second)
    assert session.scalar(select(func.count(Agreement.id))) == 2


# --- what the database refuses by itself ---


def refuse(session, statement):
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(statement)


def test_the_database_holds_sixteen_hours_and_the_spans_of_a_day(session, agreement):
    evidence = attend(session, agreement, minutes=300, starts_minute=480, ends_minute=960)
    other = attend(session, agreement, minutes=60, person=agreement.household.members[1])
    session.commit()
    head = agreement.household.members[0]
    refuse(session, update(LabourDay).values(minutes=961))
    refuse(session, update(LabourDay).values(minutes=-1))
    span = {"evidence_id": other.id, "person_id": head.id, "worked_on": DAY}
    for starts, ends, previous in ((500, 600, None), (500, 600, 960), (100, 960, None), (960, 1441, 960)):
        row = {"starts_minute": starts, "ends_minute": ends, "previous_ends_minute": previous}
        refuse(session, insert(LabourSpan).values(**span, **row))
    row = {column.name: None for column in Attendance.__table__.columns}
    row |= {"id": evidence.id + 100, "person_id": head.id, "worked_on": DAY, "minutes": 60}
    refuse(session, insert(Attendance).values(row))
    refuse(session, update(Attendance).values(minutes=1))
