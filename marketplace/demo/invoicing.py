"""Invoices of the first cooperative: every four weeks one a unit, checked by its payer; some went otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, select

from marketplace.core import clock
from marketplace.demo.entry import Seller
from marketplace.demo.founding import Canteen
from marketplace.demo.papers import keep_paper
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor
from marketplace.ordering.models import Order, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.invoices.models import Invoice
from marketplace.payments.invoices.queries import nets_of, over_fen_of
from marketplace.payments.invoices.rules import (
    MOST_PARTS,
    confirm_invoice,
    return_invoice,
    upload_invoice,
    upload_red_letter,
)
from marketplace.payments.refunds.rules import agree_refund, ask_refund

EVERY_DAYS = 28
QUIET_DAYS = 24  # what was accepted in these last days is invoiced one by one, or waits
REFUND_AGO, RED_LETTER_AGO, RETURNED_AGO, WAITING_AGO = 9, 8, 7, 5
WRONG_TITLE = "购买方名称少写了“食堂”两个字，请重开"
BROKEN = "验收入库后发现有一件受潮结块，请扣减货款"


class Invoicing:
    """Plays the invoices of the demo's year."""

    def __init__(self, world: World, seller: Seller, canteens: Sequence[Canteen]) -> None:
        self.world = world
        self.seller = seller
        self.canteens = {canteen.unit.id: canteen for canteen in canteens}
        self.first = canteens[0]
        self._serial = count(1)

    def plan(self) -> None:
        """Plan the months, then a red letter after a refund, a returned invoice and the right one that waits."""
        at, last_on = self.world.timeline.at, self.world.last_on
        day = self.world.first_on + timedelta(days=EVERY_DAYS)
        while day < last_on - timedelta(days=QUIET_DAYS):
            at(at_hour(day, 15), self.invoice_all)
            day += timedelta(days=EVERY_DAYS)
        for ago, deed in (
            (REFUND_AGO, self.refund_after_invoice),
            (RED_LETTER_AGO, self.correct),
            (RETURNED_AGO, self.have_one_returned),
            (WAITING_AGO, self.let_one_wait),
        ):
            at(at_hour(last_on - timedelta(days=ago), 15), deed)

    def invoice_all(self) -> None:
        """One invoice a unit over everything accepted so far, confirmed by its payer."""
        by_unit: dict[int, list[OrderPart]] = {}
        for part in self._accepted():
            by_unit.setdefault(part.order.buyer_unit_id or 0, []).append(part)
        for parts in by_unit.values():
            invoice = self._hand_in(parts[:MOST_PARTS])
            confirm_invoice(self.world.session, self._payer(invoice), invoice)

    def have_one_returned(self) -> None:
        """An invoice with a wrong title goes back."""
        for part in self._newest():
            invoice = self._hand_in([part])
            return_invoice(self.world.session, self._payer(invoice), invoice, reason=WRONG_TITLE)

    def refund_after_invoice(self) -> None:
        """A unit of an invoiced delivery that is not paid yet is taken off the bill, while it is late already."""
        invoiced = self._parts(OrderPart.invoiced_at.is_not(None), OrderPart.paid_at.is_(None))
        for part in [one for one in invoiced if one.order.buyer_unit_id == self.first.unit.id][:1]:
            refund = ask_refund(
                self.world.session,
                self.first.acting("receiver"),
                part=part,
                quantities={part.lines[0].public_no: 1},
                reason=BROKEN,
                idempotency_key="demo-refund-after-invoice",
            )
            agree_refund(self.world.session, self.seller.clerking, refund, note="情况属实")

    def correct(self) -> None:
        """The red letters for what was refunded, which wait for the payer."""
        query = select(Invoice).where(Invoice.cooperative_id == self.seller.cooperative.id)
        for invoice in self.world.session.scalars(query.order_by(Invoice.id.desc())).all():
            over_fen = over_fen_of(self.world.session, invoice) if invoice.original_id is None else 0
            if over_fen > 0 and invoice.parts[0].live:
                upload_red_letter(
                    self.world.session,
                    self.seller.clerking,
                    original=invoice,
                    amount_fen=over_fen,
                    **self._paper("红字发票（演示）"),
                )
                return

    def let_one_wait(self) -> None:
        """The right one follows; its payer has not looked at it."""
        for part in self._newest():
            self._hand_in([part])

    # --- the two sides ---

    def _newest(self) -> list[OrderPart]:
        """The last delivery that the named canteen accepted, unless it is invoiced."""
        return [part for part in self._accepted() if part.order.buyer_unit_id == self.first.unit.id][-1:]

    def _accepted(self) -> list[OrderPart]:
        return self._parts(OrderPart.invoiced_at.is_(None))

    def _parts(self, *conditions: ColumnElement[bool]) -> list[OrderPart]:
        query = (
            select(OrderPart)
            .join(Order, Order.id == OrderPart.order_id)
            .where(
                OrderPart.cooperative_id == self.seller.cooperative.id,
                OrderPart.state == PartState.ACCEPTED,
                Order.buyer_unit_id.in_(self.canteens),
                *conditions,
            )
            .order_by(OrderPart.accepted_at, OrderPart.id)
        )
        parts = list(self.world.session.scalars(query).unique())
        nets = nets_of(self.world.session, [part.id for part in parts])
        return [part for part in parts if nets[part.id] > 0]

    def _hand_in(self, parts: Iterable[OrderPart]) -> Invoice:
        chosen = list(parts)
        nets = nets_of(self.world.session, [part.id for part in chosen])
        return upload_invoice(
            self.world.session,
            self.seller.clerking,
            part_nos=[part.public_no for part in chosen],
            amount_fen=sum(nets.values()),
            **self._paper("电子发票（演示）"),
        )

    def _paper(self, title: str) -> dict[str, Any]:
        """What every invoice needs: a number of its own, today's date, a file and a key."""
        serial, today = next(self._serial), clock.today()
        return {
            "number": f"{today.year % 100:02d}36{serial:016d}",
            "issued_on": today,
            "file": keep_paper(self.world, self.seller.clerking, title),
            "idempotency_key": f"demo-invoice-{serial:06d}",
        }

    def _payer(self, invoice: Invoice) -> Actor:
        return self.canteens[invoice.buyer_unit_id].acting("payer")
