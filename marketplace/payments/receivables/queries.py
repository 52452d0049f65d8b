"""What units owe a cooperative today, by how many days it is late: per unit, in all, and bill by bill.

Set-based: one statement for a page of units, one for the totals, however many bills there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Select,
    Subquery,
    case,
    cast,
    func,
    literal,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.late_interest.models import InterestState, LateInterest
from marketplace.payments.models import Payment, PaymentMethod, PaymentState
from marketplace.payments.queries import WHAT_FOR
from marketplace.registry.models import BuyerUnit


class Age(LabelledEnum):
    """How late a bill is."""

    NOT_DUE = "not_due", N_("未到期")
    TO_30 = "to_30", N_("逾期 1–30 天")
    TO_60 = "to_60", N_("逾期 31–60 天")
    TO_90 = "to_90", N_("逾期 61–90 天")
    OVER_90 = "over_90", N_("逾期 90 天以上")


LAST_DAYS = {Age.NOT_DUE: 0, Age.TO_30: 30, Age.TO_60: 60, Age.TO_90: 90}


def age_of(due_on: date, on: date) -> Age:
    """How late a bill with this last day is on `on`."""
    late = (on - due_on).days
    return next((age for age, last in LAST_DAYS.items() if late <= last), Age.OVER_90)


def _owed(actor: Actor) -> Subquery:
    """Every open claim on a unit: rows of unit_id, due_on (empty for interest), fen, interest_fen."""
    bills = (
        select(
            Order.buyer_unit_id.label("unit_id"),
            Payment.due_on.label("due_on"),
            Payment.amount_fen.label("fen"),
            literal(0).label("interest_fen"),
        )
        .join(Order, Order.id == Payment.order_id)
        .join(OrderPart, OrderPart.id == Payment.part_id)
        .where(*_open_bill(actor))
    )
    interests = select(
        LateInterest.buyer_unit_id, type_coerce(null(), Date), literal(0), LateInterest.amount_fen
    ).where(LateInterest.cooperative_id == actor.cooperative_id, LateInterest.state == InterestState.OPEN)
    return union_all(bills, interests).subquery()


def _open_bill(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    return (
        Payment.state == PaymentState.OPEN,
        Payment.method == PaymentMethod.BANK_TRANSFER,
        OrderPart.cooperative_id == actor.cooperative_id,
    )


def _sum(fen: ColumnElement[Any]) -> ColumnElement[int]:
    """Whole fen, where PostgreSQL would add them up to decimals."""
    return cast(func.coalesce(func.sum(fen), 0), BigInteger)


def _sums(owed: Subquery, on: date) -> list[ColumnElement[Any]]:
    """Fen by age (labelled by its code), then as total, late and interest, and the number of bills."""
    due, columns, upper = owed.c.due_on, list[ColumnElement[Any]](), None
    for age in Age:
        last = LAST_DAYS.get(age)
        within = due.is_not(None)
        if upper is not None:
            within &= due < on - timedelta(days=upper)
        if last is not None:
            within &= due >= on - timedelta(days=last)
        columns.append(_sum(case((within, owed.c.fen), else_=0)).label(age.value))
        upper = last
    late = _sum(case((due < on, owed.c.fen), else_=0))
    return [
        *columns,
        _sum(owed.c.fen).label("total"),
        late.label("late"),
        _sum(owed.c.interest_fen).label("interest"),
        func.count(due).label("bills"),
    ]


def ageing(actor: Actor, on: date) -> Select[*tuple[Any, ...]]:
    """One row a unit that owes something: unit_no, name, and the columns of `_sums`; what is late most comes first."""
    owed = _owed(actor)
    sums = _sums(owed, on)
    late = next(column for column in sums if column.name == "late")
    total = next(column for column in sums if column.name == "total")
    return (
        select(BuyerUnit.public_no.label("unit_no"), BuyerUnit.name.label("name"), *sums)
        .join(owed, owed.c.unit_id == BuyerUnit.id)
        .group_by(BuyerUnit.id, BuyerUnit.public_no, BuyerUnit.name)
        .order_by(late.desc(), total.desc(), BuyerUnit.id)
    )


def ageing_totals(session: Session, actor: Actor, on: date) -> dict[str, int]:
    """The sums over all units, by the labels of `_sums`."""
    row = session.execute(select(*_sums(_owed(actor), on))).mappings().one()
    return {name: int(fen) for name, fen in row.items()}


def unit_by_no(session: Session, actor: Actor, unit_no: str) -> BuyerUnit:
    """A unit that ever bought of the actor's cooperative. Raises NotFound."""
    bought = (
        select(OrderPart.id)
        .join(Order, Order.id == OrderPart.order_id)
        .where(Order.buyer_unit_id == BuyerUnit.id, OrderPart.cooperative_id == actor.cooperative_id)
        .exists()
    )
    unit = session.scalar(select(BuyerUnit).where(BuyerUnit.public_no == unit_no, bought))
    if unit is None:
        raise NotFound
    return unit


def open_bills(actor: Actor, unit: BuyerUnit | None = None) -> Select[Payment]:
    """The open bills of the actor's cooperative, of one unit or of all, the longest due first."""
    query = (
        select(Payment)
        .join(Order, Order.id == Payment.order_id)
        .join(OrderPart, OrderPart.id == Payment.part_id)
        .where(*_open_bill(actor))
        .order_by(Payment.due_on, Payment.id)
        .options(*WHAT_FOR)
    )
    return query if unit is None else query.where(Order.buyer_unit_id == unit.id)


@dataclass(frozen=True)
class OpenBill:
    """A bill as the sheet lists it."""

    unit_name: str
    order_no: str
    due_on: date
    amount_fen: int
    days_late: int
    age: Age


def open_bill_rows(bills: Iterable[Payment], on: date) -> Iterator[OpenBill]:
    """The bills as rows of a sheet."""
    for bill in bills:
        if bill.due_on is not None and bill.order.buyer_unit is not None:
            yield OpenBill(
                bill.order.buyer_unit.name,
                bill.order.public_no,
                bill.due_on,
                bill.amount_fen,
                max(0, (on - bill.due_on).days),
                age_of(bill.due_on, on),
            )
