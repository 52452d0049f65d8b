"""Group purchases: nobody from outside, nothing after the deadline, each order once, and whose share is not there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.queries import SaleStop
from marketplace.catalog.rules import withdraw_listing
from marketplace.core import clock as core_clock
from marketplace.core.clock import now
from marketplace.core.db import session_maker
from marketplace.identity.models import Role
from marketplace.ordering.cart.rules import put_in_cart
from marketplace.ordering.models import CartLine, Order, OrderKind
from marketplace.ordering.rules import Delivery
from marketplace.ordering.states import PartState
from marketplace.payments.expiry import expire_unasked_orders
from marketplace.procurement.group_purchases.closing import REASONS, close_group, close_next_group
from marketplace.procurement.group_purchases.models import (
    GroupMember,
    GroupPurchase,
    GroupShare,
    GroupState,
    Paying,
    Shortfall,
)
from marketplace.procurement.group_purchases.queries import gets_goods, members_of, tasks_of, totals_of
from marketplace.procurement.group_purchases.rules import (
    MOST_MEMBERS,
    Plan,
    cancel_group,
    hand_over,
    leave_group,
    open_group,
    take_out_share,
)
from marketplace.procurement.rules import approve_order
from tests.conftest import HeldClock
from tests.factories.groups import HOURS_OPEN, basket, colleague, plan_for, want
from tests.factories.identity import OrganisationFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import DELIVERY, UNIT_G, offer, pay_by_card, staff_buyer
from tests.ordering.test_concurrency import all_at_once
from tests.procurement.canteen import refusal

TIERS = ((1, 5_000), (10, 4_500), (50, 4_000))


def counts(session: Session) -> list[int]:
    tables = (GroupPurchase, GroupMember, GroupShare, Order)
    return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def test_whatever_stops_a_sale_is_a_reason_for_what_is_missing() -> None:
    assert set(REASONS) >= {stop.value for stop in SaleStop}


# --- refused ---


@pytest.mark.parametrize(
    ("plan", "code", "field"),
    [
        (lambda: plan_for(name="  "), "name_missing", "name"),
        (lambda: plan_for(name="拼" * 61), "name_long", "name"),
        (lambda: plan_for(hours=0), "deadline_past", "deadline"),
        (lambda: plan_for(hours=-1), "deadline_past", "deadline"),
        (lambda: plan_for(hours=24 * 60 + 1), "deadline_far", "deadline"),
        (
            lambda: Plan("端午", now() + timedelta(hours=1), Paying.EACH, Delivery("周", "1", " ")),
            "delivery_missing",
            "address",
        ),
    ],
)
def test_a_plan_that_cannot_be_opens_nothing(
    session: Session, clock: HeldClock, plan, code: str, field: str
) -> None:
    organiser = colleague(OrganisationFactory())
    error = refusal(
        session, lambda: open_group(session, organiser, plan=plan(), idempotency_key="a-basket-s-key-0")
    )
    assert (error.code, error.field) == (code, field)
    assert counts(session) == [0, 0, 0, 0]


def test_a_unions_money_is_its_orderers_to_spend(session: Session, clock: HeldClock) -> None:
    unit = BuyerUnitFactory()
    for actor in (
        colleague(unit.organisation),
        actor_at(unit, Role.UNIT_APPROVER),
        colleague(OrganisationFactory()),
    ):
        assert (
            refusal(session, lambda one=actor: basket(session, one, paying=Paying.UNION)).code == "forbidden"
        )
    assert refusal(session, lambda: basket(session, staff_buyer())).code == "no_body"
    assert counts(session) == [0, 0, 0, 0]


def test_nobody_takes_part_in_the_group_of_another_body(session: Session, clock: HeldClock) -> None:
    offered, group = offer(session, CooperativeFactory()), basket(session, colleague(OrganisationFactory()))
    for stranger in (colleague(OrganisationFactory()), staff_buyer()):
        assert (
            refusal(session, lambda one=stranger: want(session, one, group, offered, 1)).code == "not_found"
        )
    assert counts(session) == [1, 0, 0, 0]


@pytest.mark.parametrize("quantity", [0, -1, 100_001, 10**12])
def test_an_absurd_quantity_is_refused(session: Session, clock: HeldClock, quantity: int) -> None:
    organiser, offered = colleague(OrganisationFactory()), offer(session, CooperativeFactory())
    group = basket(session, organiser)
    error = refusal(session, lambda: want(session, organiser, group, offered, quantity))
    assert (error.code, error.field) == ("quantity", "quantity")
    assert counts(session) == [1, 0, 0, 0]


def test_all_together_want_no_absurd_quantity_either(session: Session, clock: HeldClock) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory())
    first, second = colleague(body), colleague(body)
    group = basket(session, first)
    want(session, first, group, offered, 60_000)
    assert refusal(session, lambda: want(session, second, group, offered, 60_000)).code == "quantity"
    assert want(session, first, group, offered, 100_000).shares[0].quantity == 100_000
    assert counts(session) == [1, 1, 1, 0]


def test_what_is_not_for_sale_and_who_has_no_name_is_refused(session: Session, clock: HeldClock) -> None:
    organiser, offered = colleague(OrganisationFactory()), offer(session, CooperativeFactory())
    group = basket(session, organiser)
    assert refusal(session, lambda: want(session, organiser, group, offered, 1, name=" ")).field == "name"
    withdraw_listing(session, actor_at(offered.cooperative), offered.listing)
    assert refusal(session, lambda: want(session, organiser, group, offered, 1)).code == "not_for_sale"
    assert counts(session) == [1, 0, 0, 0]


def test_after_the_deadline_nobody_joins_changes_or_leaves(session: Session, clock: HeldClock) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory())
    first, second = colleague(body), colleague(body)
    group = basket(session, first)
    want(session, first, group, offered, 2)
    clock.advance(hours=HOURS_OPEN)
    number = offered.listing.public_no
    late = (
        lambda: want(session, second, group, offered, 1),
        lambda: want(session, first, group, offered, 3),
        lambda: take_out_share(session, first, group, listing_no=number),
        lambda: leave_group(session, first, group),
        lambda: cancel_group(session, first, group),
    )
    for before in (True, False):  # before the sweep and after it
        assert [refusal(session, act).code for act in late] == ["group_over"] * 5
        assert close_next_group(session) is before
    assert counts(session) == [1, 1, 1, 1]


def test_a_cancelled_group_takes_nobody_and_orders_nothing(session: Session, clock: HeldClock) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory())
    first, second = colleague(body), colleague(body)
    group = basket(session, first)
    want(session, second, group, offered, 1)
    assert refusal(session, lambda: cancel_group(session, second, group)).code == "forbidden"
    cancel_group(session, first, group)
    assert refusal(session, lambda: want(session, second, group, offered, 2)).code == "group_cancelled"
    clock.advance(hours=HOURS_OPEN)
    assert not close_next_group(session)
    assert counts(session)[3] == 0


@pytest.mark.databases("sqlite")
def test_a_group_has_an_end(session: Session, clock: HeldClock) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory(), units=1_000)
    *members, late = [colleague(body) for _ in range(MOST_MEMBERS + 1)]
    group = basket(session, members[0])
    for one in members:
        want(session, one, group, offered, 1)
    assert refusal(session, lambda: want(session, late, group, offered, 1)).code == "group_full"


# --- each pays ---


def test_each_has_a_personal_order_at_the_price_of_the_whole_group(
    session: Session, clock: HeldClock
) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory(), tiers=TIERS)
    first, second = colleague(body), colleague(body)
    group = basket(session, first)
    want(session, first, group, offered, 9, name="小周")
    want(session, second, group, offered, 2, name="小吴")
    want(session, second, group, offered, 3)
    assert [(total.quantity, total.price_fen) for total in totals_of(members_of(session, group))] == [
        (12, 4_500)
    ]
    put_in_cart(session, second, kind=OrderKind.PERSONAL, listing=offered.listing, quantity=7)
    assert not close_group(session, group)  # before its time

    clock.advance(hours=HOURS_OPEN)
    assert close_next_group(session)
    assert not close_next_group(session)
    assert not close_group(session, group)

    orders = session.scalars(select(Order).order_by(Order.id)).all()
    assert [(one.buyer_user_id, one.kind, one.total_fen, one.buyer_unit_id) for one in orders] == [
        (first.user_id, OrderKind.PERSONAL, 9 * 4_500, None),
        (second.user_id, OrderKind.PERSONAL, 3 * 4_500, None),
    ]
    assert [(one.recipient_name, one.note) for one in orders] == [
        (DELIVERY.recipient_name, "端午拼单 · 小周"),
        (DELIVERY.recipient_name, "端午拼单 · 小周"),
    ]
    assert group.state is GroupState.ORDERED
    session.expire_all()
    assert offered.lot.committed_g == 12 * UNIT_G
    assert session.scalar(select(CartLine.quantity)) == 7  # the cart is another matter
    assert [task.count for task in tasks_of(session, first)] == [1]


def test_who_does_not_pay_falls_away_and_gets_nothing_handed_out(session: Session, clock: HeldClock) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory())
    first, second = colleague(body), colleague(body)
    group = basket(session, first)
    paying, silent = want(session, first, group, offered, 2), want(session, second, group, offered, 3)
    clock.advance(hours=HOURS_OPEN)
    close_next_group(session)
    assert refusal(session, lambda: hand_over(session, first, group, member_no=paying.public_no)).code == (
        "nothing_to_hand"
    )
    session.expire_all()
    pay_by_card(session, first, paying.order)
    clock.advance(hours=2)
    assert expire_unasked_orders(session) == 1
    session.expire_all()
    assert [gets_goods(group, one) for one in (paying, silent)] == [True, False]
    assert silent.order.parts[0].state is PartState.CANCELLED
    assert offered.lot.committed_g == 2 * UNIT_G

    assert refusal(session, lambda: hand_over(session, second, group, member_no=paying.public_no)).code == (
        "not_found"
    )
    assert refusal(session, lambda: hand_over(session, first, group, member_no=silent.public_no)).code == (
        "nothing_to_hand"
    )
    ticked_at = hand_over(session, first, group, member_no=paying.public_no).handed_at
    clock.advance(hours=1)
    assert hand_over(session, first, group, member_no=paying.public_no).handed_at == ticked_at


def test_whose_share_is_not_there_is_told_and_the_others_go_on(session: Session, clock: HeldClock) -> None:
    body = OrganisationFactory()
    scarce, plenty = offer(session, CooperativeFactory(), units=5), offer(session, CooperativeFactory())
    stopped = offer(session, CooperativeFactory())
    people = [colleague(body) for _ in range(4)]
    group = basket(session, people[0])
    want(session, people[0], group, scarce, 4)
    want(session, people[1], group, scarce, 2)
    want(session, people[1], group, plenty, 1)
    want(session, people[2], group, stopped, 1)
    want(session, people[3], group, scarce, 1)
    withdraw_listing(session, actor_at(stopped.cooperative), stopped.listing)
    clock.advance(hours=HOURS_OPEN)
    assert close_next_group(session)

    assert [
        (one.order_id is not None, one.shortfall, one.shortfall_title) for one in members_of(session, group)
    ] == [
        (True, None, ""),
        (False, Shortfall.OUT_OF_STOCK, "山茶油"),
        (False, Shortfall.NOT_FOR_SALE, "山茶油"),
        (True, None, ""),
    ]
    session.expire_all()
    assert (scarce.lot.committed_g, plenty.lot.committed_g) == (5 * UNIT_G, 0)


def test_a_group_that_nobody_joined_or_nobody_can_be_served_in_orders_nothing(
    session: Session, clock: HeldClock
) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory(), units=1)
    organiser = colleague(body)
    lonely, unserved = basket(session, organiser), basket(session, organiser, key="a-basket-s-key-1")
    want(session, organiser, unserved, offered, 2)
    clock.advance(hours=HOURS_OPEN)
    assert [close_next_group(session) for _ in range(3)] == [True, True, False]
    assert [lonely.state, unserved.state] == [GroupState.EMPTY, GroupState.EMPTY]
    assert counts(session) == [2, 1, 1, 0]


def test_who_wants_nothing_any_more_has_left(session: Session, clock: HeldClock) -> None:
    organiser, offered = colleague(OrganisationFactory()), offer(session, CooperativeFactory())
    group = basket(session, organiser)
    want(session, organiser, group, offered, 2)
    take_out_share(session, organiser, group, listing_no=offered.listing.public_no)
    assert counts(session) == [1, 0, 0, 0]
    assert refusal(session, lambda: leave_group(session, organiser, group)).code == "not_found"
    want(session, organiser, group, offered, 1)
    leave_group(session, organiser, group)
    assert counts(session) == [1, 0, 0, 0]


# --- the union pays ---


def test_the_union_has_one_order_that_another_person_approves(session: Session, clock: HeldClock) -> None:
    unit, offered = BuyerUnitFactory(), offer(session, CooperativeFactory(), units=14, tiers=TIERS)
    orderer, approver = (actor_at(unit, role) for role in (Role.UNIT_ORDERER, Role.UNIT_APPROVER))
    receiver = actor_at(unit, Role.UNIT_RECEIVER)
    people = [colleague(unit.organisation) for _ in range(3)]
    group = basket(session, orderer, paying=Paying.UNION)
    for place, (one, units) in enumerate(zip(people, (8, 7, 6), strict=True)):
        want(session, one, group, offered, units, name=f"第{place}位")
    clock.advance(hours=HOURS_OPEN)
    assert close_next_group(session)

    order = session.scalars(select(Order)).one()
    assert (order.kind, order.buyer_unit_id, order.total_fen) == (OrderKind.UNION, unit.id, 14 * 4_500)
    assert (group.state, group.order_id) == (GroupState.ORDERED, order.id)
    members = members_of(session, group)
    assert [one.shortfall for one in members] == [None, Shortfall.OUT_OF_STOCK, None]
    assert [share.quantity for one in members for share in one.shares] == [8, 7, 6]
    assert refusal(session, lambda: approve_order(session, orderer, order)).code == "forbidden"
    approve_order(session, approver, order)
    assert [gets_goods(group, one) for one in members] == [True, False, True]
    assert hand_over(session, receiver, group, member_no=members[2].public_no).handed_by == receiver.user_id


def test_a_member_who_wants_two_kinds_of_which_one_is_gone_gets_neither_and_takes_none_from_others(
    session: Session, clock: HeldClock
) -> None:
    unit = BuyerUnitFactory()
    here, gone = offer(session, CooperativeFactory(), units=3), offer(session, CooperativeFactory(), units=0)
    orderer, first, second = (
        actor_at(unit, Role.UNIT_ORDERER),
        *(colleague(unit.organisation) for _ in range(2)),
    )
    group = basket(session, orderer, paying=Paying.UNION)
    want(session, first, group, here, 3)
    want(session, first, group, gone, 1)
    want(session, second, group, here, 3)
    clock.advance(hours=HOURS_OPEN)
    close_next_group(session)
    assert session.scalars(select(Order)).one().total_fen == 3 * 5_000
    assert [one.shortfall for one in members_of(session, group)] == [Shortfall.OUT_OF_STOCK, None]


# --- at the same moment ---


@pytest.mark.databases("postgresql")
def test_two_workers_that_close_at_once_order_once(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory())
    people = [colleague(body) for _ in range(3)]
    group = basket(session, people[0])
    for one in people:
        want(session, one, group, offered, 2)
    group_id = group.id
    session.commit()

    def closing(own: Session) -> object:
        with core_clock.set_to(now() + timedelta(hours=HOURS_OPEN)):
            return close_group(own, own.get_one(GroupPurchase, group_id))

    answers = all_at_once(engine, [closing] * 4)
    assert sorted(answers) == [False, False, False, True]
    with session_maker(engine)() as after:
        assert counts(after) == [1, 3, 3, 3]
        assert after.scalar(select(func.count(GroupMember.order_id.distinct()))) == 3
    session.expire_all()
    assert offered.lot.committed_g == 6 * UNIT_G
