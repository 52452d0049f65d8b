"""Taking a roster: once, whole, set-based; what is known changes nothing; a crash is made good."""

from datetime import date

import pytest
from sqlalchemy import event, func, select

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role, StoredFile, TrailEntry
from marketplace.registry.models import (
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdMember,
    HouseholdStatus,
    HouseholdStatusKind,
    ImportState,
    RosterFinding,
    RosterImport,
)
from marketplace.registry.queries import household_status
from marketplace.registry.roster import checking
from marketplace.registry.roster.checking import check_at_once, check_roster, prepare_step, write_step
from marketplace.registry.roster.models import RosterRow
from marketplace.registry.roster.queries import next_roster, next_to_take, roster_by_no, tasks_of
from marketplace.registry.roster.rules import (
    confirm_roster,
    recheck_roster,
    stop_roster,
    take_roster,
    upload_roster,
)
from marketplace.registry.rules import reveal_id_number
from tests.factories.identity import actor_with
from tests.factories.registry import (
    NEXT_VILLAGE,
    VILLAGE,
    CooperativeFactory,
    HouseholdFactory,
    RegionFactory,
    actor_at,
    beneficiary_policy,
)
from tests.factories.rosters import csv_of, household, households, id_of, person, xlsx_of

TABLES = (Household, HouseholdMember, HouseholdStatus, Enrolment)


class Office:
    """A cooperative of 乐安县 and what it does with a roster."""

    def __init__(self, session, data_key, files):
        self.session, self.data_key, self.files = session, data_key, files
        self.cooperative = CooperativeFactory()
        self.actor = actor_at(self.cooperative)

    def upload(self, content):
        return upload_roster(self.session, self.actor, self.files, content=content, file_name="名册.csv")

    def check(self, content):
        roster = self.upload(content)
        assert check_at_once(self.session, self.data_key, self.files, roster)
        return roster

    def take(self, content):
        roster = self.check(content)
        confirm_roster(self.session, self.actor, roster)
        return take_roster(self.session, roster)

    def step(self, roster, lines):
        return check_roster(self.session, self.data_key, self.files, roster, lines=lines)

    def counts(self):
        return [self.session.scalar(select(func.count()).select_from(table)) for table in TABLES]


@pytest.fixture
def office(session, data_key, files, clock):
    for code in (VILLAGE, NEXT_VILLAGE):
        RegionFactory(code=code)
    beneficiary_policy()
    return Office(session, data_key, files)


def new_in(roster):
    return roster.households_new, roster.people_new, roster.enrolments_new


@pytest.mark.parametrize("write", [csv_of, xlsx_of], ids=["csv", "xlsx"])
def test_good_rows_become_households_members_statuses_and_proposed_enrolments(
    session, office, data_key, write
):
    roster = office.take(
        write([*household(1, 3), *household(2, 1, 户状态="脱贫户"), person(3, 身份证号="1")])
    )
    assert (roster.state, new_in(roster)) == (ImportState.TAKEN, (2, 4, 2))
    assert office.counts() == [2, 4, 2, 2]
    first = session.scalars(select(Household).where(Household.registry_no == "3700000001")).one()
    assert (first.head_name, first.village_code, first.county_code) == ("陈户主1", VILLAGE, "361025")
    assert [(member.name, member.is_head) for member in first.members] == [
        ("陈户主1", True),
        ("陈家人12", False),
        ("陈家人13", False),
    ]
    assert household_status(session, first.id, valid_on=date(2015, 3, 1)) is HouseholdStatusKind.REGISTERED
    enrolments = session.scalars(select(Enrolment)).all()
    assert {enrolment.state for enrolment in enrolments} == {EnrolmentState.PROPOSED}
    assert {enrolment.cooperative_id for enrolment in enrolments} == {office.cooperative.id}
    clerk = actor_with(Role.VILLAGE_REVIEWER)
    assert reveal_id_number(session, clerk, data_key, first.members[1], reason="核对身份") == id_of(1, 2)
    assert session.scalar(select(func.count()).select_from(RosterRow)) == 0  # forgotten once taken


