"""Deliveries on their way to a receiver, inspected and rejected, by the real rules."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image
from sqlalchemy.orm import Session

from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ordering.models import OrderKind, OrderLine, OrderPart
from marketplace.ordering.rules import confirm_part
from marketplace.procurement.receiving.models import Inspection, RejectReason
from marketplace.procurement.receiving.photos import Upload
from marketplace.procurement.receiving.rules import Verdict, inspect_goods, receive_goods, ship_goods
from marketplace.procurement.rules import approve_order
from marketplace.registry.models import BuyerUnit
from tests.factories.registry import BuyerUnitFactory, actor_at
from tests.factories.trade import Offer, buy, pay_by_card, staff_buyer


@dataclass(frozen=True)
class Delivery:
    """A part on its way, with those who have to do with it."""

    part: OrderPart
    receiver: Actor
    manager: Actor
    unit: BuyerUnit | None = None

    @property
    def line(self) -> OrderLine:
        """Its first line."""
        return self.part.lines[0]


def confirmed(
    session: Session,
    *wanted: tuple[Offer, int],
    unit: BuyerUnit | None = None,
    key: str = "key-of-a-delivery",
) -> Delivery:
    """A canteen's order of one cooperative's goods, approved and confirmed."""
    unit = unit or BuyerUnitFactory()
    order = buy(session, actor_at(unit, Role.UNIT_ORDERER), *wanted, kind=OrderKind.CANTEEN, key=key)
    approve_order(session, actor_at(unit, Role.UNIT_APPROVER), order)
    part = order.parts[0]
    manager = actor_at(part.cooperative)
    confirm_part(session, manager, part)
    return Delivery(part, actor_at(unit, Role.UNIT_RECEIVER), manager, unit)


def shipped(
    session: Session,
    *wanted: tuple[Offer, int],
    unit: BuyerUnit | None = None,
    key: str = "key-of-a-delivery",
) -> Delivery:
    """The same, under way."""
    delivery = confirmed(session, *wanted, unit=unit, key=key)
    ship_goods(session, delivery.manager, delivery.part, carrier="自送", waybill_no="")
    return delivery


def arrived(
    session: Session,
    files: FileStore,
    *wanted: tuple[Offer, int],
    unit: BuyerUnit | None = None,
    key: str = "key-of-a-delivery",
) -> Delivery:
    """The same, received and waiting for its inspection."""
    delivery = shipped(session, *wanted, unit=unit, key=key)
    receive_goods(session, delivery.receiver, files, delivery.part)
    return delivery


def arrived_at_home(session: Session, files: FileStore, *wanted: tuple[Offer, int]) -> Delivery:
    """A person's order, paid by card, received and waiting for its inspection."""
    buyer = staff_buyer()
    order = buy(session, buyer, *wanted)
    pay_by_card(session, buyer, order)
    part = order.parts[0]
    manager = actor_at(part.cooperative)
    confirm_part(session, manager, part)
    ship_goods(session, manager, part, carrier="自送", waybill_no="")
    receive_goods(session, buyer, files, part)
    return Delivery(part, buyer, manager)


def verdict(
    units: int, reason: RejectReason | None = RejectReason.DAMAGED, words: str = "外箱压坏"
) -> Verdict:
    """That so many units are not accepted."""
    return Verdict(units, reason, words)


def reject(session: Session, files: FileStore, delivery: Delivery, *units: int) -> Inspection:
    """Reject units of the lines of a delivery, in their order."""
    verdicts = {
        line.public_no: verdict(count) for line, count in zip(delivery.part.lines, units, strict=True)
    }
    return inspect_goods(session, delivery.receiver, files, delivery.part, verdicts=verdicts)


def photo(name: str = "photo.jpg", kind: str = "JPEG") -> Upload:
    """A picture of nothing in particular."""
    out = io.BytesIO()
    Image.new("RGB", (320, 240), (90, 130, 60)).save(out, kind)
    return Upload(out.getvalue(), name)
