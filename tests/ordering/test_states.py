"""The life of an order part: every move in the table by those it names, and no other move at all."""

from __future__ import annotations

from itertools import product

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import IndexTask
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.models import Role, TrailEntry
from marketplace.ordering.models import OrderKind, OrderPart, PartChange
from marketplace.ordering.rules import (
    accept_part,
    cancel_order,
    confirm_part,
    decline_part,
    move_part,
    receive_part,
    ship_part,
)
from marketplace.ordering.states import (
    TRANSITIONS,
    PartEvent as E,
    PartState as S,
    events_from,
    transition_of,
)
from tests.conftest import HeldClock
from tests.factories.identity import UserFactory, actor_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import UNIT_G, buy, offer, staff_buyer

EXPECTED = {
    (E.APPROVE, S.AWAITING_APPROVAL): (S.PLACED, {"approver"}),
    (E.REJECT, S.AWAITING_APPROVAL): (S.CANCELLED, {"approver"}),
    (E.CANCEL, S.AWAITING_APPROVAL): (S.CANCELLED, {"buyer", "orderer"}),
    (E.PAY, S.AWAITING_PAYMENT): (S.PLACED, {"system"}),
    (E.EXPIRE, S.AWAITING_PAYMENT): (S.CANCELLED, {"system"}),
    (E.CANCEL, S.AWAITING_PAYMENT): (S.CANCELLED, {"buyer", "orderer"}),
    (E.CONFIRM, S.PLACED): (S.CONFIRMED, {"manager", "clerk"}),
    (E.DECLINE, S.PLACED): (S.CANCELLED, {"manager", "clerk"}),
    (E.DECLINE, S.CONFIRMED): (S.CANCELLED, {"manager", "clerk"}),
    (E.SHIP, S.CONFIRMED): (S.SHIPPED, {"manager", "clerk"}),
    (E.RECEIVE, S.SHIPPED): (S.RECEIVED, {"receiver", "buyer"}),
    (E.ACCEPT, S.RECEIVED): (S.ACCEPTED, {"receiver", "buyer"}),
    (E.DEEM_ACCEPTED, S.RECEIVED): (S.ACCEPTED, {"system"}),
    (E.REJECT_GOODS, S.RECEIVED): (S.PART_REJECTED, {"receiver", "buyer"}),
    (E.AGREE_REJECTION, S.PART_REJECTED): (S.ACCEPTED, {"manager", "clerk"}),
    (E.AGREE_RETURN, S.PART_REJECTED): (S.RETURNED, {"manager", "clerk"}),
    (E.REPLACE, S.PART_REJECTED): (S.SHIPPED, {"manager", "clerk"}),
    (E.CONTEST, S.PART_REJECTED): (S.DISPUTED, {"manager", "clerk"}),
    (E.WITHDRAW_REJECTION, S.PART_REJECTED): (S.ACCEPTED, {"receiver", "buyer"}),
    (E.AGREE_REJECTION, S.DISPUTED): (S.ACCEPTED, {"manager", "clerk", "county"}),
    (E.AGREE_RETURN, S.DISPUTED): (S.RETURNED, {"manager", "clerk", "county"}),
    (E.WITHDRAW_REJECTION, S.DISPUTED): (S.ACCEPTED, {"receiver", "buyer", "county"}),
    (E.INVOICE, S.ACCEPTED): (S.ACCEPTED, {"manager", "clerk"}),
    (E.EVALUATE, S.ACCEPTED): (S.ACCEPTED, {"receiver", "buyer"}),
}


def test_the_table_is_what_was_agreed() -> None:
    assert {(t.event, t.source): t.target for t in TRANSITIONS} == {
        move: target for move, (target, _who) in EXPECTED.items()
    }
    assert events_from(S.CANCELLED) == events_from(S.RETURNED) == ()
    assert events_from(S.ACCEPTED) == (E.INVOICE, E.EVALUATE)


@pytest.mark.parametrize(("event", "state"), [m for m in product(E, S) if m not in EXPECTED])
def test_no_other_move_exists(event: E, state: S) -> None:
    with pytest.raises(Conflict) as refused:
        transition_of(event, state)
    assert refused.value.code == "state_refuses"
    assert refused.value.params == {"state": state, "event": event}