def test_each_enrolment_of_a_roster_is_in_the_trail_with_its_household(session, office):
    roster = office.take(csv_of(households(2)))
    entries = session.scalars(select(TrailEntry).where(TrailEntry.action == "registry.enrol")).all()
    enrolments = {one.public_no: one.household_id for one in session.scalars(select(Enrolment))}
    assert {entry.subject_no: entry.household_id for entry in entries} == enrolments
    assert {entry.actor_user_id for entry in entries} == {office.actor.user_id}
    assert {entry.county_code for entry in entries} == {"361025"}
    assert {entry.detail["roster"] for entry in entries} == {roster.public_no}
    taken = session.scalars(select(TrailEntry).where(TrailEntry.action == "registry.take_roster")).one()
    assert taken.detail == {"households": 2, "people": 4, "enrolments": 2}


def test_the_same_file_twice_is_the_same_import_and_changes_nothing(session, office):
    content = csv_of(households(3))
    roster = office.take(content)
    before, kept = office.counts(), session.scalar(select(func.count()).select_from(StoredFile))
    again = office.upload(content)
    assert again is roster
    assert confirm_roster(session, office.actor, again).state is ImportState.TAKEN
    take_roster(session, again)
    assert office.counts() == before
    assert session.scalar(select(func.count()).select_from(RosterImport)) == 1
    assert session.scalar(select(func.count()).select_from(StoredFile)) == kept


def test_a_roster_whose_rows_are_all_known_brings_nothing_new(session, office):
    office.take(csv_of(households(3)))
    before = office.counts()
    roster = office.check(xlsx_of(households(3)))  # the same people in another file
    assert (roster.rows_good, roster.rows_bad, new_in(roster)) == (6, 0, (0, 0, 0))
    assert tasks_of(session, office.actor) == []
    confirm_roster(session, office.actor, roster)
    take_roster(session, roster)
    assert (roster.state, new_in(roster)) == (ImportState.TAKEN, (0, 0, 0))
    assert office.counts() == before


def test_a_corrected_roster_brings_only_what_was_left_out(session, office):
    office.take(csv_of([*household(1), person(2, 身份证号="1"), person(2, 2)]))
    assert office.counts() == [1, 2, 1, 1]
    roster = office.take(csv_of([*household(1, 3), *household(2)]))
    assert new_in(roster) == (1, 3, 1)
    assert office.counts() == [2, 5, 2, 2]


def test_two_cooperatives_may_ask_the_same_household(session, office, data_key, files):
    office.take(csv_of(households(1)))
    other = Office(session, data_key, files)
    roster = other.take(csv_of(households(1)))
    assert new_in(roster) == (0, 0, 1)
    assert office.counts() == [1, 2, 1, 2]


def test_a_household_that_changed_since_the_check_is_left_out_with_a_finding(session, office):
    roster = office.check(csv_of(households(2)))
    HouseholdFactory(registry_no="3700000001", head_name="陈户主1", village_code=NEXT_VILLAGE)
    confirm_roster(session, office.actor, roster)
    take_roster(session, roster)
    assert (new_in(roster), roster.rows_bad) == ((1, 2, 1), 2)
    codes = session.scalars(select(RosterFinding.code).order_by(RosterFinding.row)).all()
    assert set(codes) == {"household_elsewhere"}


# --- who, and when ---


def test_a_checked_roster_waits_for_the_cooperative(session, office):
    roster = office.check(csv_of(households(1)))
    assert [(task.count, task.endpoint) for task in tasks_of(session, office.actor)] == [
        (1, "roster.imports")
    ]
    assert office.counts() == [0, 0, 0, 0]
    take_roster(session, roster)  # not confirmed: nothing happens
    assert (roster.state, office.counts()) == (ImportState.CHECKED, [0, 0, 0, 0])


