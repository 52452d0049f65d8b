"""Refunds asked by the buyer of a personal order and agreed to by the cooperative's manager."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import User
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.models import Credit
from marketplace.payments.refunds.models import CreditAddition, CreditReversal, Refund
from marketplace.payments.refunds.rules import agree_refund, ask_refund
from marketplace.registry.models import Cooperative
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import EnrolmentFactory, actor_at
from tests.factories.trade import Offer, offer


def shared_offer(session: Session, cooperative: Cooperative, *weights: int) -> tuple[Offer, list[int]]:
    """Goods at 10 fen a unit, a tenth of which goes to contract farmers with these weights, and the households."""
    offered = offer(session, cooperative, tiers=((1, 10),), terms={Mechanism.CONTRACT_FARMING: 1_000})
    contracts = [deliverer(cooperative, offered, weight) for weight in weights]
    return offered, [contract.household_id for contract in contracts]


def deliverer(cooperative: Cooperative, offered: Offer, weight: int) -> Agreement:
    """The contract of a new household that delivered to the lot of an offer."""
    contract: Agreement = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot, amount_fen=weight)
    return contract


def buyer_of(session: Session, order: Order) -> Actor:
    """Who placed a personal order."""
    return actor_of(session.get_one(User, order.buyer_user_id))


def asked(session: Session, actor: Actor, part: OrderPart, *units: int, key: str = "first-refund") -> Refund:
    """A request for units of the lines of a part, in their order."""
    quantities = {line.public_no: count for line, count in zip(part.lines, units, strict=True)}
    return ask_refund(
        session, actor, part=part, quantities=quantities, reason="到货有破损", idempotency_key=key
    )


def refunded(session: Session, order: Order, *units: int, key: str = "first-refund") -> Refund:
    """Units of a personal order of one part, asked back and agreed to."""
    part = order.parts[0]
    refund = asked(session, buyer_of(session, order), part, *units, key=key)
    return agree_refund(session, actor_at(part.cooperative), refund)


def standing(session: Session) -> dict[int, int]:
    """What each household was credited less what was taken back, in fen; households with nothing included."""
    found: dict[int, int] = {}
    for model, sign in ((Credit, 1), (CreditAddition, 1), (CreditReversal, -1)):
        query = select(model.household_id, func.sum(model.amount_fen)).group_by(model.household_id)
        for household_id, fen in session.execute(query):
            found[household_id] = found.get(household_id, 0) + sign * int(fen)
    return found
