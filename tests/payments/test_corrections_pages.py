"""The pages of corrections: proposed by one, read with before and after, agreed to by another."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role
from marketplace.payments.corrections.models import CorrectionSet, CorrectionState
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Household, HouseholdStatusKind
from marketplace.registry.rules import record_status
from tests.conftest import START, HeldClock, MarketClient
from tests.factories.identity import UserFactory, actor_with, official_with
from tests.factories.refunds import shared_offer, standing
from tests.factories.registry import CooperativeFactory, user_of
from tests.factories.trade import sell
from tests.journeys.paper import Visitor


def wrong_household(session: Session) -> tuple[Household, list[int]]:
    """A household found ineligible, credited 6 of 10 fen, and everybody's ids."""
    cooperative = CooperativeFactory()
    offered, households = shared_offer(session, cooperative, 4, 6)
    sell(session, offered, units=10)
    settle_lines(session)
    household = session.get_one(Household, households[1])
    record_status(
        session,
        actor_with(Role.COUNTY_REVIEWER),
        household,
        status=HouseholdStatusKind.INELIGIBLE,
        valid_from=START.date(),
        reason="复核发现有商品房",
    )
    return household, households


def test_one_person_proposes_and_another_agrees(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    household, (first, second) = wrong_household(session)
    proposer, other = official_with(Role.COUNTY_REVIEWER), official_with(Role.COUNTY_REVIEWER)
    client.sign_in(proposer)
    data = {
        "household_no": household.public_no,
        "kind": "ineligible",
        "from_on": "2026-06-01",
        "reason": "动态管理复核",
    }
    assert Visitor(client).open("/corrections/new").has("提出更正")
    data["household_no"] = household.registry_no  # what stands on the page of a household
    answer = client.post("/corrections/new", data=data)
    assert answer.status_code == 303
    page = Visitor(client).open(answer.location)
    assert page.has("等待另一位", "¥0.06", "动态管理复核")
    assert client.post(f"{answer.location}/agree").status_code == 403

    client.sign_in(other)
    assert Visitor(client).open("/desk").has("1 份入账更正待复核")
    assert Visitor(client).open("/corrections?state=proposed").has("不符合条件")
    assert Visitor(client).open(answer.location).has("同意并记账")
    assert client.post(f"{answer.location}/decline", data={"reason": " "}).status_code == 422
    assert client.post(f"{answer.location}/agree", data={"note": "属实"}).status_code == 303
    assert Visitor(client).open(answer.location).has("已记账", "属实")
    session.expire_all()
    assert standing(session) == {first: 10, second: 0}


def test_a_proposal_that_cannot_be_keeps_what_was_typed(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    household, (first, _) = wrong_household(session)
    other = session.get_one(Household, first)
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    good = {
        "household_no": household.public_no,
        "kind": "ineligible",
        "from_on": "2026-06-01",
        "reason": "动态复核",
    }
    for change, message in (
        ({"household_no": "H-0000000000"}, "没有这个编号的户"),
        ({"reason": " "}, "请填写这一项"),
        ({"kind": "merged"}, "并入或分出的另一户"),
        ({"kind": "moved"}, "请选择迁入的村"),
        (
            {
                "kind": "moved",
                "county_code": "360981",
                "township_code": "360981999",
                "village_code": "360981999999",
            },
            "没有这个村",
        ),
        ({"from_on": "2026-05-01"}, "仍符合条件"),
        ({"other_no": household.registry_no}, "只有并户、分户才填另一户"),
        ({"share": "50"}, "只有分户才填比例"),
        ({"kind": "split", "other_no": other.registry_no, "share": "0"}, "分户比例须大于 0"),
    ):
        answer = client.post("/corrections/new", data=good | change)
        assert answer.status_code == 422
        assert message in answer.text
        assert "动态复核" in answer.text or change == {"reason": " "}
    assert session.scalar(select(func.count()).select_from(CorrectionSet)) == 0


def test_others_find_no_set_under_the_number(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    household, _ = wrong_household(session)
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    data = {
        "household_no": household.public_no,
        "kind": "ineligible",
        "from_on": "2026-06-01",
        "reason": "复核",
    }
    address = client.post("/corrections/new", data=data).location
    for stranger in (UserFactory(granted=(Role.STAFF_BUYER,)), user_of(CooperativeFactory())):
        client.sign_in(stranger)
        assert client.get(address).status_code in {403, 404}
        assert client.post(f"{address}/agree").status_code in {403, 404}
    assert session.scalars(select(CorrectionSet.state)).one() is CorrectionState.PROPOSED
