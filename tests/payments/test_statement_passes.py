"""A long bank statement is taken in by the worker, pass by pass: seen on its way, stopped and resumed to the line."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden
from marketplace.core.files import FileStore
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry, User
from marketplace.payments import statements
from marketplace.payments.models import BankLine, BankLineState, BankStatement, Payment, PaymentState
from marketplace.payments.statements import (
    TAKE_STATEMENTS,
    import_statement,
    next_statement,
    resume_statement,
    stop_statement,
    take_statement_lines,
)
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import actor_with, official_with
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import bill, offer

Work = Callable[..., None]
HEADER = "交易流水号,交易日期,收入金额,对方户名,附言"


@pytest.fixture(autouse=True)
def short_passes(monkeypatch: pytest.MonkeyPatch, clock: HeldClock) -> None:
    """Two lines at once, three a pass."""
    monkeypatch.setattr(statements, "LINES_AT_ONCE", 2)
    monkeypatch.setattr(statements, "LINES_A_PASS", 3)


@pytest.fixture
def cashier(session: Session) -> User:
    return official_with(Role.OPERATOR)


@pytest.fixture
def owed(session: Session) -> Payment:
    """50.00 yuan owed by a canteen."""
    return bill(session, offer(session, CooperativeFactory()), 1)


def content(count: int, *, last: str = "", yuan: str = "7.00") -> bytes:
    """So many lines; the last has a remark of its own and 50.00 yuan when there is one."""
    rows = [f"B{number},2026-06-01,{yuan},某单位,货款" for number in range(1, count + 1)]
    if last:
        rows[-1] = f"B{count},2026-06-01,50.00,某单位,{last}"
    return "\n".join((HEADER, *rows)).encode()


def bring(session: Session, cashier: User, files: FileStore, given: bytes) -> BankStatement:
    return import_statement(session, actor_of(cashier), files, content=given, file_name="六月.csv")


def rows_of(session: Session) -> list[int]:
    return list(session.scalars(select(BankLine.row).order_by(BankLine.id)))


# --- what is refused ---


@pytest.mark.parametrize("act", [stop_statement, resume_statement])
def test_only_the_cashier_stops_and_resumes(
    session: Session, cashier: User, files: FileStore, act: Callable[..., object]
) -> None:
    statement = bring(session, cashier, files, content(7))
    for role in (Role.AUDITOR, Role.COUNTY_REVIEWER):
        with pytest.raises(Forbidden):
            act(session, actor_with(role), statement)
    assert statement.is_open


def test_a_file_that_contradicts_an_earlier_one_is_refused_whole(
    session: Session, cashier: User, files: FileStore
) -> None:
    bring(session, cashier, files, content(2))
    with pytest.raises(Conflict) as refused, session.begin_nested():
        bring(session, cashier, files, content(7, yuan="8.00"))
    assert refused.value.code == "serial_taken"
    assert session.scalar(select(func.count()).select_from(BankStatement)) == 1
    assert next_statement(session) is None


@pytest.mark.parametrize(
    "wrong", [{"lines_done": 8}, {"lines_done": -1}, {"lines_done": 7, "stopped_at": True}]
)
def test_the_database_refuses_what_cannot_be(
    session: Session, cashier: User, files: FileStore, clock: HeldClock, wrong: dict[str, object]
) -> None:
    statement = bring(session, cashier, files, content(7))
    step = session.begin_nested()
    for name, value in wrong.items():
        setattr(statement, name, clock.now if value is True else value)
    with pytest.raises(IntegrityError):
        session.flush()
    step.rollback()
    session.refresh(statement)
    assert (statement.lines_done, statement.stopped_at) == (0, None)


# --- the usual way ---


def test_a_short_statement_is_taken_in_at_once(session: Session, cashier: User, files: FileStore) -> None:
    statement = bring(session, cashier, files, content(2))
    assert (statement.lines_done, statement.is_open, rows_of(session)) == (2, False, [2, 3])


def test_a_long_one_is_taken_in_pass_by_pass_and_pays_what_it_names(
    session: Session, cashier: User, owed: Payment, files: FileStore
) -> None:
    statement = bring(session, cashier, files, content(7, last=owed.remittance_code))
    assert (statement.lines_done, rows_of(session)) == (0, [])
    done = []
    while take_statement_lines(session, files, statement):
        done.append(statement.lines_done)
    assert done == [3, 6]
    assert (statement.lines_done, statement.lines_matched) == (7, 1)
    assert rows_of(session) == [2, 3, 4, 5, 6, 7, 8]
    assert owed.state is PaymentState.PAID
    assert not take_statement_lines(session, files, statement)
    assert rows_of(session) == [2, 3, 4, 5, 6, 7, 8]


def test_the_same_file_again_is_the_same_statement_while_it_goes_on(
    session: Session, cashier: User, files: FileStore
) -> None:
    statement = bring(session, cashier, files, content(7))
    take_statement_lines(session, files, statement)
    assert bring(session, cashier, files, content(7)).id == statement.id
    assert (statement.lines_done, len(rows_of(session))) == (3, 3)


def test_lines_that_another_file_brought_meanwhile_are_left_alone(
    session: Session, cashier: User, files: FileStore
) -> None:
    long = bring(session, cashier, files, content(7))
    bring(session, cashier, files, content(2))
    while take_statement_lines(session, files, long):
        pass
    serials = list(session.scalars(select(BankLine.serial_no).order_by(BankLine.serial_no)))
    assert serials == [f"B{number}" for number in range(1, 8)]
    assert long.lines_done == 7


# --- stopped ---


def test_stopped_between_two_passes_it_keeps_what_it_took_and_goes_on_from_there(
    session: Session, cashier: User, files: FileStore
) -> None:
    actor = actor_of(cashier)
    statement = bring(session, cashier, files, content(7))
    take_statement_lines(session, files, statement)
    stopped_at = stop_statement(session, actor, statement).stopped_at
    assert stop_statement(session, actor, statement).stopped_at == stopped_at
    assert next_statement(session) is None
    assert not take_statement_lines(session, files, statement)
    assert rows_of(session) == [2, 3, 4]
    assert (
        bring(session, cashier, files, content(7)).id == statement.id
    )  # the same file is how one goes on, too
    assert statement.is_open
    resume_statement(session, actor, statement)
    while take_statement_lines(session, files, statement):
        pass
    assert rows_of(session) == [2, 3, 4, 5, 6, 7, 8]
    actions = list(
        session.scalars(select(TrailEntry.action).where(TrailEntry.action.like("payments.%tatement%")))
    )
    assert actions == ["payments.import_statement", "payments.stop_statement", "payments.resume_statement"]


def test_stopping_what_is_all_taken_in_is_refused(session: Session, cashier: User, files: FileStore) -> None:
    statement = bring(session, cashier, files, content(2))
    with pytest.raises(Conflict, match="没有什么可以停下的"):
        stop_statement(session, actor_of(cashier), statement)
    assert statement.stopped_at is None


def test_a_contradiction_that_came_meanwhile_stops_it_with_the_reason(
    session: Session, cashier: User, files: FileStore
) -> None:
    long = bring(session, cashier, files, content(7))
    other = f"{HEADER}\nB5,2026-06-01,9.00,某单位,货款".encode()
    bring(session, cashier, files, other)
    while take_statement_lines(session, files, long):
        pass
    assert long.lines_done == 3
    assert long.stopped_at is not None
    assert long.trouble is not None
    assert long.trouble["params"] == {"row": 6, "serial": "B5"}
    assert rows_of(session) == [2, 2, 3, 4]
    assert session.scalar(select(func.count()).where(BankLine.state == BankLineState.QUEUED)) == 4


# --- pages and the worker ---


def test_the_page_tells_how_far_it_is_and_stops_it(
    session: Session, cashier: User, client: MarketClient, work: Work
) -> None:
    client.sign_in(cashier)
    sent = {"file": (BytesIO(content(7)), "六月.csv")}
    address = client.post("/cashier/statements", data=sent).location
    page = client.get(address).text
    assert 'http-equiv="refresh"' in page
    assert "0 / 7" in page
    assert "正在逐笔入账" in client.get(f"{address}/progress").text
    assert "已停下：前 0 笔已入账，其余没有动" in client.post(f"{address}/stop", follow_redirects=True).text
    work(TAKE_STATEMENTS)
    assert rows_of(session) == []
    session.commit()
    assert "停在第 0 笔，共 7 笔" in client.get(address).text
    client.post(f"{address}/resume")
    work(TAKE_STATEMENTS)
    assert client.get(f"{address}/progress").headers["HX-Refresh"] == "true"
    assert rows_of(session) == [2, 3, 4, 5, 6, 7, 8]
    assert "没有什么可以停下的" in client.post(f"{address}/stop", follow_redirects=True).text


@pytest.mark.parametrize("act", ["stop", "resume"])
def test_others_do_not_reach_it(
    session: Session, cashier: User, files: FileStore, client: MarketClient, act: str
) -> None:
    statement = bring(session, cashier, files, content(7))
    client.sign_in(official_with(Role.AUDITOR))
    assert client.post(f"/cashier/statements/{statement.public_no}/{act}").status_code == 403
    client.sign_in(cashier)
    assert client.post(f"/cashier/statements/K-FORGED0000/{act}").status_code == 404
    session.refresh(statement)
    assert statement.is_open
