"""Long sheets of evidence: checked and taken pass by pass, stopped and resumed, and never a row twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.files import FileStore
from marketplace.identity.models import Role, TrailEntry, User, UserRole
from marketplace.linkage import sheet_rules
from marketplace.linkage.models import Agreement, Entitlement, Evidence, Lot
from marketplace.linkage.sheet_models import EvidenceSheet
from marketplace.linkage.sheet_work import SheetState
from tests.conftest import MarketClient
from tests.factories.linkage import ContractFactory, LotFactory
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    actor_at,
    beneficiary_policy,
    user_of,
)
from tests.linkage.test_sheets import NAMES, csv_of, row

pytestmark = pytest.mark.usefixtures("clock")
ROWS_A_PASS = 20  # two hundred outside the tests
ROWS = 2 * ROWS_A_PASS + 5
A_SLIP_FEN = 10_625


@pytest.fixture
def lot(session: Session) -> Lot:
    beneficiary_policy()
    first = EnrolmentFactory(household__head_name=NAMES[0])
    others = [
        EnrolmentFactory(cooperative=first.cooperative, household__head_name=name) for name in NAMES[1:]
    ]
    agreements: list[Agreement] = [ContractFactory(enrolment=one) for one in (first, *others)]
    made: Lot = LotFactory(cooperative=agreements[0].cooperative)
    return made


@pytest.fixture
def sheet(session: Session, files: FileStore, lot: Lot, monkeypatch: pytest.MonkeyPatch) -> EvidenceSheet:
    """A sheet of 45 slips of two households, two of nobody's, and one that cannot be read."""
    monkeypatch.setattr(sheet_rules, "ROWS_A_PASS", ROWS_A_PASS)
    rows = [row(NAMES[number % 2], str(number)) for number in range(ROWS)]
    rows[10] = row("何有田", "10")
    rows[ROWS - 1] = row("何有田", str(ROWS - 1))
    rows.append(row(slip_no="bad", net_kg="很多"))
    return sheet_rules.upload_sheet(
        session,
        actor_at(lot.cooperative),
        files,
        sheet_format=sheet_rules.format_named("weigh_slips"),
        lot=lot,
        content=csv_of(*rows),
        file_name="过磅.csv",
    )


def work(session: Session, files: FileStore, passes: int = 1) -> list[bool]:
    found = [sheet_rules.work_on_next_sheet(session, files) for _ in range(passes)]
    session.expire_all()
    return found


def recorded(session: Session) -> tuple[int | None, int | None]:
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in (Evidence, Entitlement))


def test_a_long_sheet_is_checked_and_taken_in_passes(
    session: Session, files: FileStore, lot: Lot, sheet: EvidenceSheet
) -> None:
    assert (sheet.state, sheet.rows_total, sheet.rows_done, sheet.rows_bad) == (
        SheetState.CHECKING,
        ROWS,
        0,
        1,
    )
    assert work(session, files) == [True]
    assert (sheet.rows_done, sheet.rows_good, sheet.rows_bad) == (ROWS_A_PASS, ROWS_A_PASS - 1, 2)
    assert work(session, files, 3) == [True, True, False]
    assert (sheet.state, sheet.rows_good, sheet.rows_bad) == (SheetState.CHECKED, ROWS - 2, 3)
    assert (sheet.households, sheet.amount_fen) == (2, (ROWS - 2) * A_SLIP_FEN)
    assert [one["row"] for one in sheet.findings] == [12, ROWS + 1, ROWS + 2]
    assert recorded(session) == (0, 0)

    sheet_rules.take_sheet(session, actor_at(lot.cooperative), files, sheet)
    assert (sheet.state, recorded(session)) == (SheetState.TAKING, (0, 0))
    work(session, files)
    assert recorded(session) == (ROWS_A_PASS - 1, ROWS_A_PASS - 1)
    assert work(session, files, 3) == [True, True, False]
    assert (sheet.state, sheet.rows_good, sheet.rows_bad) == (SheetState.TAKEN, ROWS - 2, 3)
    assert (sheet.households, sheet.amount_fen) == (2, (ROWS - 2) * A_SLIP_FEN)
    assert recorded(session) == (ROWS - 2, ROWS - 2)
    told = select(TrailEntry.detail).where(TrailEntry.action == "linkage.take_sheet")
    assert session.scalar(told)["rows"] == ROWS - 2
    sheet_rules.take_sheet(session, actor_at(lot.cooperative), files, sheet)
    assert recorded(session) == (ROWS - 2, ROWS - 2)


