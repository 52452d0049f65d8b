"""What cooperatives say will be ready, and which requests it fits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.identity.models import Role
from marketplace.procurement.requests.matching import Reason, matches_of_cooperative, matches_of_request
from marketplace.procurement.requests.models import Supply
from marketplace.procurement.requests.queries import open_supplies
from marketplace.procurement.requests.supplies import post_supply, withdraw_supply
from tests.conftest import HeldClock, Listening
from tests.factories.linkage import LotFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.requests import DAYS_OPEN, published, ready, supplied
from tests.factories.trade import CategoryFactory, offer, staff_buyer


def refusal(session: Session, act) -> DomainError:
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    session.expire_all()
    return refused.value


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"mass_g": 0}, "mass", "mass"),
        ({"ask_fen_per_kg": 0}, "ask", "ask"),
        ({"commodity": " "}, "words_missing", "commodity"),
        ({"note": "找陈大 13800138000"}, "personal_number_in_public_text", "note"),
        ({"village_code": "361025"}, "village", "village_code"),
        ({"category_code": "nothing"}, "category", "category_code"),
        ({"ready_until": "yesterday"}, "window", "ready_until"),
    ],
)
def test_what_cannot_be_supplied_is_refused(session: Session, clock: HeldClock, changes, code, field) -> None:
    if "ready_until" in changes:
        changes = {"ready_until": today() - timedelta(days=1)}
    actor = actor_at(CooperativeFactory())
    said = ready(**changes)
    refused = refusal(session, lambda: post_supply(session, actor, ready=said, idempotency_key="k" * 16))
    assert (refused.code, refused.field) == (code, field)
    assert session.scalar(select(func.count()).select_from(Supply)) == 0


def test_nobody_supplies_what_is_another_s(session: Session, clock: HeldClock) -> None:
    theirs, own = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    actor = actor_at(own.cooperative)
    for said in (ready(product=theirs.listing.product), ready(lot=theirs.lot)):
        assert isinstance(
            refusal(
                session, lambda said=said: post_supply(session, actor, ready=said, idempotency_key="k" * 16)
            ),
            NotFound,
        )
    stray = LotFactory(cooperative=own.cooperative)
    assert supplied(session, actor, product=own.listing.product, lot=stray).village_code == stray.village_code
    other = offer(session, own.cooperative)
    mixed = ready(product=own.listing.product, lot=other.lot)
    assert (
        refusal(session, lambda: post_supply(session, actor, ready=mixed, idempotency_key="m" * 16)).code
        == "lot_elsewhere"
    )
    buyer = staff_buyer()
    assert isinstance(
        refusal(session, lambda: post_supply(session, buyer, ready=ready(), idempotency_key="k" * 16)),
        Forbidden,
    )


def test_a_supply_is_over_when_taken_back_or_with_its_last_day(session: Session, clock: HeldClock) -> None:
    actor = actor_at(CooperativeFactory())
    first, second = supplied(session, actor), supplied(session, actor)
    withdraw_supply(session, actor, first)
    assert refusal(session, lambda: withdraw_supply(session, actor, first)).code == "supply_withdrawn"
    stranger = actor_at(CooperativeFactory())
    assert isinstance(refusal(session, lambda: withdraw_supply(session, stranger, second)), NotFound)
    assert session.scalars(open_supplies()).all() == [second]
    clock.advance(days=20)
    assert session.scalars(open_supplies()).all() == [second]
    clock.advance(days=1)
    assert session.scalars(open_supplies()).all() == []


def test_what_fits_is_suggested_both_ways_with_its_reasons(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    seller = actor_at(CooperativeFactory())
    root = CategoryFactory(code="oil", path="oil", name_zh="油")
    CategoryFactory(code="camellia-oil-fine", path="oil/camellia-oil-fine", name_zh="精制山茶油")
    bamboo = CategoryFactory(code="bamboo", path="bamboo", name_zh="竹类")
    best = supplied(session, seller, category_code="camellia-oil-fine")
    dear = supplied(
        session, seller, category_code="camellia-oil-fine", commodity="茶油", ask_fen_per_kg=11_001
    )
    small = supplied(session, seller, category_code=bamboo.code, mass_g=9_999)  # fits by its name alone
    supplied(session, seller, category_code=bamboo.code, commodity="笋干")
    supplied(session, seller, category_code=root.code, ready_from=today() + timedelta(days=15))
    supplied(
        session, seller, category_code=root.code, ready_from=today(), ready_until=today() + timedelta(days=6)
    )
    request = published(session, orderer, category_code=root.code)

    found = matches_of_request(session, request)
    assert [(match.supply.id, match.score) for match in found] == [
        (best.id, 110),
        (dear.id, 95),
        (small.id, 70),
    ]
    assert found[0].reasons == tuple(Reason)
    assert found[1].reasons == (
        Reason.CATEGORY,
        Reason.WORDS,
        Reason.WINDOW,
        Reason.QUANTITY,
        Reason.COUNTY,
    )
    assert found[2].reasons == (Reason.WORDS, Reason.WINDOW, Reason.PRICE, Reason.COUNTY)

    other_way = matches_of_cooperative(session, seller.cooperative_id or 0)
    assert [(match.request.id, match.supply.id, match.score) for match in other_way] == [
        (request.id, match.supply.id, match.score) for match in found
    ]
    assert matches_of_cooperative(session, CooperativeFactory().id) == []
    clock.advance(days=DAYS_OPEN)
    assert matches_of_cooperative(session, seller.cooperative_id or 0) == []


def test_suggestions_cost_one_statement(session: Session, clock: HeldClock, statements: Listening) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    request = published(session, orderer)
    for _ in range(4):
        supplied(session, actor_at(CooperativeFactory()))
    number, key = request.id, request.unit
    assert key is not None
    session.expunge_all()
    held = session.get_one(type(request), number)
    with statements() as sent:
        found = matches_of_request(session, held)
        assert [match.supply.cooperative.name for match in found]
    assert len(sent) == 1
    assert len(found) == 4
