"""Jobs sweep rows in transactions of their own, and a request wakes them after its commit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue
from huey import Huey
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config import Settings
from marketplace.core.errors import Refused
from marketplace.identity.models import Organisation, OrganisationKind
from marketplace.web import jobs
from marketplace.web.jobs import EXTENSION, Job, Jobs
from marketplace.web.transaction import current_session, runner


def office(name: str) -> Organisation:
    return Organisation(kind=OrganisationKind.GOVERNMENT, name=name, region_code="36")


def names(session: Session) -> list[str]:
    """What is committed; the look is over at once, so that it holds up no writer."""
    found = list(session.scalars(select(Organisation.name).order_by(Organisation.id)))
    session.rollback()
    return found


def found_five(session: Session) -> bool:
    """One office a pass, five in all."""
    count = session.scalar(select(func.count()).select_from(Organisation)) or 0
    if count < 5:
        session.add(office(f"office {count}"))
    return count < 5


def found_two_then_fail(session: Session) -> bool:
    count = session.scalar(select(func.count()).select_from(Organisation)) or 0
    session.add(office(f"office {count}"))
    session.flush()
    if count == 2:
        raise RuntimeError("the third pass fails")
    return True


def found_forever(session: Session) -> bool:
    return True


TABLE = (Job("found five", found_five), Job("fail", found_two_then_fail), Job("never ends", found_forever, 5))


@pytest.fixture
def offices(app: Flask) -> Iterator[Flask]:
    """The app with the jobs above and two pages that nudge them."""
    app.extensions[EXTENSION] = Jobs(app, TABLE, jobs.open_queue(app.config["SETTINGS"]))

    def page() -> ResponseReturnValue:
        current_session().add(office("asked"))
        jobs.nudge("found five")
        jobs.nudge("found five")
        return "done"

    def refused() -> ResponseReturnValue:
        current_session().add(office("refused"))
        jobs.nudge("found five")
        raise Refused("no", "不行")

    for view in (page, refused):
        view.access = "public"  # type: ignore[attr-defined]
        app.add_url_rule(f"/{view.__name__}", view_func=view, methods=["POST"])
    return app


def queue_of(app: Flask) -> Jobs:
    found: Jobs = app.extensions[EXTENSION]
    return found


def test_a_job_goes_on_until_nothing_waits(offices: Flask, session: Session) -> None:
    assert queue_of(offices).run("found five") == 6
    assert names(session) == [f"office {n}" for n in range(5)]
    assert queue_of(offices).run("found five") == 1


def test_a_failed_pass_keeps_the_passes_before_it(offices: Flask, session: Session) -> None:
    with pytest.raises(RuntimeError, match="the third pass fails"):
        queue_of(offices).run("fail")
    assert names(session) == ["office 0", "office 1"]


@pytest.mark.databases("sqlite")
def test_a_job_that_never_ends_lets_the_others_in(offices: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_PASSES", 20)
    assert queue_of(offices).run("never ends") == 20


def test_many_nudges_of_a_request_wake_the_job_once_and_after_the_commit(
    offices: Flask, session: Session
) -> None:
    assert offices.test_client().post("/page").status_code == 200
    assert names(session) == ["asked"]
    assert queue_of(offices).waiting() == 1
    queue = queue_of(offices).queue
    queue.execute(queue.dequeue())
    assert names(session) == ["asked", *(f"office {n}" for n in range(1, 5))]


def test_nudges_before_the_job_ran_are_one_run_and_after_it_another(offices: Flask) -> None:
    client = offices.test_client()
    client.post("/page")
    client.post("/page")
    assert queue_of(offices).waiting() == 1
    queue = queue_of(offices).queue
    queue.execute(queue.dequeue())
    client.post("/page")
    assert queue_of(offices).waiting() == 1


def test_a_refused_request_leaves_nothing_for_the_job_it_woke(offices: Flask, session: Session) -> None:
    assert offices.test_client().post("/refused").status_code == 422
    assert names(session) == []


def test_a_job_that_fails_in_the_worker_waits_for_its_next_round(offices: Flask) -> None:
    queue_of(offices).wake("fail")
    queue = queue_of(offices).queue
    queue.execute(queue.dequeue())
    assert queue_of(offices).waiting() == 0
    queue_of(offices).wake("fail")
    assert queue_of(offices).waiting() == 1


def test_commands_nudge_too(offices: Flask) -> None:
    with runner(offices):
        jobs.nudge("found five")
        assert queue_of(offices).waiting() == 0
    assert queue_of(offices).waiting() == 1


@pytest.mark.databases("sqlite")
def test_a_misspelt_job_is_found_at_once(offices: Flask) -> None:
    with offices.app_context(), pytest.raises(KeyError):
        jobs.nudge("found fvie")


@pytest.mark.databases("sqlite")
def test_the_command_names_the_jobs_there_are(offices: Flask) -> None:
    told = offices.test_cli_runner().invoke(args=["job", "nothing"])
    assert told.exit_code == 2
    assert "fail, found five, never ends" in told.output
    assert offices.test_cli_runner().invoke(args=["job", "found five"]).output == "found five: 6 passes\n"


@pytest.fixture
def queue(settings: Settings) -> Iterator[Huey]:
    """The queue a deployment on this database has."""
    settings.data_dir.mkdir()
    opened = jobs.open_queue(settings.model_copy(update={"environment": "development"}))
    yield opened
    opened.storage.close()


def test_the_queue_of_a_deployment_lasts(queue: Huey, app: Flask, session: Session) -> None:
    found = Jobs(app, TABLE, queue)
    found.wake("found five")
    found.wake("found five")
    found.beat()
    queue.storage.close()
    assert found.waiting() == 1
    assert found.heartbeat_age() is not None
    queue.execute(queue.dequeue())
    assert len(names(session)) == 5
    assert found.waiting() == 0
