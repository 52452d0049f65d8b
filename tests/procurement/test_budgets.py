"""Budgets: orders never take more than was granted, whatever ends them gives back, and changes say why."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role
from marketplace.ordering.models import Order
from marketplace.ordering.rules import cancel_order, decline_part
from marketplace.ordering.states import PartState
from marketplace.payments.refunds.rules import agree_refund, ask_refund
from marketplace.payments.rules import bill_accepted_parts
from marketplace.procurement.budgets.models import BudgetEntry, BudgetLine, BudgetRelease
from marketplace.procurement.budgets.queries import balance_of
from marketplace.procurement.budgets.rules import (
    change_budget,
    name_budget_line,
    open_budget_line,
    take_budget,
)
from marketplace.procurement.rules import approve_order, reject_order
from tests.conftest import HeldClock
from tests.factories.registry import BuyerUnitFactory, actor_at
from tests.factories.trade import deliver
from tests.ordering.test_concurrency import all_at_once
from tests.procurement.canteen import Canteen, refusal


class Budgeted(Canteen):
    """A canteen with 1,000.00 yuan for groceries of 2026."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.line = self.open(session)

    def open(
        self, session: Session, *, year: int = 2026, purpose: str = "食堂食材", fen: int = 100_000
    ) -> BudgetLine:
        return open_budget_line(
            session, self.approver, year=year, purpose=purpose, granted_fen=fen, reason="年初预算批复"
        )

    def figures(self, session: Session) -> tuple[int, int, int, int]:
        session.flush()
        balance = balance_of(session, self.line)
        return balance.granted_fen, balance.committed_fen, balance.spent_fen, balance.free_fen

    def taken(self, session: Session, units: int, *, key: str) -> Order:
        order = self.ordered(session, units, key=key)
        take_budget(session, self.orderer, self.line, order)
        return order


@pytest.fixture
def canteen(session: Session, clock: HeldClock) -> Budgeted:
    return Budgeted(session)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"purpose": " "}, "purpose", id="without a purpose"),
        pytest.param({"purpose": "长" * 61}, "purpose", id="an overlong purpose"),
        pytest.param({"purpose": "食堂食材"}, "purpose_taken", id="a purpose twice"),
        pytest.param({"year": 2024}, "year", id="long ago"),
        pytest.param({"year": 2028}, "year", id="far ahead"),
        pytest.param({"granted_fen": -1}, "amount", id="a negative amount"),
        pytest.param({"granted_fen": 10**13 + 1}, "amount", id="an absurd amount"),
        pytest.param({"reason": ""}, "reason_missing", id="without a reason"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(
    canteen: Budgeted, session: Session, changes: dict[str, object], code: str
) -> None:
    facts = {"year": 2026, "purpose": "节日慰问", "granted_fen": 1, "reason": "批复", **changes}
    refused = refusal(session, lambda: open_budget_line(session, canteen.approver, **facts))
    assert refused.code == code
    assert session.scalar(select(func.count()).select_from(BudgetLine)) == 1


def test_only_an_approver_grants(canteen: Budgeted, session: Session) -> None:
    for act in (
        lambda: open_budget_line(
            session, canteen.orderer, year=2026, purpose="另一项", granted_fen=1, reason="批复"
        ),
        lambda: change_budget(session, canteen.orderer, canteen.line, granted_fen=1, reason="批复"),
    ):
        assert isinstance(refusal(session, act), Forbidden)
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_APPROVER)
    assert isinstance(
        refusal(
            session, lambda: change_budget(session, stranger, canteen.line, granted_fen=1, reason="批复")
        ),
        NotFound,
    )
    assert canteen.figures(session) == (100_000, 0, 0, 100_000)


def test_an_order_beyond_the_budget_is_told_how_much_is_left(canteen: Budgeted, session: Session) -> None:
    canteen.taken(session, 12, key="an-order-of-600-yuan")
    order = canteen.ordered(session, 9, key="an-order-of-450-yuan")
    refused = refusal(session, lambda: take_budget(session, canteen.orderer, canteen.line, order))
    assert (type(refused), refused.code, refused.field) == (Refused, "over_budget", "budget")
    assert str(refused).startswith("“食堂食材”只剩 400.00 元可用，这张采购单要 450.00 元")
    assert canteen.figures(session) == (100_000, 60_000, 0, 40_000)


