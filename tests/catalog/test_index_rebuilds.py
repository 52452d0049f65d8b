"""The operator makes the search index anew: one rebuild at a time, seen on its way, cancelled without loss."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from marketplace.catalog.models import IndexTask
from marketplace.catalog.rebuilds import rules
from marketplace.catalog.rebuilds.jobs import REBUILD
from marketplace.catalog.rebuilds.models import IndexRebuild, RebuildState
from marketplace.catalog.search.engine import SearchRequest
from marketplace.core.errors import Conflict, Forbidden
from marketplace.identity.models import Role, TrailEntry
from tests.factories.identity import UserFactory, actor_of
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import offer
from tests.journeys.paper import Visitor


@pytest.fixture
def operator(session):
    return UserFactory(granted=(Role.OPERATOR,))


@pytest.fixture
def office(client, operator) -> Visitor:
    client.sign_in(operator)
    return Visitor(client)


def rebuilds(session) -> list[IndexRebuild]:
    return list(session.scalars(select(IndexRebuild).order_by(IndexRebuild.id)))


def test_a_rebuild_is_asked_for_done_by_the_worker_and_listed(app, session, office, work):
    offered = offer(session, CooperativeFactory())
    page = office.press(office.open("/operations/search"), "重建索引")
    assert office.open("/operations/search").has("等待开始", "取消重建")
    assert page is not None
    work(REBUILD)
    (rebuild,) = rebuilds(session)
    assert (rebuild.state, rebuild.done_count, rebuild.total_count) == (RebuildState.DONE, 1, 1)
    assert rebuild.finished_at is not None
    found = app.extensions["search"].search(SearchRequest())
    assert found.listing_nos == (offered.listing.public_no,)
    assert office.open("/operations/search").has("已完成", "1 / 1", "重建索引")
    assert office.client.get("/operations/search/progress").headers["HX-Refresh"] == "true"


def test_a_listing_that_changed_twice_waits_once(session, office):
    offered = offer(session, CooperativeFactory())
    session.add_all(IndexTask(listing_id=offered.listing.id) for _ in range(2))
    assert office.open("/operations/search").has("等待更新的商品 1")


def test_a_second_rebuild_waits_for_the_first(session, operator, office):
    rules.ask_for_rebuild(session, actor_of(operator))
    with pytest.raises(Conflict, match="已有一次重建在进行"):
        rules.ask_for_rebuild(session, actor_of(operator))
    session.commit()
    answer = office.client.post("/operations/search/rebuild", follow_redirects=True)
    assert "已有一次重建在进行，请等它完成或先取消。" in answer.text
    assert len(rebuilds(session)) == 1


def test_the_database_holds_one_open_rebuild(session, operator):
    rules.ask_for_rebuild(session, actor_of(operator))
    step = session.begin_nested()
    session.add(IndexRebuild(asked_by=operator.id))
    with pytest.raises(IntegrityError):
        session.flush()
    step.rollback()
    assert len(rebuilds(session)) == 1


def test_a_waiting_rebuild_is_cancelled_at_once(session, office, operator, work):
    rules.ask_for_rebuild(session, actor_of(operator))
    office.press(office.open("/operations/search"), "取消重建")
    work(REBUILD)
    (rebuild,) = rebuilds(session)
    assert (rebuild.state, rebuild.done_count) == (RebuildState.CANCELLED, 0)
    actions = list(session.scalars(select(TrailEntry.action).order_by(TrailEntry.id)))
    assert actions == ["search.ask_rebuild", "search.cancel_rebuild"]


def test_a_running_rebuild_stops_at_its_next_step_and_leaves_the_index(app, session, operator, work, clock):
    offer(session, CooperativeFactory())
    rules.ask_for_rebuild(session, actor_of(operator))
    work(REBUILD)
    offer(session, CooperativeFactory())
    rebuild = rules.ask_for_rebuild(session, actor_of(operator))
    rules.begin_rebuild(rebuild, total_count=2)
    rules.cancel_rebuild(session, actor_of(operator))
    work(REBUILD)
    assert rebuilds(session)[-1].state is RebuildState.RUNNING  # its worker was heard of just now
    clock.advance(minutes=3)
    work(REBUILD)
    assert rebuilds(session)[-1].state is RebuildState.CANCELLED
    assert app.extensions["search"].search(SearchRequest()).total == 1


def test_cancelling_what_has_ended_is_refused(session, operator):
    with pytest.raises(Conflict, match="没有正在进行的重建"):
        rules.cancel_rebuild(session, actor_of(operator))
    assert rebuilds(session) == []


@pytest.mark.parametrize("role", [Role.COOPERATIVE_MANAGER, Role.AUDITOR, Role.STAFF_BUYER])
def test_only_the_operator_may(session, client, role):
    stranger = UserFactory(granted=(role,))
    with pytest.raises(Forbidden):
        rules.ask_for_rebuild(session, actor_of(stranger))
    client.sign_in(stranger)
    assert client.get("/operations/search").status_code == 403
    assert client.post("/operations/search/rebuild").status_code == 403
    assert rebuilds(session) == []