def test_others_neither_upload_nor_see_a_roster(session, office, data_key, files):
    roster = office.check(csv_of(households(1)))
    for actor in (
        Office(session, data_key, files).actor,
        actor_with(Role.COUNTY_REVIEWER),
        actor_with(Role.AUDITOR),
    ):
        with pytest.raises(NotFound):
            roster_by_no(session, actor, roster.public_no)
    for role in (Role.COUNTY_REVIEWER, Role.VILLAGE_REVIEWER, Role.STAFF_BUYER):
        with pytest.raises(Forbidden):
            upload_roster(session, actor_with(role), files, content=csv_of([]), file_name="名册.csv")
    assert session.scalar(select(func.count()).select_from(RosterImport)) == 1


def test_a_roster_is_confirmed_only_once_it_is_checked_and_has_a_good_row(session, office, clock):
    waiting = office.upload(csv_of(households(1)))
    with pytest.raises(Conflict):
        confirm_roster(session, office.actor, waiting)
    bad = office.check(csv_of([person(1, 身份证号="1")]))
    with pytest.raises(Refused) as refused:
        confirm_roster(session, office.actor, bad)
    assert refused.value.code == "no_good_rows"
    good = office.check(csv_of(households(2)))
    clock.advance(days=300)  # into the next year, with another policy perhaps
    with pytest.raises(Refused) as refused:
        confirm_roster(session, office.actor, good)
    assert refused.value.code == "check_outdated"
    assert office.counts() == [0, 0, 0, 0]


def test_checking_again_sees_what_the_register_says_by_now(session, office):
    content = csv_of([person(1, 2)])  # no head, and the household is not registered
    roster = office.check(content)
    assert roster.rows_good == 0
    HouseholdFactory(registry_no="3700000001", head_name="陈户主1")
    recheck_roster(session, office.actor, roster)
    assert (roster.state, roster.rows_bad) == (ImportState.UPLOADED, 0)
    assert office.check(content) is roster
    assert (roster.rows_good, roster.rows_bad, new_in(roster)) == (1, 0, (0, 1, 1))
    office.take(content)
    with pytest.raises(Conflict):
        recheck_roster(session, office.actor, roster)


# --- long rosters ---


def test_a_long_roster_is_read_in_steps_with_progress(session, office):
    roster = office.upload(csv_of(households(50)))
    seen = []
    while office.step(roster, lines=30):
        seen.append((roster.rows_read, roster.rows_total, roster.rows_good))
    assert seen[:4] == [(30, 101, 30), (60, 101, 60), (90, 101, 90), (100, 100, 100)]
    assert len(seen) == 4 + len(checking.CROSS_CHECKS)
    assert (roster.state, new_in(roster)) == (ImportState.CHECKED, (50, 100, 50))
    assert next_roster(session) is None


def test_a_stopped_check_is_forgotten_and_can_begin_anew(session, office):
    roster = office.upload(csv_of([*households(20), person(99, 身份证号="1")]))
    assert office.step(roster, lines=15)
    begun = prepare_step(session, office.data_key, office.files, roster, lines=15)
    assert stop_roster(session, office.actor, roster).state is ImportState.STOPPED
    assert stop_roster(session, office.actor, roster) is roster
    assert next_roster(session) is None
    assert not write_step(session, begun)  # a worker that was reading meanwhile writes nothing
    assert session.scalar(select(func.count()).select_from(RosterRow)) == 0
    assert (roster.rows_read, roster.rows_good, roster.rows_bad) == (0, 0, 0)
    with pytest.raises(Conflict) as refused:
        confirm_roster(session, office.actor, roster)
    assert refused.value.code == "roster_not_checked"
    recheck_roster(session, office.actor, roster)
    while office.step(roster, lines=15):
        pass
    assert (roster.state, roster.rows_good, roster.rows_bad) == (ImportState.CHECKED, 40, 1)