class Company:
    """Everybody who could lay hands on a personal and a canteen order, and their namesakes elsewhere."""

    def __init__(self, session: Session) -> None:
        self.offered = offer(session, CooperativeFactory())
        unit, elsewhere = BuyerUnitFactory(), BuyerUnitFactory()
        seller, competitor = self.offered.cooperative, CooperativeFactory()
        self.buyer, self.orderer = staff_buyer(), actor_at(unit, Role.UNIT_ORDERER)
        self.own = {
            "buyer": self.buyer,
            "orderer": self.orderer,
            "approver": actor_at(unit, Role.UNIT_APPROVER),
            "receiver": actor_at(unit, Role.UNIT_RECEIVER),
            "payer": actor_at(unit, Role.UNIT_PAYER),
            "manager": actor_at(seller),
            "clerk": actor_at(seller, Role.COOPERATIVE_CLERK),
            "county": actor_with(Role.COUNTY_REVIEWER),
            "system": SYSTEM,
        }
        self.others = [
            staff_buyer(),
            actor_at(elsewhere),
            actor_at(competitor),
            actor_with(Role.AUDITOR),
            actor_with(Role.OPERATOR),
        ]
        self.parts = {
            OrderKind.PERSONAL: buy(session, self.buyer, (self.offered, 1)).parts[0],
            **{
                kind: buy(session, self.orderer, (self.offered, 1), kind=kind, key=kind.value).parts[0]
                for kind in (OrderKind.CANTEEN, OrderKind.UNION)
            },
        }

    def stand(self, session: Session, part: OrderPart, state: S) -> None:
        """Put a part where a test wants it."""
        part.state = state
        session.flush()


def is_possible(kind: OrderKind, event: E, who: str) -> bool:
    """Whether this person has a part in an order of this kind."""
    strangers = {
        OrderKind.PERSONAL: {"orderer", "approver", "receiver", "payer"},
        OrderKind.CANTEEN: {"buyer"},
        OrderKind.UNION: {"buyer"},
    }
    return who not in strangers[kind]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kind", OrderKind)
def test_each_move_is_made_by_those_it_names_and_nobody_else(
    session: Session, clock: HeldClock, kind: OrderKind
) -> None:
    company = Company(session)
    part = company.parts[kind]
    movers = [*company.own.items(), *(("other", actor) for actor in company.others)]
    for (event, source), (_target, allowed) in EXPECTED.items():
        for who, actor in movers:
            company.stand(session, part, source)
            refused = refusal_of(session, actor, part, event, system=who == "system" and who in allowed)
            if who in allowed and is_possible(kind, event, who):
                assert refused is None, (event, who)
            else:
                assert isinstance(refused, Forbidden | NotFound), (event, who)
            assert who != "other" or isinstance(refused, NotFound), event
            assert part.state is source


def refusal_of(
    session: Session, actor: Actor, part: OrderPart, event: E, *, system: bool
) -> DomainError | None:
    """How a move is refused, None when it is made; undone in either case."""
    tried = session.begin_nested()
    try:
        move_part(session, actor, part, event, system=system)
    except DomainError as refused:
        return refused
    else:
        return None
    finally:
        tried.rollback()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kind", OrderKind)
def test_a_move_the_table_lacks_changes_nothing(session: Session, clock: HeldClock, kind: OrderKind) -> None:
    company = Company(session)
    part = company.parts[kind]
    before = (
        len(session.scalars(select(PartChange)).all()),
        session.scalar(select(func.count()).select_from(TrailEntry)),
    )
    for event, state in product(E, S):
        if (event, state) in EXPECTED:
            continue
        company.stand(session, part, state)
        for actor in (*company.own.values(), SYSTEM):
            with pytest.raises(DomainError) as refused:
                move_part(session, actor, part, event, system=actor is SYSTEM)
            assert isinstance(refused.value, NotFound) or refused.value.code == "state_refuses"
        session.refresh(part)
        assert part.state is state
    after = (
        len(session.scalars(select(PartChange)).all()),
        session.scalar(select(func.count()).select_from(TrailEntry)),
    )
    session.refresh(company.offered.lot)
    assert after == before
    assert company.offered.lot.committed_g == 3 * UNIT_G


