"""Orders before the harvest: ordered, approved, confirmed, their deposit paid, and deliveries taken under them.

`ahead(session, on_sale, unit)` is 40 bottles at 45.00 to 50.00 yuan (90.00 to 100.00 a kilogram) with a deposit of
20 %: 400.00 yuan.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.files import FileStore
from marketplace.core.ids import random_key
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ordering.models import OrderPart
from marketplace.payments.deposits.models import Deposit
from marketplace.payments.deposits.rules import ask_deposits
from marketplace.payments.rules import bill_accepted_parts
from marketplace.payments.statements import import_statement
from marketplace.procurement.forward.delivering import arrange_delivery, name_lot
from marketplace.procurement.forward.models import ForwardDelivery, ForwardOrder
from marketplace.procurement.forward.rules import Price, approve_ahead, confirm_ahead, order_ahead
from marketplace.procurement.rules import approve_order
from marketplace.registry.models import BuyerUnit
from tests.factories.registry import actor_at
from tests.factories.trade import DELIVERY, Offer, deliver

UNITS = 40
DEPOSIT_FEN = 40_000


def ordered_ahead(session: Session, on_sale: Offer, orderer: Actor, **changes: Any) -> ForwardOrder:
    """An order that waits for approval."""
    said: dict[str, Any] = {
        "units": UNITS,
        "price_fen_per_kg": 10_000,
        "floor_fen_per_kg": 9_000,
        "deposit_bp": 2_000,
        "harvest_on": today() + timedelta(days=60),
        "idempotency_key": random_key(),
    }
    said |= changes
    price = Price(said.pop("price_fen_per_kg"), said.pop("floor_fen_per_kg"))
    return order_ahead(session, orderer, listing=on_sale.listing, price=price, **said)


def ahead(session: Session, on_sale: Offer, unit: BuyerUnit, **changes: Any) -> ForwardOrder:
    """An order the cooperative has confirmed."""
    forward = ordered_ahead(session, on_sale, actor_at(unit, Role.UNIT_ORDERER), **changes)
    approve_ahead(session, actor_at(unit, Role.UNIT_APPROVER), forward)
    return confirm_ahead(session, actor_at(on_sale.cooperative), forward)


def transferred(
    session: Session,
    cashier: Actor,
    files: FileStore,
    deposit: Deposit,
    *,
    yuan: str,
    serial: str = "D1",
    code: str | None = None,
) -> None:
    """A bank statement with one credit that names the deposit's code."""
    head = "交易流水号,交易日期,收入金额,对方户名,附言"
    line = f"{serial},{today():%Y-%m-%d},{yuan},乐安县第一小学,{deposit.remittance_code if code is None else code}"
    import_statement(session, cashier, files, content=f"{head}\n{line}\n".encode(), file_name=f"{serial}.csv")


def deposited(
    session: Session, on_sale: Offer, unit: BuyerUnit, cashier: Actor, files: FileStore, **changes: Any
) -> Deposit:
    """An order whose deposit has come."""
    forward = ahead(session, on_sale, unit, **changes)
    ask_deposits(session)
    deposit = session.query(Deposit).filter_by(forward_id=forward.id).one()
    yuan = f"{deposit.amount_fen // 100}.{deposit.amount_fen % 100:02d}"
    transferred(session, cashier, files, deposit, yuan=yuan, serial=f"D{deposit.id}")
    return deposit


def paid_ahead(
    session: Session, on_sale: Offer, unit: BuyerUnit, cashier: Actor, files: FileStore, **changes: Any
) -> Deposit:
    """An order whose deposit has come and whose lot is named."""
    deposit = deposited(session, on_sale, unit, cashier, files, **changes)
    name_lot(session, actor_at(on_sale.cooperative), deposit.forward, on_sale.lot)
    return deposit


def taken(
    session: Session, forward: ForwardOrder, units: int, *, key: str | None = None, by: Actor | None = None
) -> ForwardDelivery:
    """A delivery that waits for approval."""
    return arrange_delivery(
        session,
        by or actor_at(forward.unit, Role.UNIT_ORDERER),
        forward,
        units=units,
        delivery=DELIVERY,
        idempotency_key=key or random_key(),
    )


def accepted(session: Session, forward: ForwardOrder, units: int) -> OrderPart:
    """A delivery that was approved, delivered, accepted and billed."""
    order = taken(session, forward, units).order
    approve_order(session, actor_at(forward.unit, Role.UNIT_APPROVER), order)
    part = deliver(session, order.parts[0], actor_at(forward.unit, Role.UNIT_RECEIVER))
    assert part.accepted_at == now()
    bill_accepted_parts(session)
    return part
