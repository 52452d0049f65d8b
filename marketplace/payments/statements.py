"""Bank statements: reading the bank's file, matching credits to remittance codes, and the queue for what fits nothing.

Only money that came in is kept. A line is matched when its remark holds one known code and the amount is exactly what
is asked; anything else waits for a person with its reason. The bank's serial number makes a line count once, whichever
file it comes in.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import SHANGHAI, now
from marketplace.core.errors import NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.payments.gateways.remittance_codes import find_codes
from marketplace.payments.models import BankLine, BankLineState, BankStatement, Payment, PaymentState, QueueReason
from marketplace.payments.rules import apply_payment

COLUMNS = {
    "serial_no": ("交易流水号", "流水号", "serial_no"),
    "booked_on": ("交易日期", "记账日期", "booked_on"),
    "amount": ("收入金额", "贷方金额", "amount"),
    "payer": ("对方户名", "付款人", "payer"),
    "remark": ("附言", "摘要", "remark"),
}
MAX_ROWS = 20_000


@dataclass(frozen=True)
class StatementRow:
    """One credit as the bank wrote it; `row` is its line in the file, the header being 1."""

    row: int
    serial_no: str
    booked_on: date
    amount_fen: int
    payer: str
    remark: str


def read_statement(content: bytes) -> list[StatementRow]:
    """The credits in a CSV statement (UTF-8 or GB 18030). Raises Refused naming row and column of the first fault."""
    rows = csv.reader(io.StringIO(_text_of(content)))
    header = [cell.strip() for cell in next(rows, [])]
    places = {name: _place(header, aliases) for name, aliases in COLUMNS.items()}
    found = list(_credits(rows, places))
    if not found:
        raise Refused("statement_empty", N_("对账单里没有收入记录，请确认导出的是收款账户的明细"), field="file")
    return found


def _text_of(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Refused("statement_encoding", N_("文件不是文本，请从网银导出 CSV 格式的明细"), field="file")


def _place(header: Sequence[str], aliases: Sequence[str]) -> int:
    for alias in aliases:
        if alias in header:
            return header.index(alias)
    raise Refused("statement_header", N_("表头缺少“%(column)s”一列"), field="file", column=aliases[0])


def _credits(rows: Iterator[list[str]], places: dict[str, int]) -> Iterator[StatementRow]:
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if number > MAX_ROWS:
            raise Refused("statement_long", N_("一次最多导入 %(most)s 行，请按日期分开导出"), field="file", most=MAX_ROWS)
        if len(cells) <= max(places.values()):
            raise Refused("statement_row", N_("第 %(row)s 行的列数不够"), field="file", row=number)
        cell = {name: cells[place].strip() for name, place in places.items()}
        if cell["amount"] in ("", "0", "0.00"):
            continue  # money going out
        yield StatementRow(
            row=number,
            serial_no=_serial(cell["serial_no"], number),
            booked_on=_day(cell["booked_on"], number),
            amount_fen=_amount(cell["amount"], number),
            payer=cell["payer"][:120],
            remark=cell["remark"][:200],
        )


def _serial(text: str, row: int) -> str:
    if not text or len(text) > 60:
        raise Refused("statement_serial", N_("第 %(row)s 行“交易流水号”为空或过长"), field="file", row=row)
    return text


def _day(text: str, row: int) -> date:
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"):
        try:
            return datetime.strptime(text[:10], form).replace(tzinfo=SHANGHAI).date()
        except ValueError:
            continue
    raise Refused(
        "statement_date", N_("第 %(row)s 行“交易日期”不是日期，应为 2026-06-01 这样的写法"), field="file", row=row
    )


def _amount(text: str, row: int) -> int:
    try:
        amount_fen = parse_yuan(text)
    except ValueError:
        amount_fen = 0
    if amount_fen <= 0:
        raise Refused(
            "statement_amount", N_("第 %(row)s 行“收入金额”不是大于 0 的金额（元，最多两位小数）"), field="file", row=row
        )
    return amount_fen


def import_statement(
    session: Session, actor: Actor, files: FileStore, *, content: bytes, file_name: str
) -> BankStatement:
    """Take in a statement: match what can be matched, queue the rest. The same file is the same statement.

    Raises Refused when the file cannot be read; then nothing of it is kept.
    """
    actor.require(Permission.MATCH_BANK_LINES)
    digest = hashlib.sha256(content).hexdigest()
    first = session.scalar(select(BankStatement).where(BankStatement.content_hash == digest))
    if first is not None:
        return first
    rows = read_statement(content)
    file = keep_file(session, actor, files, content=content, name=file_name, media_type="text/csv", sealed=True)
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
    known = set(session.scalars(select(BankLine.serial_no).where(BankLine.serial_no.in_([r.serial_no for r in rows]))))
    payments = _payments_by_code(session, rows)
    for row in rows:
        if row.serial_no not in known:
            known.add(row.serial_no)
            statement.lines_matched += _take_line(session, statement, row, payments)
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


def _payments_by_code(session: Session, rows: Sequence[StatementRow]) -> dict[str, Payment]:
    codes = {code for row in rows for code in find_codes(row.remark)}
    found = session.scalars(select(Payment).where(Payment.remittance_code.in_(codes)).with_for_update())
    return {payment.remittance_code: payment for payment in found if payment.remittance_code}


def _take_line(session: Session, statement: BankStatement, row: StatementRow, payments: dict[str, Payment]) -> bool:
    """Keep one line; returns whether it paid something."""
    codes = find_codes(row.remark)
    known = [payments[code] for code in codes if code in payments]
    payment = known[0] if len(known) == 1 else None
    reason = _queue_reason(row, bool(codes), payment)
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
    if reason is None and payment is not None:
        apply_payment(session, payment, paid_at=_booked_at(row.booked_on))
    return reason is None


def _queue_reason(row: StatementRow, has_code: bool, payment: Payment | None) -> QueueReason | None:
    if not has_code:
        return QueueReason.NO_CODE
    if payment is None:
        return QueueReason.UNKNOWN_CODE
    if payment.state is PaymentState.PAID:
        return QueueReason.ALREADY_PAID
    if payment.state is not PaymentState.OPEN:
        return QueueReason.CANCELLED
    if payment.amount_fen != row.amount_fen:
        return QueueReason.WRONG_AMOUNT
    return None


def _booked_at(day: date) -> datetime:
    """A bank books by the day: noon of that day in China, but never later than now."""
    return min(datetime.combine(day, time(12), SHANGHAI), now())


def resolve_bank_line(
    session: Session, actor: Actor, line: BankLine, *, payment: Payment | None = None, note: str
) -> BankLine:
    """A person settles a queued line: as the payment of an open transfer of the same amount, or with a note alone.

    Raises NotFound when the line is not queued, Refused without a note or when the amounts differ.
    """
    actor.require(Permission.MATCH_BANK_LINES)
    if line.state is not BankLineState.QUEUED:
        raise NotFound
    if not note.strip():
        raise Refused("note_missing", N_("请写明处理依据，例如与付款单位核对的结果"), field="note")
    if payment is not None:
        if payment.amount_fen != line.amount_fen:
            raise Refused("amounts_differ", N_("这笔收款与所选应付款金额不同，不能匹配"), field="payment")
        apply_payment(session, payment, paid_at=_booked_at(line.booked_on))
        line.payment_id = payment.id
    line.state = BankLineState.RESOLVED
    line.resolution, line.resolved_by, line.resolved_at = note.strip()[:300], actor.user_id, now()
    session.flush()
    record_trail(session, actor, "payments.resolve_line", subject=("bank_line", line.public_no))
    return line