def personal_part(session: Session, buyer: Actor, **more) -> OrderPart:
    return buy(session, buyer, (offer(session, CooperativeFactory()), 2), **more).parts[0]


def test_of_two_who_move_a_part_at_the_same_moment_one_wins(session: Session, clock: HeldClock) -> None:
    company = Company(session)
    part = company.parts[OrderKind.CANTEEN]
    move_part(session, company.own["approver"], part, E.APPROVE)
    session.execute(text("UPDATE order_part SET state = 'cancelled' WHERE id = :id"), {"id": part.id})
    with pytest.raises(Conflict) as refused:  # the row as this session read it still says "placed"
        confirm_part(session, company.own["manager"], part)
    assert refused.value.code == "moved_meanwhile"
    session.refresh(part)
    assert part.state is S.CANCELLED


def test_a_cancelled_order_gives_its_grams_back_and_keeps_what_it_was(
    session: Session, clock: HeldClock
) -> None:
    buyer = staff_buyer()
    first, second = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    order = buy(session, buyer, (first, 2), (second, 3))
    cancel_order(session, buyer, order, reason=" 买多了 ")
    session.expire_all()

    assert (first.lot.committed_g, second.lot.committed_g) == (0, 0)
    assert {part.state for part in order.parts} == {S.CANCELLED}
    assert [line.lots[0].mass_g for part in order.parts for line in part.lines] == [2 * UNIT_G, 3 * UNIT_G]
    assert [(c.event, c.state, c.note) for c in order.parts[0].history] == [
        (None, S.AWAITING_PAYMENT, ""),
        (E.CANCEL, S.CANCELLED, "买多了"),
    ]
    asked = session.scalars(select(IndexTask.listing_id)).all()
    assert {first.listing.id, second.listing.id} <= set(asked)


def test_cancelling_again_is_refused_and_gives_nothing_back_twice(session: Session, clock: HeldClock) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory())
    kept = buy(session, buyer, (offered, 1), key="an-order-to-keep")
    order = buy(session, buyer, (offered, 2), key="an-order-to-cancel")
    cancel_order(session, buyer, order, reason="买多了")
    with pytest.raises(Conflict):
        cancel_order(session, buyer, order, reason="再来一次")
    session.expire_all()
    assert offered.lot.committed_g == UNIT_G
    assert kept.parts[0].state is S.AWAITING_PAYMENT


def test_an_order_one_part_of_which_has_moved_on_is_not_cancelled_by_halves(
    session: Session, clock: HeldClock
) -> None:
    company = Company(session)
    other = offer(session, CooperativeFactory())
    order = buy(
        session,
        company.orderer,
        (company.offered, 1),
        (other, 1),
        kind=OrderKind.CANTEEN,
        key="of-two-parts-",
    )
    company.stand(session, order.parts[1], S.PLACED)
    with pytest.raises(Conflict) as refused, session.begin_nested():
        cancel_order(session, company.orderer, order, reason="不要了")
    assert refused.value.code == "state_refuses"
    session.expire_all()
    assert [part.state for part in order.parts] == [S.AWAITING_APPROVAL, S.PLACED]
    assert other.lot.committed_g == UNIT_G


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda session, c, part: cancel_order(session, c.buyer, part.order, reason="  "), "reason_missing"),
        (
            lambda session, c, part: decline_part(session, c.own["manager"], part, reason=" "),
            "reason_missing",
        ),
        (
            lambda session, c, part: ship_part(session, c.own["manager"], part, carrier=" ", waybill_no="1"),
            "carrier_missing",
        ),
    ],
)
def test_a_reason_or_a_carrier_is_asked_for(session: Session, clock: HeldClock, act, code: str) -> None:
    company = Company(session)
    part = company.parts[OrderKind.PERSONAL]
    with pytest.raises(Refused) as refused:
        act(session, company, part)
    assert refused.value.code == code
    assert part.state is S.AWAITING_PAYMENT