def test_a_pass_that_breaks_off_leaves_nothing_and_is_done_again(
    session: Session, files: FileStore, lot: Lot, sheet: EvidenceSheet
) -> None:
    work(session, files, 3)
    sheet_rules.take_sheet(session, actor_at(lot.cooperative), files, sheet)
    work(session, files)
    session.commit()
    work(session, files)
    session.rollback()
    assert (sheet.rows_done, recorded(session)[0]) == (ROWS_A_PASS, ROWS_A_PASS - 1)
    work(session, files, 2)
    assert (sheet.state, recorded(session)[0]) == (SheetState.TAKEN, ROWS - 2)


def test_it_stops_between_two_passes_and_goes_on_in_the_name_of_who_resumed_it(
    session: Session, files: FileStore, lot: Lot, sheet: EvidenceSheet
) -> None:
    first, second = actor_at(lot.cooperative), actor_at(lot.cooperative)
    work(session, files, 3)
    sheet_rules.take_sheet(session, first, files, sheet)
    work(session, files)
    for _ in range(2):
        sheet_rules.stop_sheet(session, first, sheet)
    assert work(session, files) == [False]
    assert recorded(session)[0] == ROWS_A_PASS - 1
    assert sheet_rules.take_sheet(session, first, files, sheet).rows_done == ROWS_A_PASS
    with pytest.raises(NotFound):
        sheet_rules.resume_sheet(session, actor_at(ContractFactory().cooperative), sheet)
    for _ in range(2):
        sheet_rules.resume_sheet(session, second, sheet)
    work(session, files, 2)
    assert (sheet.state, sheet.taken_by) == (SheetState.TAKEN, second.user_id)
    assert recorded(session)[0] == ROWS - 2
    with pytest.raises(Conflict) as refused:
        sheet_rules.stop_sheet(session, first, sheet)
    assert refused.value.code == "sheet_done"
    actions = session.scalars(select(TrailEntry.action).order_by(TrailEntry.id)).all()
    assert [one for one in actions if one.endswith(("stop_sheet", "resume_sheet"))] == [
        "linkage.stop_sheet",
        "linkage.resume_sheet",
    ]


@pytest.mark.parametrize("why", ["other duties", "another cooperative", "dismissed"])
def test_it_stops_when_who_asked_for_it_may_record_no_more(
    session: Session, files: FileStore, lot: Lot, sheet: EvidenceSheet, why: str
) -> None:
    asker = session.get_one(User, sheet.asked_by)
    if why == "other duties":
        other = update(UserRole).where(UserRole.user_id == asker.id)
        session.execute(other.values(role=Role.UNIT_PAYER))
    elif why == "another cooperative":
        asker.organisation = user_of(CooperativeFactory()).organisation
    else:
        asker.disabled_at = now()
    session.flush()
    session.expire_all()
    assert work(session, files, 2) == [True, False]
    assert (sheet.state, sheet.rows_done, recorded(session)) == (SheetState.CHECKING, 0, (0, 0))
    assert sheet.stopped_at is not None


@pytest.mark.parametrize("change", [{"rows_done": ROWS + 1}, {"rows_done": -1}])
def test_the_database_counts_no_rows_there_are_not(
    session: Session, sheet: EvidenceSheet, change: dict[str, int]
) -> None:
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(EvidenceSheet).values(**change))


def test_the_page_shows_how_far_it_is(
    client: MarketClient,
    session: Session,
    app: Flask,
    files: FileStore,
    lot: Lot,
    sheet: EvidenceSheet,
    work: Callable[..., None],
) -> None:
    client.sign_in(user_of(lot.cooperative))
    address = f"/linkage/sheets/{sheet.public_no}"
    assert "正在逐行检查" in client.get(address).text
    assert "HX-Refresh" not in client.get(f"{address}/progress").headers
    assert client.post(f"{address}/stop").status_code == 303
    assert f"停在第 0 行，共 {ROWS} 行" in client.get(address).text
    client.post(f"{address}/resume")
    work("work on evidence sheets")
    assert client.get(f"{address}/progress").headers["HX-Refresh"] == "true"
    assert f"没有问题的 {ROWS - 2} 行可以入账" in client.get(address).text
    client.post(f"{address}/take")
    assert "正在逐行录入" in client.get(address).text
    work("work on evidence sheets")
    assert f"{ROWS - 2}" in client.get(address).text
    assert recorded(session)[0] == ROWS - 2
