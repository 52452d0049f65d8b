"""Who sets how far prices may go: two people of one place, never laxer than those above, and nothing is forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.prices.models import PricePolicy, PricePolicyProposal, ProposalState
from marketplace.catalog.prices.policies import (
    decide_policy,
    propose_policy,
    tasks_of,
    withdraw_policy,
)
from marketplace.catalog.prices.queries import USUAL, PriceRules, rules_in_force
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import OrganisationKind, Role
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import OrganisationFactory, UserFactory, actor_with
from tests.factories.prices import FIGURES, confirmed_policy
from tests.factories.registry import COUNTY, CooperativeFactory, RegionFactory
from tests.journeys.paper import Visitor

STRICT: dict[str, Any] = {**FIGURES, "above_bp": 1_500}


class Office:
    """Two officials of a county."""

    def __init__(self, session: Session) -> None:
        self.session = session
        RegionFactory(code=COUNTY)
        organisation = OrganisationFactory(kind=OrganisationKind.GOVERNMENT, region_code=COUNTY)
        self.users = [
            UserFactory(granted=(Role.COUNTY_REVIEWER,), organisation=organisation) for _one in range(2)
        ]
        self.first, self.second = map(actor_of, self.users)

    def propose(self, actor: Actor | None = None, **changes: Any) -> PricePolicyProposal:
        said = {**STRICT, **changes}
        from_on = said.pop("from_on", today() + timedelta(days=1))
        basis = said.pop("basis", "县发改委 12 号文")
        return propose_policy(
            self.session, actor or self.first, rules=PriceRules(**said), from_on=from_on, basis=basis
        )

    def counts(self) -> list[int | None]:
        tables = (PricePolicy, PricePolicyProposal)
        return [self.session.scalar(select(func.count()).select_from(table)) for table in tables]

    def above_bp(self, days: int = 0) -> int:
        on = today() + timedelta(days=days)
        return rules_in_force(self.session, {COUNTY}, on)[COUNTY].above_bp


@pytest.fixture
def office(session: Session, clock: HeldClock) -> Office:
    return Office(session)


# --- what is refused leaves everything as it was ---


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"above_bp": -1}, "policy_rate", "above_bp"),
        ({"below_bp": 10_001}, "policy_rate", "below_bp"),
        ({"change_bp": 10_001}, "policy_rate", "change_bp"),
        ({"min_quotes": 0}, "policy_quotes", "min_quotes"),
        ({"min_quotes": 101}, "policy_quotes", "min_quotes"),
        ({"valid_days": 0}, "policy_days", "valid_days"),
        ({"explained_days": 1_001}, "policy_days", "explained_days"),
        ({"above_bp": 2_001}, "policy_laxer", "above_bp"),
        ({"change_bp": 1_001}, "policy_laxer", "change_bp"),
        ({"basis": " 文 "}, "text_length", "basis"),
    ],
)
def test_figures_that_cannot_be_are_refused(
    office: Office, changes: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(Refused) as refused, office.session.begin_nested():
        office.propose(**changes)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert office.counts() == [0, 0]


@pytest.mark.parametrize("days", [-1, 0, 367])
def test_a_policy_begins_tomorrow_at_the_earliest(office: Office, days: int) -> None:
    with pytest.raises(Refused) as refused, office.session.begin_nested():
        office.propose(from_on=today() + timedelta(days=days))
    assert refused.value.field == "from_on"
    assert office.counts() == [0, 0]


def test_others_do_not_set_it(office: Office, session: Session) -> None:
    proposal = office.propose()
    other = OrganisationFactory(kind=OrganisationKind.GOVERNMENT, region_code="360724")
    elsewhere = actor_of(UserFactory(granted=(Role.COUNTY_REVIEWER,), organisation=other))
    for actor, error in (
        (actor_with(Role.AUDITOR), Forbidden),
        (actor_with(Role.OPERATOR), NotFound),
        (elsewhere, NotFound),
        (office.first, Forbidden),
    ):
        with pytest.raises(error):
            decide_policy(session, actor, proposal, agrees=True)
    with pytest.raises(Forbidden):
        office.propose(actor_with(Role.COOPERATIVE_MANAGER))
    with pytest.raises(Forbidden):
        withdraw_policy(session, office.second, proposal)
    assert proposal.state is ProposalState.WAITING
    assert office.counts() == [0, 1]


def test_one_proposal_of_a_place_waits_at_a_time(office: Office) -> None:
    office.propose()
    with pytest.raises(Conflict):
        office.propose(office.second)
    assert office.counts() == [0, 1]


def test_a_refusal_says_why(office: Office, session: Session) -> None:
    proposal = office.propose()
    with pytest.raises(Refused):
        decide_policy(session, office.second, proposal, agrees=False, answer=" ")
    decide_policy(session, office.second, proposal, agrees=False, answer="依据不对")
    assert (proposal.state, proposal.answer) == (ProposalState.REFUSED, "依据不对")
    for attempt in (
        lambda: decide_policy(session, office.second, proposal, agrees=True),
        lambda: withdraw_policy(session, office.first, proposal),
    ):
        with pytest.raises(Conflict):
            attempt()
    assert office.counts() == [0, 1]


def test_a_proposal_whose_day_has_passed_is_not_confirmed(
    office: Office, session: Session, clock: HeldClock
) -> None:
    proposal = office.propose()
    clock.advance(days=2)
    with pytest.raises(Conflict) as refused:
        decide_policy(session, office.second, proposal, agrees=True)
    assert refused.value.code == "policy_late"
    assert withdraw_policy(session, office.first, proposal).state is ProposalState.WITHDRAWN
    assert office.counts() == [0, 1]


# --- what holds ---


def test_two_people_set_it_and_it_holds_from_its_day_on(
    office: Office, session: Session, clock: HeldClock
) -> None:
    proposal = office.propose()
    assert tasks_of(session, office.first) == []
    assert [task.endpoint for task in tasks_of(session, office.second)] == ["prices.policy"]
    assert office.above_bp(1) == USUAL.above_bp
    decide_policy(session, office.second, proposal, agrees=True)
    assert tasks_of(session, office.second) == []
    assert (office.above_bp(), office.above_bp(1)) == (2_000, 1_500)
    clock.advance(days=30)
    later = decide_policy(session, office.first, office.propose(office.second, above_bp=1_000), agrees=True)
    assert (office.above_bp(), office.above_bp(1)) == (1_500, 1_000)
    assert later.decided_by == office.first.user_id
    assert office.counts() == [2, 2]


def test_the_province_binds_its_counties(office: Office, session: Session) -> None:
    confirmed_policy(session, region_code=RegionFactory(code="36").code, above_bp=1_200)
    with pytest.raises(Refused) as refused, session.begin_nested():
        office.propose(above_bp=1_201)
    assert (refused.value.code, refused.value.params["most"]) == ("policy_laxer", "12.00")
    assert office.propose(above_bp=1_200).state is ProposalState.WAITING


def test_the_operator_sets_the_province_s(session: Session, clock: HeldClock) -> None:
    RegionFactory(code="36")
    first, second = actor_with(Role.OPERATOR), actor_with(Role.OPERATOR)
    proposal = propose_policy(
        session,
        first,
        rules=PriceRules(above_bp=2_500),
        from_on=today() + timedelta(days=1),
        basis="省发改委文件",
    )
    decide_policy(session, second, proposal, agrees=True)
    on = today() + timedelta(days=1)
    assert rules_in_force(session, {COUNTY}, on)[COUNTY].above_bp == 2_500


# --- what the database holds ---


def test_the_database_takes_only_what_was_confirmed(office: Office, session: Session) -> None:
    proposal = office.propose()
    said = {**STRICT, "region_code": COUNTY, "from_on": proposal.from_on, "basis": proposal.basis}
    for changes in ({}, {"proposal_id": proposal.id}):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(PricePolicy(**said, **changes))
    decide_policy(session, office.second, proposal, agrees=True)
    for changes in ({"from_on": today()}, {"above_bp": 9_999, "from_on": today()}):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(PricePolicy(**{**said, "proposal_id": proposal.id, **changes}))
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(PricePolicy).values(above_bp=9_999))
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(PricePolicyProposal).values(decided_by=proposal.proposed_by))
    assert office.counts() == [1, 1]
    assert office.above_bp(1) == 1_500


# --- the page ---


def test_it_is_proposed_and_confirmed_on_its_page(
    client: MarketClient, session: Session, office: Office
) -> None:
    client.sign_in(office.users[0])
    visitor = Visitor(client)
    page = visitor.open("/prices/policy")
    assert page.has("提出新规则", "20.00%", "还没有单独设过规则")
    day = (today() + timedelta(days=2)).isoformat()
    refused = visitor.press(
        page, "提出规则", status=422, above_bp="二成", from_on=day, basis="县发改委 12 号文"
    )
    assert refused.has("请填写百分数")
    assert refused.button("提出规则")[0].values["basis"] == "县发改委 12 号文"
    refused = visitor.press(
        page, "提出规则", status=422, above_bp="25", from_on=day, basis="县发改委 12 号文"
    )
    assert refused.has("不能宽于上级的 20.00%")
    page = visitor.press(refused, "提出规则", above_bp="15")
    assert page.has("待确认的规则", "15.00%", "要由另一位同事确认")
    client.sign_in(office.users[1])
    assert visitor.open("/desk").has("1 份价格规则待您确认")
    page = visitor.press(visitor.open("/prices/policy"), "不同意", answer="")
    assert page.has("请写明不同意的原因")
    page = visitor.press(page, "确认规则")
    assert page.has("已确认", "尚未生效", "15.00%", "县发改委 12 号文")
    assert session.scalar(select(PricePolicy.above_bp)) == 1_500


def test_strangers_do_not_see_it(client: MarketClient) -> None:
    assert client.get("/prices/policy").status_code in {302, 303}
    cooperative = CooperativeFactory()
    client.sign_in(UserFactory(granted=(Role.COOPERATIVE_MANAGER,), organisation=None))
    assert cooperative.id
    assert client.get("/prices/policy").status_code == 403
