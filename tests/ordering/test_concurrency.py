"""Many buyers at the same moment, on real databases: stock never goes below zero, a submission counts once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from marketplace.core import clock as core_clock
from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict
from marketplace.identity.actors import Actor
from marketplace.ordering.models import LineLot, Order, OrderKind
from marketplace.ordering.rules import cancel_order, place_order
from tests.conftest import START, HeldClock
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import DELIVERY, UNIT_G, buy, lot_for, offer, staff_buyer


def all_at_once(engine: Engine, works: list[Callable[[Session], object]]) -> list[object]:
    """What each work answered, each in a thread and a transaction of its own, all begun at the same moment.

    A refusal is its code. An error of the database is raised.
    """
    maker, gate = session_maker(engine), threading.Barrier(len(works))
    answers: list[object] = [None] * len(works)

    def run(place: int) -> None:
        gate.wait()
        with core_clock.set_to(START), maker() as own:
            try:
                answers[place] = works[place](own)
                own.commit()
            except Conflict as refusal:
                own.rollback()
                answers[place] = refusal.code
            except Exception as error:  # noqa: BLE001 - raised again below, in the test's own thread
                answers[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def placing(buyer: Actor, *lines: tuple[str, int], key: str) -> Callable[[Session], object]:
    def place(session: Session) -> object:
        placed = place_order(
            session, buyer, kind=OrderKind.PERSONAL, idempotency_key=key, lines=lines, delivery=DELIVERY
        )
        return placed.public_no

    return place


def test_twenty_buyers_of_the_last_ten_units_buy_exactly_ten(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory(), units=10)
    number = offered.listing.public_no
    buyers = [staff_buyer() for _ in range(20)]
    session.commit()

    answers = all_at_once(
        engine, [placing(buyer, (number, 1), key=f"key-of-buyer-{n:04d}") for n, buyer in enumerate(buyers)]
    )

    assert Counter(answers)["out_of_stock"] == 10
    session.expire_all()
    assert session.scalar(select(func.count()).select_from(Order)) == 10
    assert session.scalar(select(func.sum(LineLot.mass_g))) == 10 * UNIT_G
    assert offered.lot.committed_g == offered.lot.received_g == 10 * UNIT_G


def test_a_submission_that_comes_eight_times_at_once_is_one_order(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory())
    number = offered.listing.public_no
    session.commit()

    answers = all_at_once(engine, [placing(buyer, (number, 3), key="one-form-one-key") for _ in range(8)])

    session.expire_all()
    only = session.scalars(select(Order)).one()
    assert answers == [only.public_no] * 8
    assert offered.lot.committed_g == 3 * UNIT_G


def test_the_last_units_asked_for_eight_times_with_one_key_are_sold_once_and_to_each_asking(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory(), units=2)
    number = offered.listing.public_no
    session.commit()

    answers = all_at_once(engine, [placing(buyer, (number, 2), key="one-form-one-key") for _ in range(8)])

    assert len(set(answers)) == 1
    assert "out_of_stock" not in answers
    session.expire_all()
    assert offered.lot.committed_g == 2 * UNIT_G


@pytest.mark.databases("postgresql")
def test_buyers_and_cancellations_over_the_same_lots_never_wait_for_each_other(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    """Lots whose age and number disagree, two cooperatives, orders named in both directions."""
    first, second = (offer(session, CooperativeFactory(), units=20) for _ in range(2))
    for offered in (first, second):
        for age in (20, 40):
            lot_for(
                session,
                offered,
                units=20,
                harvested_on=offered.lot.harvested_on.replace(day=1, month=age // 10),
            )
    numbers = [offered.listing.public_no for offered in (first, second)]
    buyers = [staff_buyer() for _ in range(12)]
    placed = [buy(session, buyer, (first, 6), (second, 6), key="an-order-to-cancel") for buyer in buyers[:6]]
    session.commit()

    def cancelling(order_id: int, buyer: Actor) -> Callable[[Session], object]:
        return lambda own: cancel_order(own, buyer, own.get_one(Order, order_id), reason="不要了").public_no

    works = [cancelling(order.id, buyer) for order, buyer in zip(placed, buyers[:6], strict=True)]
    for n, buyer in enumerate(buyers[6:]):
        lines = [(number, 4) for number in (numbers if n % 2 else numbers[::-1])]
        works.append(placing(buyer, *lines, key="an-order-to-keep"))
    answers = all_at_once(engine, works)

    assert len(set(answers)) == 12
    session.expire_all()
    committed = select(func.sum(LineLot.mass_g)).where(
        LineLot.line_id > max(order.parts[-1].lines[-1].id for order in placed)
    )
    assert session.scalar(committed) == 6 * 2 * 4 * UNIT_G
    lots = {
        share.lot
        for order in session.scalars(select(Order)).unique()
        for part in order.parts
        for line in part.lines
        for share in line.lots
    }
    assert sum(lot.committed_g for lot in lots) == 6 * 2 * 4 * UNIT_G
