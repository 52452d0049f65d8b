"""The bank: units transfer what they owe, a cashier imports the statement of each week, and some lines fit nothing."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from io import StringIO
from itertools import count

from sqlalchemy import select

from marketplace.core import clock
from marketplace.core.money import format_yuan
from marketplace.demo.entry import Seller
from marketplace.demo.world import World
from marketplace.payments.gateways.remittance_codes import code_of, display_code
from marketplace.payments.late_interest.models import InterestState, LateInterest
from marketplace.payments.models import (
    BankLine,
    BankLineState,
    Payment,
    PaymentMethod,
    PaymentState,
    QueueReason,
)
from marketplace.payments.rules import bill_accepted_parts
from marketplace.payments.statements import import_statement, resolve_bank_line, take_statement_lines
from marketplace.registry.models import BuyerUnit

HEADER = ("交易日期", "交易流水号", "收入金额", "支出金额", "对方户名", "附言")
LATE_BILLS = ((365, 38), (200, 40))  # billed so many days ago or later, paid after so many; 30 are allowed
SOON = (4, 20)  # days from the bill to the transfer
MISTAKE = 23  # of so many transfers one goes wrong
RECENT_DAYS = 15  # queued lines older than this have been dealt with
UNKNOWN_CODE = code_of(7)


class Bank:
    """The transfers under way and the statements made of them.

    `held` are parts whose unit has not paid yet. Two bills of `waiting`, a cooperative, are paid after their last day,
    the later one by another unit than the `first`: the interest of the earlier one is transferred afterwards.
    """

    def __init__(self, world: World, held: set[int], waiting: Seller, first: BuyerUnit) -> None:
        self.world = world
        self.held = held
        self.waiting = waiting
        self.first = first
        self._late = list(LATE_BILLS)
        self._pays_interest = True
        self._due: dict[int, date] = {}
        self._serial = count(1)
        self._transfers = count(1)

    def bill(self) -> None:
        """Bill what was accepted, and have each unit decide when it pays."""
        bill_accepted_parts(self.world.session)
        for payment in self._open_transfers():
            if payment.id not in self._due and payment.part_id not in self.held:
                days = self.world.random.randrange(*SOON)
                self._due[payment.id] = clock.today() + timedelta(days=self._late_days(payment) or days)

    def _late_days(self, payment: Payment) -> int | None:
        """The days until a bill that is paid late is transferred; None for all others."""
        if not self._late or payment.part is None:
            return None
        ago, days = self._late[0]
        if clock.today() < self.world.last_on - timedelta(days=ago):
            return None
        is_later, is_first = len(self._late) < len(LATE_BILLS), payment.order.buyer_unit_id == self.first.id
        if payment.part.cooperative_id != self.waiting.cooperative.id or (is_later and is_first):
            return None
        self._late.pop(0)
        return days

    def _open_transfers(self) -> list[Payment]:
        query = select(Payment).where(
            Payment.method == PaymentMethod.BANK_TRANSFER, Payment.state == PaymentState.OPEN
        )
        return list(self.world.session.scalars(query.order_by(Payment.id)))

    def import_week(self) -> None:
        """Import what came in during the last seven days, then look at what fits nothing."""
        upto = clock.today()
        lines = [line for payment in self._open_transfers() for line in self._line_of(payment, upto)]
        lines += self._interest_line(upto)
        if upto.day <= 7 or upto > self.world.last_on - timedelta(days=6):
            lines.append(self._cells(upto - timedelta(days=1), 66_600, "演示公司", "往来款"))
        if not lines:
            return
        out = StringIO(newline="")
        writer = csv.writer(out)
        writer.writerows([HEADER, *lines])
        writer.writerow([upto.isoformat(), self._number(), "", "15.00", "演示银行", "手续费"])
        statement = import_statement(
            self.world.session,
            self.world.operating,
            self.world.tools.files,
            content=out.getvalue().encode("gb18030"),
            file_name=f"收款账户明细-{upto:%Y%m%d}.csv",
        )
        while statement.is_open:
            take_statement_lines(self.world.session, self.world.tools.files, statement)
        self._resolve_old()
        self.world.sweep_soon()

    def _line_of(self, payment: Payment, upto: date) -> list[list[str]]:
        """The transfer of a bill, when its day has come; every now and then with a mistake."""
        booked_on = self._due.get(payment.id)
        if booked_on is None or booked_on >= upto:
            return []
        del self._due[payment.id]
        number, code = next(self._transfers), payment.remittance_code or ""
        name = payment.order.buyer_unit.name if payment.order.buyer_unit else ""
        remark, amount_fen = f"货款 {display_code(code)}", payment.amount_fen
        if number % MISTAKE == 5:
            remark = "货款"
        elif number % MISTAKE == 12:
            remark = f"货款 {display_code(UNKNOWN_CODE)}"
        elif number % MISTAKE == 19:
            amount_fen -= 1_000
        elif number % 4 == 0:
            remark = f"{code.lower()}食堂采购款"
        return [self._cells(booked_on, amount_fen, name, remark)]

    def _interest_line(self, upto: date) -> list[list[str]]:
        """The transfer of the first interest that is owed, once there is a second."""
        owed = select(LateInterest).where(LateInterest.state == InterestState.OPEN).order_by(LateInterest.id)
        claims = self.world.session.scalars(owed).all() if self._pays_interest else []
        if len(claims) < len(LATE_BILLS):
            return []
        self._pays_interest, claim = False, claims[0]
        remark = f"逾期利息 {display_code(claim.remittance_code)}"
        return [self._cells(upto - timedelta(days=1), claim.amount_fen, claim.buyer_unit.name, remark)]

    def _cells(self, on: date, amount_fen: int, payer: str, remark: str) -> list[str]:
        return [on.isoformat(), self._number(), format_yuan(amount_fen), "", payer, remark]

    def _number(self) -> str:
        return f"DEMO{clock.today():%Y%m%d}{next(self._serial):06d}"

    def _resolve_old(self) -> None:
        """What has waited for two weeks was cleared with the payer by telephone."""
        waiting = select(BankLine).where(
            BankLine.state == BankLineState.QUEUED,
            BankLine.booked_on < clock.today() - timedelta(days=RECENT_DAYS),
        )
        for line in self.world.session.scalars(waiting.order_by(BankLine.id)).all():
            payment = self._meant_by(line)
            note = (
                "与付款单位财务电话核对，是这笔货款"
                if payment
                else "与付款单位核对，不是货款，已通知原路退回"
            )
            resolve_bank_line(self.world.session, self.world.operating, line, payment=payment, note=note)
            if payment is None and line.reason is QueueReason.WRONG_AMOUNT and line.payment is not None:
                self._due[line.payment.id] = clock.today()  # it transfers the right sum afterwards

    def _meant_by(self, line: BankLine) -> Payment | None:
        """The open bill of the same unit over the same amount, if there is exactly one."""
        same = [
            payment
            for payment in self._open_transfers()
            if payment.amount_fen == line.amount_fen
            and payment.order.buyer_unit is not None
            and payment.order.buyer_unit.name == line.payer_name
        ]
        return same[0] if len(same) == 1 else None
