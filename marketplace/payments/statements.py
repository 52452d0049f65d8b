"""Bank statements: matching credits to remittance codes, and the queue for what fits nothing.

Only money that came in is kept. A line is matched when its remark holds known codes and the amount is exactly what they
ask for (see `matching.py`); anything else waits for a person with its reason. The bank's serial number makes a line
count once, whichever file it comes in.

A short statement is taken in at once, a long one by the worker in passes of LINES_A_PASS, each one transaction. It may
be stopped between two: what is taken in stays, the rest is untouched, and the same file goes on where it stopped.
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
from marketplace.core.waking import wake_after_commit
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.payments.bank_files import StatementRow, read_statement
from marketplace.payments.by_hand import close_line, hold_queued, require_note
from marketplace.payments.deposits.rules import deposit_named, take_deposit, why_not
from marketplace.payments.gateways.remittance_codes import find_codes
from marketplace.payments.late_interest.queries import interest_of
from marketplace.payments.late_interest.rules import pay_interest
from marketplace.payments.matching import Claims, CodeBook, Fit, claims_by_code, fit_line
from marketplace.payments.models import (
    BankLine,
    BankLineMatch,
    BankLineState,
    BankStatement,
    Payment,
    PaymentMethod,
    QueueReason,
)
from marketplace.payments.reconciliation.payouts import match_payouts
from marketplace.payments.rules import apply_payment
from marketplace.payments.vouchers.rules import batch_named, take_batch, why_batch_not

TAKE_STATEMENTS = "take statements"  # the job
LINES_AT_ONCE = 150  # of which each may be a payment: about two seconds
LINES_A_PASS = 100
DIFFERS = (QueueReason.WRONG_AMOUNT, QueueReason.SEVERAL_CODES)


def import_statement(
    session: Session, actor: Actor, files: FileStore, *, content: bytes, file_name: str
) -> BankStatement:
    """Take in a statement: match what can be matched, queue the rest; a long one as soon as a worker gets to it.

    The same file is the same statement; one that was stopped goes on. Raises Refused when the file cannot be read,
    Conflict when a serial number stands for two different credits; then nothing of it is kept.
    """
    actor.require(Permission.MATCH_BANK_LINES)
    digest = hashlib.sha256(content).hexdigest()
    first = session.scalar(select(BankStatement).where(BankStatement.content_hash == digest))
    if first is not None:
        return resume_statement(session, actor, first) if first.stopped_at else first
    rows = read_statement(content)
    _unseen(session, rows)
    file = keep_file(
        session, actor, files, content=content, name=file_name, media_type="text/csv", sealed=True
    )
    statement = BankStatement(
        content_hash=digest,
        file_id=file.id,
        file_name=file.name,
        lines_total=len(rows),
        lines_done=0,
        lines_matched=0,
        imported_by=actor.user_id,
    )
    session.add(statement)
    session.flush()
    is_short = len(rows) <= LINES_AT_ONCE
    if is_short:
        _take_rows(session, statement, rows)
    else:
        wake_after_commit(session, TAKE_STATEMENTS)
    matched = statement.lines_matched if is_short else None
    _tell(
        session, actor, "payments.import_statement", statement, lines=statement.lines_total, matched=matched
    )
    return statement


def take_statement_lines(session: Session, files: FileStore, statement: BankStatement) -> bool:
    """The next LINES_A_PASS lines of a statement that is not all taken in; True while there are more.

    Where a serial number came meanwhile with another day or amount it stops, with the reason, and takes none of them.
    """
    session.refresh(statement, with_for_update=True)
    if not statement.is_open:
        return False
    file = session.get_one(StoredFile, statement.file_id)
    rows = read_statement(files.read(file.address, sealed=True))
    try:
        with session.begin_nested():
            _take_rows(session, statement, rows[statement.lines_done :][:LINES_A_PASS])
    except Conflict as trouble:
        statement.stopped_at = now()
        statement.trouble = {"message": trouble.message, "params": trouble.params}
    session.flush()
    return statement.is_open


def next_statement(session: Session) -> BankStatement | None:
    """The oldest statement that is not all taken in and was not stopped."""
    waits = BankStatement.lines_done < BankStatement.lines_total
    query = select(BankStatement).where(waits, BankStatement.stopped_at.is_(None))
    return session.scalar(query.order_by(BankStatement.id).limit(1))


def stop_statement(session: Session, actor: Actor, statement: BankStatement) -> BankStatement:
    """Take in no more of a statement; what is taken in stays. Stopping twice changes nothing.

    Raises Conflict when all of it is taken in.
    """
    actor.require(Permission.MATCH_BANK_LINES)
    session.refresh(statement, with_for_update=True)
    if statement.lines_done >= statement.lines_total:
        raise Conflict("statement_done", N_("这份对账单已全部入账，没有什么可以停下的"))
    if statement.stopped_at is None:
        statement.stopped_at = now()
        session.flush()
        _tell(session, actor, "payments.stop_statement", statement, lines=statement.lines_done)
    return statement


def resume_statement(session: Session, actor: Actor, statement: BankStatement) -> BankStatement:
    """Go on with a statement that was stopped, where it stopped; one that was not goes on anyway."""
    actor.require(Permission.MATCH_BANK_LINES)
    session.refresh(statement, with_for_update=True)
    if statement.stopped_at is not None:
        statement.stopped_at, statement.trouble = None, None
        session.flush()
        wake_after_commit(session, TAKE_STATEMENTS)
        _tell(session, actor, "payments.resume_statement", statement, lines=statement.lines_done)
    return statement


def _tell(
    session: Session, actor: Actor, action: str, statement: BankStatement, **detail: int | None
) -> None:
    record_trail(session, actor, action, subject=("bank_statement", statement.public_no), **detail)


def _take_rows(session: Session, statement: BankStatement, rows: Sequence[StatementRow]) -> None:
    """Take in these rows, all or none. Raises Conflict as `_unseen`."""
    fresh = _unseen(session, rows)
    codes = {row.serial_no: find_codes(row.remark) for row in fresh}
    book = claims_by_code(session, {code for found in codes.values() for code in found})
    statement.lines_matched += sum(
        _take_line(session, statement, row, codes[row.serial_no], book) for row in fresh
    )
    statement.lines_done += len(rows)
    session.flush()
    match_payouts(session)


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


def _take_line(
    session: Session, statement: BankStatement, row: StatementRow, codes: Sequence[str], book: CodeBook
) -> bool:
    """Keep one line; returns whether it paid something."""
    named = book.named_by(codes)
    claimed = bool(named.bills or named.interests)
    deposit = None if claimed else deposit_named(session, codes)
    batch = None if claimed or deposit else batch_named(session, codes)
    if deposit is not None:
        fit = Fit(Claims(), why_not(deposit, row.amount_fen), deposit.amount_fen)
    elif batch is not None:
        fit = Fit(Claims(), why_batch_not(batch, row.amount_fen), batch.total_fen)
    else:
        fit = fit_line(session, amount_fen=row.amount_fen, booked_on=row.booked_on, codes=codes, named=named)
    line = BankLine(
        statement_id=statement.id,
        row=row.row,
        serial_no=row.serial_no,
        booked_on=row.booked_on,
        amount_fen=row.amount_fen,
        payer_name=row.payer,
        remark=row.remark,
        expected_fen=fit.expected_fen if fit.reason in DIFFERS else None,
        state=BankLineState.QUEUED if fit.reason else BankLineState.MATCHED,
        reason=fit.reason,
        payment_id=named.bills[0].id if len(named.bills) == 1 else None,
    )
    session.add(line)
    if fit.reason is None and deposit is not None:
        session.flush()
        take_deposit(session, deposit, paid_at=_booked_at(row.booked_on), line=line)
    elif fit.reason is None and batch is not None:
        session.flush()
        take_batch(session, batch, paid_at=_booked_at(row.booked_on), line=line)
    elif fit.reason is None:
        _pay(session, line, fit.claims)
    return fit.reason is None


def _pay(session: Session, line: BankLine, claims: Claims) -> None:
    """Let a line pay claims of exactly its sum. Raises Conflict when one is closed, or when interest is not what it was
    when the claims were put together."""
    session.flush()
    paid_at = _booked_at(line.booked_on)
    paid: list[dict[str, int]] = []
    interests = list(claims.interests)
    for bill in claims.bills:
        apply_payment(session, bill, paid_at=paid_at)
        paid.append({"payment_id": bill.id, "amount_fen": bill.amount_fen})
        interest = interest_of(session, bill.id) if claims.accrued_fen else None
        if interest is not None:
            interests.append(interest)
    for interest in interests:
        pay_interest(session, interest, paid_at=paid_at)
        paid.append({"interest_id": interest.id, "amount_fen": interest.amount_fen})
    if sum(share["amount_fen"] for share in paid) != line.amount_fen:
        raise Conflict("claims_changed", N_("应付金额刚刚有变化，请刷新后重新核对这笔到账"))
    session.add_all(BankLineMatch(line_id=line.id, **share) for share in paid)
    session.flush()


def _booked_at(day: date) -> datetime:
    """A bank books by the day: noon of that day in China, but never later than now."""
    return min(datetime.combine(day, time(12), SHANGHAI).astimezone(UTC), now())


def resolve_bank_line(
    session: Session,
    actor: Actor,
    line: BankLine,
    *,
    payment: Payment | None = None,
    claims: Claims | None = None,
    note: str,
) -> BankLine:
    """A person settles a queued line: as the payment of an open transfer or of several claims of the same amount, or
    with a note alone.

    Raises NotFound when the line is not queued or the payment no transfer, Refused without a note or when the amounts
    differ, Conflict when something chosen is paid already.
    """
    hold_queued(session, actor, line)
    reason = require_note(note)
    chosen = claims or Claims(bills=(payment,) if payment else ())
    if chosen.bills or chosen.interests:
        if any(bill.method is not PaymentMethod.BANK_TRANSFER for bill in chosen.bills):
            raise NotFound
        if chosen.total_fen != line.amount_fen:
            raise Refused("amounts_differ", N_("这笔收款与所选应付款金额不同，不能匹配"), field="payment")
        _pay(session, line, chosen)
    line.payment_id = chosen.bills[0].id if len(chosen.bills) == 1 else None
    close_line(session, actor, line, note=reason)
    return line