def test_a_confirmed_roster_can_be_called_back_until_a_worker_takes_it(session, office):
    roster = office.check(csv_of(households(2)))
    confirm_roster(session, office.actor, roster)
    assert stop_roster(session, office.actor, roster).state is ImportState.CHECKED
    assert roster.confirmed_by is None
    assert next_to_take(session) is None
    assert take_roster(session, roster).state is ImportState.CHECKED
    assert office.counts() == [0, 0, 0, 0]
    confirm_roster(session, office.actor, roster)
    take_roster(session, roster)
    assert office.counts() == [2, 4, 2, 2]
    actions = session.scalars(select(TrailEntry.action).order_by(TrailEntry.id)).all()
    assert actions.count("registry.stop_roster") == 1


def test_what_is_done_cannot_be_stopped(session, office):
    checked = office.check(csv_of(households(1)))
    taken = office.take(csv_of(households(2)))
    for roster, state in ((checked, ImportState.CHECKED), (taken, ImportState.TAKEN)):
        with pytest.raises(Conflict) as refused:
            stop_roster(session, office.actor, roster)
        assert (refused.value.code, roster.state) == ("roster_done", state)
    with pytest.raises(Forbidden):
        stop_roster(session, actor_with(Role.AUDITOR), checked)


@pytest.mark.parametrize("write", [csv_of, xlsx_of], ids=["csv", "xlsx"])
def test_a_crash_between_steps_is_made_good_by_the_next(session, office, write):
    roster = office.upload(write([*households(20), person(99, 身份证号="1")]))
    session.commit()
    for _ in range(2):
        assert office.step(roster, lines=15)
        session.commit()
        checking._half_read.clear()  # the worker died; another one begins where the last commit ended
    office.step(roster, lines=15)
    session.rollback()  # died within a step
    session.refresh(roster)
    assert (roster.rows_read, roster.state) == (30, ImportState.CHECKING)
    assert next_roster(session) is roster
    while office.step(roster, lines=15):
        session.commit()
        checking._half_read.clear()
    assert (roster.rows_good, roster.rows_bad) == (40, 1)
    confirm_roster(session, office.actor, roster)
    session.commit()
    take_roster(session, roster)
    session.rollback()  # died before the commit
    assert (office.counts(), roster.state) == ([0, 0, 0, 0], ImportState.TAKING)
    take_roster(session, next_to_take(session))
    assert office.counts() == [20, 40, 20, 20]


def test_a_lost_file_is_told_and_uploading_it_again_brings_it_back(session, office, files):
    content = csv_of(households(1))
    roster = office.upload(content)
    files.path_of(roster.content_hash).unlink()
    assert not office.step(roster, lines=10)
    assert (roster.state, roster.failure) == (ImportState.FAILED, "file_lost")
    assert office.upload(content) is roster
    recheck_roster(session, office.actor, roster)
    assert office.check(content).rows_good == 2


def test_two_workers_at_the_same_step_write_it_once(session, office, data_key, files):
    roster = office.upload(csv_of([*households(20), person(99, 身份证号="1")]))
    first, second = (prepare_step(session, data_key, files, roster, lines=60) for _ in range(2))
    assert write_step(session, first)
    assert write_step(session, second)  # somebody was faster: nothing is written, there is more to do
    assert session.scalar(select(func.count()).select_from(RosterRow)) == 41
    assert session.scalar(select(func.count()).select_from(RosterFinding)) == 1


class Statements:
    """Counts what is sent to the database inside the block."""

    def __init__(self, engine):
        self.engine, self.count = engine, 0

    def _note(self, *_args):
        self.count += 1

    def __enter__(self):
        event.listen(self.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_exc):
        event.remove(self.engine, "before_cursor_execute", self._note)


def test_the_number_of_statements_does_not_grow_with_the_rows(session, engine, office):
    counted = []
    for count, offset in ((5, 0), (10, 500), (200, 1000)):  # the first warms up
        content = csv_of(row for number in range(count) for row in household(offset + number, 2))
        with Statements(engine) as statements:
            roster = office.take(content)
        counted.append(statements.count)
        assert new_in(roster) == (count, 2 * count, count)
    assert counted[1] == counted[2]
