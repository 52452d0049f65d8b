"""What a load balancer is told."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import create_engine

from marketplace.web import health
from marketplace.web.jobs import EXTENSION as JOBS
from marketplace.web.transaction import EXTENSION, Database
from tests.conftest import HeldClock, MarketClient


@pytest.fixture
def beating(app: Flask, clock: HeldClock) -> Flask:
    app.extensions[health.EXTENSION] = {
        name: check
        for name, check in app.extensions[health.EXTENSION].items()
        if name in {"database", "worker", "queue"}
    }
    app.extensions[JOBS].beat()
    return app


def test_all_is_well(beating: Flask, client: MarketClient, backend: str, clock: HeldClock) -> None:
    clock.advance(seconds=150)
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "ok",
        "reason": "",
        "database": {"status": "ok", "engine": backend},
        "worker": {"status": "ok", "heartbeat_age_seconds": 150},
        "queue": {"status": "ok", "waiting": 0},
    }
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.databases("sqlite")
def test_a_silent_worker_is_down(beating: Flask, client: MarketClient, clock: HeldClock) -> None:
    clock.advance(seconds=151)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["reason"] == "worker: no sign of life for 151 seconds"
    assert answer.json["database"] == {"status": "ok", "engine": "sqlite"}


@pytest.mark.databases("sqlite")
def test_a_worker_that_never_started_is_down(app: Flask, client: MarketClient) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert "worker: no worker has started" in answer.json["reason"]


@pytest.mark.databases("sqlite")
def test_a_database_that_does_not_answer_is_down_and_tells_no_address(beating: Flask) -> None:
    before = beating.extensions[EXTENSION]
    beating.extensions[EXTENSION] = Database(create_engine("postgresql+psycopg://secret@127.0.0.1:9/none"))
    answer = beating.test_client().get("/healthz")
    beating.extensions[EXTENSION] = before
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["database"] == {"status": "down", "reason": "OperationalError"}
    assert "secret" not in answer.text


@pytest.mark.databases("sqlite")
def test_a_room_adds_a_part_of_its_own(beating: Flask, client: MarketClient) -> None:
    def check_search() -> dict[str, object]:
        raise health.Down("the index is missing")

    health.add_check(beating, "search", check_search)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["reason"] == "search: the index is missing"
