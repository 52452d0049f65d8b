"""Files the worker makes: asked for once, seen on their way, cancelled without a trace, taken by who asked, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import Actor
from marketplace.identity.downloads import kinds, rules
from marketplace.identity.downloads.kinds import FileKind, Making
from marketplace.identity.downloads.models import FileState, PreparedFile
from marketplace.identity.downloads.queries import file_by_no
from marketplace.identity.downloads.rules import MOST_OPEN, PREPARE_FILES
from marketplace.identity.models import Role, TrailEntry, User, UserRole
from marketplace.identity.permissions import Permission
from marketplace.web.transaction import runner
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory, actor_of, official_with

Work = Callable[..., None]
ROWS = 6


class Numbers:
    """A kind of file: so many numbered lines; `before(number)` happens before a line is written."""

    def __init__(self) -> None:
        self.before: Callable[[int], Any] = lambda _number: None
        self.written: list[int] = []

    def write(self, making: Making) -> None:
        assert making.session.scalar(select(User.id).where(User.id == making.actor.user_id))
        for number in making.followed(self._numbers(making.params["rows"])):
            making.target.write(f"{number} {making.translate('合计')}\n".encode())

    def _numbers(self, rows: int) -> Iterator[int]:
        for number in range(1, rows + 1):
            self.before(number)
            self.written.append(number)
            yield number

    def kind(self) -> FileKind:
        return FileKind("数", (Permission.READ_AUDIT,), "text/plain", "txt", self.write)


@pytest.fixture
def numbers(app: Flask, clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> Numbers:
    monkeypatch.setattr(kinds, "ROWS_A_STEP", 2)
    made = Numbers()
    app.extensions["file_kinds"] = {"numbers": made.kind()}
    return made


@pytest.fixture
def auditor(session: Session) -> User:
    return official_with(Role.AUDITOR)


@pytest.fixture
def office(client: MarketClient, auditor: User) -> MarketClient:
    client.sign_in(auditor)
    return client


Ask = Callable[..., PreparedFile]


@pytest.fixture
def ask(app: Flask, session: Session, numbers: Numbers, auditor: User) -> Ask:
    def asked(by: Actor | None = None, *, rows: int = ROWS, locale: str = "zh_CN") -> PreparedFile:
        return rules.ask_for_file(
            session,
            by or actor_of(auditor),
            app.extensions["file_kinds"],
            "numbers",
            params={"rows": rows},
            title="一年的数",
            locale=locale,
            total_count=rows,
        )

    return asked


def all_files(session: Session) -> list[PreparedFile]:
    return list(session.scalars(select(PreparedFile).order_by(PreparedFile.id)))


def stored(app: Flask) -> list[str]:
    found: list[str] = app.extensions["prepared_files"].names()
    return found


def actions(session: Session) -> list[str]:
    return list(session.scalars(select(TrailEntry.action).order_by(TrailEntry.id)))


# --- what is refused ---


@pytest.mark.parametrize("role", [Role.COUNTY_REVIEWER, Role.OPERATOR, Role.VILLAGE_REVIEWER])
def test_only_those_who_may_read_it_may_ask(session: Session, ask: Ask, role: Role) -> None:
    with pytest.raises(Forbidden):
        ask(actor_of(official_with(role)))
    assert all_files(session) == []
    assert actions(session) == []


def test_few_may_be_open_at_a_time(session: Session, ask: Ask) -> None:
    for rows in range(1, MOST_OPEN + 1):
        ask(rows=rows)
    with pytest.raises(Refused, match=f"已有 {MOST_OPEN} 个文件在准备"):
        ask(rows=100)
    assert len(all_files(session)) == MOST_OPEN
    assert ask(rows=1).id == all_files(session)[0].id  # the same again is no further one


@pytest.mark.parametrize("path", ["", "/progress", "/file"])
def test_anybody_elses_file_and_a_forged_number_are_not_found(
    app: Flask, session: Session, ask: Ask, client: MarketClient, work: Work, path: str
) -> None:
    file = ask()
    work(PREPARE_FILES)
    client.sign_in(official_with(Role.AUDITOR))
    for number in (file.public_no, "DL-FORGED0000"):
        assert client.get(f"/downloads/{number}{path}").status_code == 404
        assert client.post(f"/downloads/{number}/cancel").status_code == 404
    assert "一年的数" not in client.get("/downloads").text
    assert all_files(session)[0].state is FileState.READY


def test_nobody_signed_in_has_no_downloads(client: MarketClient) -> None:
    answer = client.get("/downloads")
    assert (answer.status_code, answer.location.split("?")[0]) == (302, "/sign-in")


def test_who_moved_to_another_organisation_leaves_the_files_behind(
    session: Session, ask: Ask, auditor: User, office: MarketClient, work: Work
) -> None:
    file = ask()
    work(PREPARE_FILES)
    auditor.organisation = official_with(Role.AUDITOR, "361026").organisation
    session.commit()
    assert office.get(f"/downloads/{file.public_no}/file").status_code == 404
    with pytest.raises(NotFound):
        file_by_no(session, actor_of(auditor), file.public_no)


def test_who_lost_the_role_gets_no_file(
    app: Flask, session: Session, ask: Ask, auditor: User, office: MarketClient, work: Work
) -> None:
    ready, late = ask(rows=1), None
    work(PREPARE_FILES)
    late = ask(rows=2)
    auditor.roles = [UserRole(role=Role.COUNTY_REVIEWER)]
    session.commit()
    assert office.get(f"/downloads/{ready.public_no}/file").status_code == 403
    work(PREPARE_FILES)
    session.refresh(late)
    assert (late.state, late.reason) == (FileState.FAILED, "您现在没有查看这些内容的权限")
    assert stored(app) == [ready.stored_name]


# --- the usual way ---


def test_a_file_is_made_by_the_worker_and_taken_by_who_asked(
    app: Flask, session: Session, ask: Ask, office: MarketClient, work: Work, clock: HeldClock
) -> None:
    file = ask()
    page = office.get(f"/downloads/{file.public_no}")
    assert "等待开始" in page.text
    assert 'http-equiv="refresh"' in page.text
    assert "0 / 6" in office.get(f"/downloads/{file.public_no}/progress").text
    assert office.get(f"/downloads/{file.public_no}/file").status_code == 404
    work(PREPARE_FILES)
    session.refresh(file)
    assert (file.state, file.done_count, file.attempt, file.open_key) == (FileState.READY, 6, 1, None)
    assert file.expires_at == clock.now.replace(day=4)
    assert office.get(f"/downloads/{file.public_no}/progress").headers["HX-Refresh"] == "true"
    page = office.get(f"/downloads/{file.public_no}")
    assert 'http-equiv="refresh"' not in page.text
    answer = office.get(f"/downloads/{file.public_no}/file")
    assert answer.data.decode().splitlines() == [f"{number} 合计" for number in range(1, 7)]
    assert answer.content_length == file.size_bytes == len(answer.data)
    assert (
        "filename*=UTF-8''%E4%B8%80%E5%B9%B4%E7%9A%84%E6%95%B0.txt" in answer.headers["Content-Disposition"]
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert "一年的数" in office.get("/downloads").text
    assert actions(session) == ["identity.ask_for_file"]


def test_asking_wakes_the_worker(app: Flask, session: Session, ask: Ask) -> None:
    from_page = app.extensions["marketplace_jobs"].queue
    with runner(app) as own:
        rules.ask_for_file(
            own,
            actor_of(official_with_committed(session)),
            app.extensions["file_kinds"],
            "numbers",
            params={"rows": 1},
            title="数",
            locale="zh_CN",
            total_count=1,
        )
        assert from_page.pending_count() == 0  # not before the commit
    assert from_page.pending_count() == 1
    from_page.execute(from_page.dequeue())
    session.rollback()
    assert all_files(session)[0].state is FileState.READY


def official_with_committed(session: Session) -> User:
    user = official_with(Role.AUDITOR)
    session.commit()
    return user


def test_the_file_speaks_the_readers_language(app: Flask, ask: Ask, office: MarketClient, work: Work) -> None:
    file = ask(rows=1, locale="en")
    work(PREPARE_FILES)
    assert office.get(f"/downloads/{file.public_no}/file").data == b"1 Total\n"


def test_who_asks_for_the_same_again_is_shown_the_first(session: Session, ask: Ask, auditor: User) -> None:
    first = ask()
    assert ask().id == first.id
    assert ask(locale="en").id != first.id
    assert ask(rows=7).id != first.id
    assert ask(actor_of(official_with(Role.AUDITOR))).id != first.id
    assert len(all_files(session)) == 4
    assert actions(session) == ["identity.ask_for_file"] * 4


def test_the_database_holds_one_open_file_of_the_same(session: Session, ask: Ask) -> None:
    first = ask()
    step = session.begin_nested()
    session.add(
        PreparedFile(
            asked_by=first.asked_by, kind="numbers", locale="zh_CN", title="数", open_key=first.open_key
        )
    )
    with pytest.raises(IntegrityError):
        session.flush()
    step.rollback()
    assert len(all_files(session)) == 1


def test_once_it_is_ready_the_same_can_be_made_anew(session: Session, ask: Ask, work: Work) -> None:
    first = ask()
    work(PREPARE_FILES)
    assert ask().id != first.id
    work(PREPARE_FILES)
    assert [file.state for file in all_files(session)] == [FileState.READY] * 2


def test_the_worker_makes_what_waits_in_its_order(
    session: Session, ask: Ask, numbers: Numbers, work: Work
) -> None:
    for rows in (1, 3, 2):
        ask(rows=rows)
    work(PREPARE_FILES)
    assert numbers.written == [1, 1, 2, 3, 1, 2]
    work(PREPARE_FILES)
    assert numbers.written == [1, 1, 2, 3, 1, 2]


# --- on its way ---


def test_progress_is_seen_while_it_is_written(
    app: Flask, ask: Ask, numbers: Numbers, auditor: User, work: Work
) -> None:
    file, seen = ask(), []

    def look(number: int) -> None:
        if number % 2:
            page = app.test_client()
            page.sign_in(auditor)  # type: ignore[attr-defined]
            seen.append(page.get(f"/downloads/{file.public_no}/progress").text)

    numbers.before = look
    work(PREPARE_FILES)
    assert len(seen) == 3
    assert ["0 / 6" in seen[0], "0 / 6" in seen[1], "2 / 6" in seen[2]] == [True, True, True]
    assert all("正在准备" in bar and "<progress" in bar for bar in seen)


def test_one_that_waits_is_cancelled_at_once(
    app: Flask, session: Session, ask: Ask, numbers: Numbers, office: MarketClient, work: Work
) -> None:
    file = ask()
    assert (
        "已取消，没有留下文件"
        in office.post(f"/downloads/{file.public_no}/cancel", follow_redirects=True).text
    )
    work(PREPARE_FILES)
    assert (all_files(session)[0].state, numbers.written, stored(app)) == (FileState.CANCELLED, [], [])
    assert actions(session) == ["identity.ask_for_file", "identity.cancel_file"]


def test_one_that_is_written_stops_at_the_next_step_and_leaves_nothing(
    app: Flask, session: Session, ask: Ask, numbers: Numbers, auditor: User, work: Work
) -> None:
    file, actor = ask(), actor_of(auditor)

    def cancel(number: int) -> None:
        if number == 3:
            assert stored(app) == [f"{file.public_no}.1"]
            with runner(app) as own:
                rules.cancel_file(own, actor, own.get_one(PreparedFile, file.id))

    numbers.before = cancel
    work(PREPARE_FILES)
    assert numbers.written == [1, 2, 3]
    (left,) = all_files(session)
    assert (left.state, left.size_bytes, left.expires_at) == (FileState.CANCELLED, 0, None)
    assert stored(app) == []


def test_cancelling_after_the_last_row_leaves_nothing_either(
    app: Flask, session: Session, ask: Ask, numbers: Numbers, auditor: User, work: Work
) -> None:
    file, actor = ask(), actor_of(auditor)

    def cancel(number: int) -> None:
        if number == ROWS:
            with runner(app) as own:
                rules.cancel_file(own, actor, own.get_one(PreparedFile, file.id))

    numbers.before = cancel
    work(PREPARE_FILES)
    assert (all_files(session)[0].state, stored(app)) == (FileState.CANCELLED, [])


def test_cancelling_twice_changes_nothing(session: Session, ask: Ask, auditor: User) -> None:
    file = rules.cancel_file(session, actor_of(auditor), ask())
    ended = file.finished_at
    assert rules.cancel_file(session, actor_of(auditor), file).finished_at == ended
    assert actions(session) == ["identity.ask_for_file", "identity.cancel_file"]


def test_cancelling_what_is_ready_is_refused_and_it_stays(
    app: Flask, session: Session, ask: Ask, auditor: User, office: MarketClient, work: Work
) -> None:
    file = ask()
    work(PREPARE_FILES)
    with pytest.raises(Conflict, match="没有什么可以取消的"):
        rules.cancel_file(session, actor_of(auditor), all_files(session)[0])
    session.rollback()
    page = office.post(f"/downloads/{file.public_no}/cancel", follow_redirects=True)
    assert "没有什么可以取消的" in page.text
    assert office.get(f"/downloads/{file.public_no}/file").status_code == 200
    assert actions(session) == ["identity.ask_for_file"]


# --- what goes wrong ---


def test_one_that_cannot_be_made_says_so_and_leaves_nothing(
    app: Flask, session: Session, ask: Ask, numbers: Numbers, office: MarketClient, work: Work
) -> None:
    file = ask()

    def fail(number: int) -> None:
        if number == 4:
            raise ZeroDivisionError

    numbers.before = fail
    work(PREPARE_FILES)
    assert stored(app) == []
    page = office.get(f"/downloads/{file.public_no}").text
    assert "系统出错，没有做成，请再要一次" in page
    numbers.before = lambda _number: None
    assert ask().id != file.id
    work(PREPARE_FILES)
    assert [one.state for one in all_files(session)] == [FileState.FAILED, FileState.READY]


def test_what_a_killed_worker_left_is_made_by_the_next(
    app: Flask, session: Session, ask: Ask, numbers: Numbers, work: Work, clock: HeldClock
) -> None:
    file = ask()
    rules.take_on(session)
    (app.extensions["prepared_files"].root).mkdir()
    (app.extensions["prepared_files"].root / f"{file.public_no}.1.part").write_bytes(b"half")
    clock.advance(minutes=4)
    work(PREPARE_FILES)
    assert (all_files(session)[0].state, numbers.written) == (FileState.RUNNING, [])  # it may be alive
    clock.advance(minutes=2)
    work(PREPARE_FILES)
    session.refresh(file)
    assert (file.state, file.attempt, len(numbers.written)) == (FileState.READY, 2, 6)
    work("remove files")
    assert stored(app) == [f"{file.public_no}.2"]


def test_a_worker_that_was_given_up_can_say_nothing_any_more(
    session: Session, ask: Ask, clock: HeldClock
) -> None:
    ask()
    first = rules.take_on(session)
    assert first is not None
    session.expunge(first)
    clock.advance(minutes=6)
    second = rules.take_on(session)
    assert second is not None
    assert (first.id, first.attempt, second.attempt) == (second.id, 1, 2)
    assert not rules.note_progress(session, first, done_count=5)
    assert not rules.finish_file(session, first, size_bytes=5)
    assert not rules.fail_file(session, first, reason="no")
    session.refresh(second)
    assert (second.state, second.done_count, second.reason) == (FileState.RUNNING, 0, "")
    assert rules.note_progress(session, second, done_count=5)


def test_what_is_lost_again_and_again_is_given_up(
    session: Session, ask: Ask, numbers: Numbers, clock: HeldClock, work: Work
) -> None:
    file = ask()
    for attempt in (1, 2, 3):
        taken = rules.take_on(session)
        assert taken is not None
        assert taken.attempt == attempt
        clock.advance(minutes=6)
    work(PREPARE_FILES)
    session.refresh(file)
    assert (file.state, file.reason, numbers.written) == (FileState.FAILED, rules.INTERRUPTED, [])


# --- kept for a while ---


def test_a_file_expires_and_its_bytes_are_removed(
    app: Flask, session: Session, ask: Ask, office: MarketClient, work: Work, clock: HeldClock
) -> None:
    old = ask(rows=1)
    work(PREPARE_FILES)
    clock.advance(days=2)
    young = ask(rows=2)
    work(PREPARE_FILES)
    clock.advance(days=1)
    assert office.get(f"/downloads/{old.public_no}/file").status_code == 404
    assert stored(app) == sorted([old.stored_name, young.stored_name])
    work("remove files")
    session.expire_all()
    assert [file.state for file in all_files(session)] == [FileState.EXPIRED, FileState.READY]
    assert stored(app) == [young.stored_name]
    assert "文件只保留 3 天，已经删除" in office.get(f"/downloads/{old.public_no}").text
    assert office.get(f"/downloads/{young.public_no}/file").status_code == 200


def test_a_file_whose_bytes_are_lost_is_said_to_be_gone(
    app: Flask, session: Session, ask: Ask, office: MarketClient, work: Work
) -> None:
    file = ask()
    work(PREPARE_FILES)
    session.refresh(file)
    app.extensions["prepared_files"].remove(file.stored_name)
    answer = office.get(f"/downloads/{file.public_no}/file")
    assert answer.status_code == 404
    assert "这个文件已到期或不在了，请重新准备" in answer.text


def test_cleaning_leaves_what_is_being_written(app: Flask, ask: Ask, numbers: Numbers, work: Work) -> None:
    file = ask()

    def clean(number: int) -> None:
        if number == 3:
            app.extensions["marketplace_jobs"].run("remove files")

    numbers.before = clean
    work(PREPARE_FILES)
    assert stored(app) == [f"{file.public_no}.1"]


@pytest.mark.databases("sqlite")
def test_a_staff_buyer_without_an_organisation_has_files_too(
    app: Flask, session: Session, numbers: Numbers, client: MarketClient, work: Work
) -> None:
    app.extensions["file_kinds"]["numbers"] = FileKind(
        "数", (Permission.BUY_PERSONALLY,), "text/plain", "txt", numbers.write
    )
    buyer = UserFactory()
    file = rules.ask_for_file(
        session, actor_of(buyer), app.extensions["file_kinds"], "numbers",
        params={"rows": 1}, title="数", locale="zh_CN", total_count=1,
    )  # fmt: skip
    work(PREPARE_FILES)
    client.sign_in(buyer)
    assert client.get(f"/downloads/{file.public_no}/file").data == "1 合计\n".encode()