def test_a_budget_of_another_unit_or_year_is_not_taken(canteen: Budgeted, session: Session) -> None:
    order = canteen.ordered(session, 1, key="an-order-of-50-yuan")
    elsewhere = Budgeted(session)
    assert isinstance(
        refusal(session, lambda: take_budget(session, canteen.orderer, elsewhere.line, order)), NotFound
    )
    assert isinstance(
        refusal(session, lambda: take_budget(session, elsewhere.orderer, canteen.line, order)), NotFound
    )
    next_year = canteen.open(session, year=2027)
    refused = refusal(session, lambda: take_budget(session, canteen.orderer, next_year, order))
    assert (refused.code, str(refused)) == ("budget_year", "这张采购单属于 2026 年，不能用 2027 年的预算")
    ahead = canteen.ordered(session, 1, key="an-order-for-next-year", deliver_on=date(2027, 1, 5))
    assert (
        refusal(session, lambda: take_budget(session, canteen.orderer, canteen.line, ahead)).code
        == "budget_year"
    )
    take_budget(session, canteen.orderer, next_year, ahead)
    assert canteen.figures(session) == (100_000, 0, 0, 100_000)


def test_an_order_takes_of_one_line_once(canteen: Budgeted, session: Session) -> None:
    order = canteen.taken(session, 1, key="an-order-of-50-yuan")
    other = canteen.open(session, purpose="节日慰问")
    refused = refusal(session, lambda: take_budget(session, canteen.orderer, other, order))
    assert (type(refused), refused.code) == (Conflict, "budget_named")
    assert canteen.figures(session) == (100_000, 5_000, 0, 95_000)


def test_whatever_ends_an_order_gives_back(canteen: Budgeted, session: Session) -> None:
    cancelled, rejected, declined = (canteen.taken(session, 4, key=f"an-order-number-{n}") for n in range(3))
    assert canteen.figures(session) == (100_000, 60_000, 0, 40_000)
    cancel_order(session, canteen.orderer, cancelled, reason="不要了")
    assert canteen.figures(session) == (100_000, 40_000, 0, 60_000)
    reject_order(session, canteen.approver, rejected, reason="超量")
    assert canteen.figures(session) == (100_000, 20_000, 0, 80_000)
    approve_order(session, canteen.approver, declined)
    assert canteen.figures(session) == (100_000, 20_000, 0, 80_000)
    decline_part(session, actor_at(declined.parts[0].cooperative), declined.parts[0], reason="采收不上来")
    assert canteen.figures(session) == (100_000, 0, 0, 100_000)


def test_a_refund_gives_back_once_and_payment_moves_it_to_spent(
    canteen: Budgeted, session: Session, clock: HeldClock
) -> None:
    order = canteen.taken(session, 10, key="an-order-of-500-yuan")
    approve_order(session, canteen.approver, order)
    part = order.parts[0]
    deliver(session, part, canteen.receiver)
    bill_accepted_parts(session)
    refund = ask_refund(
        session,
        canteen.receiver,
        part=part,
        quantities={part.lines[0].public_no: 3},
        reason="破损",
        idempotency_key="refund-of-three-units",
    )
    assert canteen.figures(session) == (100_000, 50_000, 0, 50_000)
    agree_refund(session, actor_at(part.cooperative), refund)
    assert canteen.figures(session) == (100_000, 35_000, 0, 65_000)
    part.paid_at = clock.now
    assert canteen.figures(session) == (100_000, 0, 35_000, 65_000)
    assert [row.released_fen for row in session.scalars(select(BudgetRelease))] == [15_000]


