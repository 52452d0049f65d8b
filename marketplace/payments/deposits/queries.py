"""Reading deposits: those a unit pays, those a cooperative is covered by, and what the cashier has to send back."""

from __future__ import annotations

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import works_for_unit
from marketplace.payments.deposits.models import Deposit, DepositReturn, DepositState
from marketplace.procurement.forward.models import ForwardOrder
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task


def deposits_visible_to(actor: Actor) -> Select[Deposit]:
    """Deposits, newest first: of one's unit, of one's cooperative, all for the cashier, an auditor's of its area."""
    query = select(Deposit).order_by(Deposit.id.desc())
    if actor.can(Permission.MATCH_BANK_LINES):
        return query
    if actor.can(Permission.READ_AUDIT):
        return query.where(Deposit.cooperative_id.in_(cooperatives_within(actor)))
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        return query.where(Deposit.cooperative_id == actor.cooperative_id)
    if works_for_unit(actor):
        return query.where(Deposit.buyer_unit_id == actor.buyer_unit_id)
    return query.where(false())


def deposit_by_no(session: Session, actor: Actor, number: str) -> Deposit:
    """A deposit the actor may see. Raises NotFound."""
    deposit = session.scalar(deposits_visible_to(actor).where(Deposit.public_no == number))
    if deposit is None:
        raise NotFound
    return deposit


def deposit_of_forward(session: Session, actor: Actor, forward_no: str) -> Deposit:
    """The deposit of an order before the harvest. Raises NotFound while none is asked for."""
    deposit = session.scalar(
        deposits_visible_to(actor)
        .join(ForwardOrder, ForwardOrder.id == Deposit.forward_id)
        .where(ForwardOrder.public_no == forward_no)
    )
    if deposit is None:
        raise NotFound
    return deposit


def deposits_of_amount(amount_fen: int) -> Select[Deposit]:
    """Deposits that are asked for and are exactly this much, the oldest first, at most twenty."""
    asked = Deposit.state == DepositState.OPEN
    return select(Deposit).where(asked, Deposit.amount_fen == amount_fen).order_by(Deposit.id).limit(20)


def returns_to_send() -> Select[DepositReturn]:
    """What the cashier has to transfer back, oldest first."""
    return select(DepositReturn).where(DepositReturn.returned_at.is_(None)).order_by(DepositReturn.id)


def return_by_no(session: Session, number: str) -> DepositReturn:
    """One of them. Raises NotFound."""
    found = session.scalar(returns_to_send().where(DepositReturn.public_no == number))
    if found is None:
        raise NotFound
    return found


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Deposits to transfer for a unit's payer; returns to send for the cashier."""
    if actor.can(Permission.PAY_FOR_UNIT) and actor.buyer_unit_id is not None:
        message: str = NN_("%(count)s 笔订金待转账")
        query: Select[Deposit] | Select[DepositReturn] = (
            deposits_visible_to(actor).where(Deposit.state == DepositState.OPEN).order_by(None)
        )
    elif actor.can(Permission.MATCH_BANK_LINES):
        message, query = NN_("%(count)s 笔订金待退回"), returns_to_send().order_by(None)
    else:
        return []
    count = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    return [Task(message, count, "deposits.index")] if count else []
