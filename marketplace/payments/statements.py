"""Bank statements: matching credits to remittance codes, and the queue for what fits nothing.

Only money that came in is kept. A line is matched when its remark holds one known code and the amount is exactly what
is asked; anything else waits for a person with its reason. The bank's serial number makes a line count once, whichever
file it comes in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import SHANGHAI, now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.payments.bank_files import StatementRow, read_statement
from marketplace.payments.deposits.rules import deposit_named, take_deposit, why_not
from marketplace.payments.gateways.remittance_codes import find_codes
from marketplace.payments.models import (
    BankLine,
    BankLineState,
    BankStatement,
    Payment,
    PaymentMethod,
    PaymentState,
    QueueReason,
)
from marketplace.payments.rules import apply_payment


def import_statement(
    session: Session, actor: Actor, files: FileStore, *, content: bytes, file_name: str
) -> BankStatement:
    """Take in a statement: match what can be matched, queue the rest. The same file is the same statement.

    Raises Refused when the file cannot be read, Conflict when a serial number stands for two different credits; then
    nothing of it is kept.
    """
    actor.require(Permission.MATCH_BANK_LINES)
    digest = hashlib.sha256(content).hexdigest()
    first = session.scalar(select(BankStatement).where(BankStatement.content_hash == digest))
    if first is not None:
        return first
    rows = read_statement(content)
    fresh = _unseen(session, rows)
    file = keep_file(
        session, actor, files, content=content, name=file_name, media_type="text/csv", sealed=True
    )
    statement = BankStatement(
        content_hash=digest,
        file_id=file.id,
        file_name=file.name,
        lines_total=len(rows),
        lines_matched=0,
        imported_by=actor.user_id,
    )
    session.add(statement)
    session.flush()
    payments = _payments_by_code(session, fresh)
    statement.lines_matched = sum(_take_line(session, statement, row, payments) for row in fresh)
    session.flush()
    record_trail(
        session,
        actor,
        "payments.import_statement",
        subject=("bank_statement", statement.public_no),
        lines=statement.lines_total,
        matched=statement.lines_matched,
    )
    return statement


def _unseen(session: Session, rows: Sequence[StatementRow]) -> list[StatementRow]:
    """The rows whose serial number is new. Raises Conflict when a number comes back with another day or amount."""
    numbers = [row.serial_no for row in rows]
    known = select(BankLine.serial_no, BankLine.booked_on, BankLine.amount_fen).where(
        BankLine.serial_no.in_(numbers)
    )
    seen = {serial_no: (booked_on, fen) for serial_no, booked_on, fen in session.execute(known)}
    fresh: list[StatementRow] = []
    for row in rows:
        if row.serial_no not in seen:
            seen[row.serial_no] = (row.booked_on, row.amount_fen)
            fresh.append(row)
        elif seen[row.serial_no] != (row.booked_on, row.amount_fen):
            raise Conflict(
                "serial_taken",
                N_("第 %(row)s 行的流水号 %(serial)s 已登记为另一笔日期或金额不同的收入，请向银行核实"),
                field="file",
                row=row.row,
                serial=row.serial_no,
            )
    return fresh


def _payments_by_code(session: Session, rows: Sequence[StatementRow]) -> dict[str, Payment]:
    codes = {code for row in rows for code in find_codes(row.remark)}
    query = select(Payment).where(Payment.remittance_code.in_(codes)).order_by(Payment.id)
    found = session.scalars(query.with_for_update())
    return {payment.remittance_code: payment for payment in found if payment.remittance_code}


def _take_line(
    session: Session, statement: BankStatement, row: StatementRow, payments: dict[str, Payment]
) -> bool:
    """Keep one line; returns whether it paid something."""
    codes = find_codes(row.remark)
    known = [payments[code] for code in codes if code in payments]
    payment = known[0] if len(known) == 1 else None
    deposit = None if known else deposit_named(session, codes)
    reason = why_not(deposit, row.amount_fen) if deposit else _queue_reason(row, codes, known)
    line = BankLine(
        statement_id=statement.id,
        row=row.row,
        serial_no=row.serial_no,
        booked_on=row.booked_on,
        amount_fen=row.amount_fen,
        payer_name=row.payer,
        remark=row.remark,
        state=BankLineState.QUEUED if reason else BankLineState.MATCHED,
        reason=reason,
        payment_id=payment.id if payment else None,
    )
    session.add(line)
    if reason is None and deposit is not None:
        session.flush()
        take_deposit(session, deposit, paid_at=_booked_at(row.booked_on), line=line)
    elif reason is None and payment is not None:
        apply_payment(session, payment, paid_at=_booked_at(row.booked_on))
    return reason is None


def _queue_reason(row: StatementRow, codes: Sequence[str], known: Sequence[Payment]) -> QueueReason | None:
    """Why a person must look at a line with these codes, those of known payments among them; None when it fits."""
    if len(known) != 1:
        if known:
            return QueueReason.SEVERAL_CODES
        return QueueReason.UNKNOWN_CODE if codes else QueueReason.NO_CODE
    payment = known[0]
    if payment.state is PaymentState.PAID:
        return QueueReason.ALREADY_PAID
    if payment.state is not PaymentState.OPEN:
        return QueueReason.CANCELLED
    if payment.amount_fen != row.amount_fen:
        return QueueReason.WRONG_AMOUNT
    return None


def _booked_at(day: date) -> datetime:
    """A bank books by the day: noon of that day in China, but never later than now."""
    return min(datetime.combine(day, time(12), SHANGHAI).astimezone(UTC), now())


def resolve_bank_line(
    session: Session, actor: Actor, line: BankLine, *, payment: Payment | None = None, note: str
) -> BankLine:
    """A person settles a queued line: as the payment of an open transfer of the same amount, or with a note alone.

    Raises NotFound when the line is not queued or the payment no transfer, Refused without a note or when the amounts
    differ, Conflict when the transfer is paid already.
    """
    actor.require(Permission.MATCH_BANK_LINES)
    if line.state is not BankLineState.QUEUED:
        raise NotFound
    if not note.strip():
        raise Refused("note_missing", N_("请写明处理依据，例如与付款单位核对的结果"), field="note")
    if payment is not None:
        if payment.method is not PaymentMethod.BANK_TRANSFER:
            raise NotFound
        if payment.amount_fen != line.amount_fen:
            raise Refused("amounts_differ", N_("这笔收款与所选应付款金额不同，不能匹配"), field="payment")
        apply_payment(session, payment, paid_at=_booked_at(line.booked_on))
    line.payment_id = payment.id if payment else None
    line.state = BankLineState.RESOLVED
    line.resolution, line.resolved_by, line.resolved_at = note.strip()[:300], actor.user_id, now()
    session.flush()
    record_trail(session, actor, "payments.resolve_line", subject=("bank_line", line.public_no))
    return line
