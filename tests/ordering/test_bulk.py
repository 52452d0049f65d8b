"""Placing many orders at once gives the rows that placing them one by one gives, in a bounded number of statements."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import IndexTask, ListingState
from marketplace.core.clock import now
from marketplace.core.errors import DomainError
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, TrailEntry
from marketplace.linkage.models import Lot
from marketplace.ordering.bulk import Approval, Draft, Placed, place_orders
from marketplace.ordering.models import LineLot, Order, OrderKind, OrderLine, OrderPart, PartChange
from marketplace.ordering.rules import place_order
from marketplace.ordering.states import PartState
from tests.conftest import HeldClock, Listening
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import DELIVERY, UNIT_G, Offer, lot_for, offer, staff_buyer

ROWS = (Order, OrderPart, OrderLine, LineLot, PartChange, TrailEntry, IndexTask)
OWN = {"id", "public_no", "order_id", "part_id", "line_id", "subject_no"}  # different for every order


def draft(buyer: Actor, *wanted: tuple[Offer, int], key: str = "the-key-of-a-draft", **more: Any) -> Draft:
    lines = [(offered.listing.public_no, units) for offered, units in wanted]
    given = {"kind": OrderKind.CANTEEN, "delivery": DELIVERY, **more}
    return Draft(actor=buyer, idempotency_key=key, lines=lines, **given)


def orderer() -> Actor:
    return actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)


def rows_of(session: Session) -> dict[str, list[dict[str, Any]]]:
    """What stands in the tables of an order, without the keys that no two orders share; and what lots have promised."""
    session.flush()
    session.expire_all()
    found = {
        model.__tablename__: [
            {name: row[name] for name in row if name not in OWN}
            for row in session.execute(select(model.__table__).order_by(model.__table__.c.id)).mappings()
        ]
        for model in ROWS
    }
    found["lot"] = [
        dict(row) for row in session.execute(select(Lot.id, Lot.committed_g).order_by(Lot.id)).mappings()
    ]
    return found


def one_by_one(session: Session, drafts: list[Draft]) -> dict[str, list[dict[str, Any]]]:
    with session.begin_nested() as aside:
        for one in drafts:
            place_order(
                session,
                one.actor,
                kind=one.kind,
                idempotency_key=one.idempotency_key,
                lines=one.lines,
                delivery=one.delivery,
                terms=one.terms,
                deliver_on=one.deliver_on,
                prices=one.prices,
            )
        rows = rows_of(session)
        aside.rollback()
    session.expire_all()
    return rows


def test_many_at_once_are_the_rows_of_one_after_the_other(session: Session, clock: HeldClock) -> None:
    first, second = (
        offer(session, CooperativeFactory(), units=12, tiers=((1, 5_000), (5, 4_500))),
        offer(session, CooperativeFactory(), tiers=((1, 1_250),)),
    )
    lot_for(session, first, units=2, harvested_on=first.lot.harvested_on - timedelta(days=9))
    buyer, person = orderer(), staff_buyer()
    number = first.listing.public_no
    drafts = [
        draft(buyer, (second, 2), (first, 6), key="over-two-cooperatives", deliver_on=date(2026, 6, 8)),
        draft(person, (first, 1), kind=OrderKind.PERSONAL),
        draft(orderer(), (first, 7), prices={number: 4_321}),
    ]
    expected = one_by_one(session, drafts)
    placed = place_orders(session, drafts)

    assert rows_of(session) == expected
    assert [one.total_fen for one in placed if isinstance(one, Placed)] == [
        6 * 4_500 + 2 * 1_250,
        5_000,
        7 * 4_321,
    ]
    assert first.lot.committed_g == 12 * UNIT_G
    assert len(expected["index_task"]) == 1  # the last bottle went


def test_what_was_approved_beforehand_goes_straight_to_its_cooperative(
    session: Session, clock: HeldClock
) -> None:
    offered, unit = offer(session, CooperativeFactory()), BuyerUnitFactory()
    buyer, approver = actor_at(unit, Role.UNIT_ORDERER), actor_at(unit, Role.UNIT_APPROVER)
    assert approver.user_id is not None
    (placed,) = place_orders(
        session, [draft(buyer, (offered, 1), approval=Approval(approver.user_id, now()))]
    )
    assert isinstance(placed, Placed)
    order = session.get_one(Order, placed.order_id)
    assert (order.approved_by, order.approved_at) == (approver.user_id, now())
    assert [part.state for part in order.parts] == [PartState.PLACED]
    assert [change.state for change in order.parts[0].history] == [PartState.PLACED]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("too_much", "out_of_stock"),
        ("withdrawn", "not_for_sale"),
        ("own", "own_order"),
        ("nobody", "delivery_missing"),
        ("nothing", "empty_order"),
        ("unknown", "listing_gone"),
        ("free", "price"),
        ("no_unit", "forbidden"),
    ],
)
def test_a_refused_draft_holds_nothing_and_leaves_the_others_alone(
    session: Session, clock: HeldClock, fault: str, code: str
) -> None:
    good, bad = offer(session, CooperativeFactory()), offer(session, CooperativeFactory(), units=3)
    buyer = orderer()
    assert buyer.user_id is not None
    wrong = {
        "too_much": lambda: draft(buyer, (good, 1), (bad, 4)),
        "withdrawn": lambda: draft(buyer, (bad, 1)),
        "own": lambda: draft(buyer, (bad, 1), approval=Approval(buyer.user_id or 0, now())),
        "nobody": lambda: draft(buyer, (bad, 1), delivery=type(DELIVERY)(" ", "1", "2")),
        "nothing": lambda: draft(buyer),
        "unknown": lambda: Draft(buyer, OrderKind.CANTEEN, "key", [("N-0000000000", 1)], DELIVERY),
        "free": lambda: draft(buyer, (bad, 1), prices={bad.listing.public_no: 0}),
        "no_unit": lambda: draft(staff_buyer(), (bad, 1)),
    }[fault]()
    if fault == "withdrawn":
        bad.listing.state = ListingState.WITHDRAWN
        session.flush()
    placed = place_orders(session, [draft(orderer(), (good, 2)), wrong, draft(orderer(), (good, 3))])

    assert [isinstance(one, Placed) for one in placed] == [True, False, True]
    assert isinstance(placed[1], DomainError)
    assert placed[1].code == code
    session.expire_all()
    assert (good.lot.committed_g, bad.lot.committed_g) == (5 * UNIT_G, 0)
    assert session.scalar(select(func.count()).select_from(Order)) == 2


def test_a_key_counts_once_in_one_call_and_in_the_next(session: Session, clock: HeldClock) -> None:
    offered, buyer = offer(session, CooperativeFactory()), orderer()
    first, again = place_orders(session, [draft(buyer, (offered, 2)), draft(buyer, (offered, 5))])
    (later,) = place_orders(session, [draft(buyer, (offered, 7))])

    assert first == again == later
    session.expire_all()
    assert offered.lot.committed_g == 2 * UNIT_G


def test_nothing_is_placed_of_no_drafts(session: Session, clock: HeldClock) -> None:
    assert place_orders(session, []) == []


def test_the_statements_do_not_grow_with_the_orders(
    session: Session, clock: HeldClock, statements: Listening
) -> None:
    offers = [offer(session, CooperativeFactory(), units=1_000) for _ in range(2)]
    buyer, counts = orderer(), []
    for size in (3, 300):
        drafts = [
            draft(buyer, *((one, 1) for one in offers), key=f"order-{size}-{number}")
            for number in range(size)
        ]
        session.expire_all()
        with statements() as sent:
            place_orders(session, drafts)
        counts.append(len(sent))
    assert counts[1] <= counts[0] + 6  # on PostgreSQL few rows go in one pipeline, many by COPY
    assert counts[1] <= 40