def test_a_change_is_a_further_row_with_a_reason_and_never_below_what_is_used(
    canteen: Budgeted, session: Session
) -> None:
    canteen.taken(session, 12, key="an-order-of-600-yuan")
    refused = refusal(
        session,
        lambda: change_budget(session, canteen.approver, canteen.line, granted_fen=59_999, reason="压减"),
    )
    assert (refused.code, str(refused)) == ("below_used", "已经占用和支出 600.00 元，预算不能低于这个数")
    assert (
        refusal(
            session,
            lambda: change_budget(session, canteen.approver, canteen.line, granted_fen=60_000, reason=" "),
        ).code
        == "reason_missing"
    )
    change_budget(session, canteen.approver, canteen.line, granted_fen=60_000, reason="年中压减")
    assert canteen.figures(session) == (60_000, 60_000, 0, 0)
    rows = session.scalars(select(BudgetEntry).order_by(BudgetEntry.sequence)).all()
    assert [(row.sequence, row.granted_fen, row.used_after_fen, row.reason) for row in rows] == [
        (1, 100_000, 0, "年初预算批复"),
        (2, 100_000, 60_000, ""),
        (3, 60_000, 60_000, "年中压减"),
    ]


def test_a_unit_with_budgets_approves_nothing_without_one(canteen: Budgeted, session: Session) -> None:
    refused = refusal(session, lambda: approve_order(session, canteen.approver, canteen.order))
    assert (refused.code, refused.field) == ("no_budget_line", "budget")
    assert canteen.is_untouched(session)
    name_budget_line(session, canteen.approver, canteen.order, canteen.line)
    approve_order(session, canteen.approver, canteen.order)
    assert {part.state for part in canteen.order.parts} == {PartState.PLACED}
    assert canteen.figures(session) == (100_000, 30_000, 0, 70_000)
    elsewhere = Canteen(session)
    approve_order(session, elsewhere.approver, elsewhere.order)


def test_the_database_lets_nobody_pass_the_grant(canteen: Budgeted, session: Session) -> None:
    order = canteen.ordered(session, 30, key="an-order-of-1500-yuan")

    def insert(**changes: object) -> None:
        values = {
            "line_id": canteen.line.id, "unit_id": canteen.unit.id, "sequence": 2, "follows_sequence": 1,
            "follows_fen": 100_000, "granted_fen": 100_000, "order_id": order.id,
            "ordered_by": canteen.orderer.user_id, "taken_fen": 150_000, "used_before_fen": 0,
            "used_after_fen": 150_000, "reason": "", "entered_by": canteen.orderer.user_id, "entered_at": now(),
            **changes,
        }  # fmt: skip
        session.add(BudgetEntry(**values))
        session.flush()

    for changes, name in (
        ({}, "not_more_than_granted"),
        ({"granted_fen": 200_000}, "orders_change_no_grant"),
        ({"granted_fen": 200_000, "follows_fen": 200_000}, None),  # a grant nobody made
        ({"used_after_fen": 1}, "counts_up"),
        ({"sequence": 3, "follows_sequence": 2}, None),  # a row left out
        ({"sequence": 1, "follows_sequence": None, "follows_fen": None}, None),  # from the beginning again
        ({"unit_id": BuyerUnitFactory().id}, None),
        ({"order_id": None, "ordered_by": None, "taken_fen": 0, "used_after_fen": 0}, "grant_or_order"),
    ):
        with pytest.raises(IntegrityError, match=name), session.begin_nested():
            insert(**changes)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text("UPDATE budget_entry SET granted_fen = granted_fen * 2"))
    assert canteen.figures(session) == (100_000, 0, 0, 100_000)


def test_of_two_orders_at_one_moment_one_takes_the_last_of_a_budget(
    canteen: Budgeted, session: Session, engine: Engine
) -> None:
    orders = [canteen.ordered(session, 12, key=f"an-order-number-{n}") for n in range(2)]
    session.commit()

    def taking(order: Order):
        def take(own: Session) -> object:
            line = own.get_one(BudgetLine, canteen.line.id)
            try:
                return take_budget(own, canteen.orderer, line, own.get_one(Order, order.id)).sequence
            except Refused as refused:
                own.rollback()
                return refused.code

        return take

    answers = all_at_once(engine, [taking(order) for order in orders])
    assert sorted(map(str, answers)) == ["2", "over_budget"]
    session.expire_all()
    assert canteen.figures(session) == (100_000, 60_000, 0, 40_000)