def test_a_part_already_paid_for_is_not_declined(session: Session, clock: HeldClock) -> None:
    company = Company(session)
    part = company.parts[OrderKind.PERSONAL]
    part.paid_at = clock.now
    company.stand(session, part, S.PLACED)
    with pytest.raises(Refused) as refused:
        decline_part(session, company.own["manager"], part, reason="断货")
    assert refused.value.code == "paid_already"
    session.refresh(part)
    assert part.state is S.PLACED


def test_acceptance_counts_what_was_sold(session: Session, clock: HeldClock) -> None:
    company = Company(session)
    part = company.parts[OrderKind.CANTEEN]
    move_part(session, company.own["approver"], part, E.APPROVE)
    confirm_part(session, company.own["clerk"], part)
    ship_part(session, company.own["clerk"], part, carrier=" 自送 ", waybill_no="")
    assert (part.carrier, part.shipped_at) == ("自送", clock.now)
    clock.advance(days=1)
    receive_part(session, company.own["receiver"], part)
    clock.advance(hours=1)
    accept_part(session, company.own["receiver"], part)
    session.expire_all()
    assert (part.accepted_at - part.received_at).total_seconds() == 3600
    assert company.offered.listing.sold_units == 1
    assert [change.actor_name for change in part.history][-1] == company.own["receiver"].name


# --- what the database itself refuses ---


@pytest.mark.parametrize(
    "table", ["order_line", "line_lot", "part_change", "listing_version", "price_tier", "linkage_term"]
)
@pytest.mark.parametrize("verb", ["DELETE FROM {0}", "UPDATE {0} SET id = id + 1000"])
def test_what_was_sold_cannot_be_rewritten(session: Session, clock: HeldClock, table: str, verb: str) -> None:
    personal_part(session, staff_buyer())
    rows = session.scalar(text(f"SELECT count(*) FROM {table}"))
    assert rows
    with pytest.raises(DatabaseError, match=table), session.begin_nested():
        session.execute(text(verb.format(table)))
    assert session.scalar(text(f"SELECT count(*) FROM {table}")) == rows


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE lot SET committed_g = received_g + 1", "mass_balance"),
        ("UPDATE lot SET received_g = committed_g - 1", "mass_balance"),
        ("UPDATE lot SET yield_bp = 99", "mass_balance"),
        ("UPDATE lot SET committed_g = -1", "not_negative"),
        ("UPDATE order_part SET total_fen = 0", "total"),
        ("UPDATE customer_order SET total_fen = -1", "total"),
        ("UPDATE customer_order SET kind = 'canteen'", "unit_of_kind"),
    ],
)
def test_the_database_keeps_the_balance(
    session: Session, clock: HeldClock, statement: str, constraint: str
) -> None:
    personal_part(session, staff_buyer())
    with pytest.raises(IntegrityError, match=constraint), session.begin_nested():
        session.execute(text(statement))


def test_no_line_costs_another_sum_than_its_price(session: Session, clock: HeldClock) -> None:
    part = personal_part(session, staff_buyer())
    columns = "public_no, order_id, part_id, cooperative_id, listing_version_id, title, unit_name, net_mass_g, quantity"
    copy = (
        f"INSERT INTO order_line ({columns}, unit_price_fen, net_fen, certificate_no) "
        f"SELECT 'J-0000000000', order_id, part_id, cooperative_id, listing_version_id + :next, title, unit_name, "
        f"net_mass_g, quantity, unit_price_fen, net_fen - 1, certificate_no FROM order_line"
    )
    with pytest.raises(IntegrityError, match="net"), session.begin_nested():
        session.execute(text(copy), {"next": 0})
    assert len(part.lines) == 1


def test_the_system_has_no_user_and_so_no_order_of_its_own(session: Session, clock: HeldClock) -> None:
    stranger = UserFactory(granted=(Role.STAFF_BUYER,))
    part = personal_part(session, staff_buyer())
    assert stranger.id != part.order.buyer_user_id
    with pytest.raises(NotFound):
        move_part(session, SYSTEM, part, E.CANCEL)
