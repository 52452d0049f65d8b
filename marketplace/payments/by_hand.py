"""What the cashier does by hand, the same for bills, deposits, vouchers and refunds: say what a queued bank line is,
and that money was transferred back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.models import BankLine, BankLineState

MAX_SERIAL = 60
MAX_NOTE = 300
MOST_LINES = 20


class GoneBack(Protocol):
    """A row of money that was transferred back under the bank's serial number."""

    serial_no: str | None
    returned_by: int | None
    returned_at: datetime | None


def lines_of_amount(session: Session, amount_fen: int) -> list[BankLine]:
    """Bank lines that wait for a person and have exactly this amount, the oldest first, at most twenty."""
    query = (
        select(BankLine)
        .where(BankLine.state == BankLineState.QUEUED, BankLine.amount_fen == amount_fen)
        .order_by(BankLine.id)
        .limit(MOST_LINES)
    )
    return list(session.scalars(query))


def require_note(note: str) -> str:
    """Why the cashier decides so, trimmed. Raises Refused when there is nothing."""
    text = note.strip()
    if not text:
        raise Refused("note_missing", N_("请写明处理依据，例如与付款单位核对的结果"), field="note")
    return text[:MAX_NOTE]


def hold_queued(session: Session, actor: Actor, line: BankLine) -> None:
    """Read a queued line anew, held. Raises Forbidden for who may not, NotFound when it does not wait any more."""
    actor.require(Permission.MATCH_BANK_LINES)
    session.refresh(line, with_for_update={"of": BankLine})
    if line.state is not BankLineState.QUEUED:
        raise NotFound


def close_line(session: Session, actor: Actor, line: BankLine, *, note: str) -> None:
    """A queued line is settled by a person, with the reason."""
    line.state, line.resolution = BankLineState.RESOLVED, note
    line.resolved_by, line.resolved_at = actor.user_id, now()
    session.flush()
    record_trail(session, actor, "payments.resolve_line", subject=("bank_line", line.public_no))


def settle_line_as(session: Session, actor: Actor, line: BankLine, *, amount_fen: int, note: str) -> None:
    """A queued line is the money of exactly one thing that costs `amount_fen`; what it is, the caller posts.

    Raises NotFound when the line does not wait, Refused without a reason or when the amounts differ.
    """
    hold_queued(session, actor, line)
    reason = require_note(note)
    if line.amount_fen != amount_fen:
        raise Refused("amounts_differ", N_("这笔收款与应付金额不同，不能匹配"), field="line")
    close_line(session, actor, line, note=reason)


def require_serial(actor: Actor, serial_no: str) -> str:
    """The bank's serial number of a transfer that the cashier made, trimmed. Raises Refused without one."""
    actor.require(Permission.MATCH_BANK_LINES)
    serial = serial_no.strip()
    if not serial or len(serial) > MAX_SERIAL:
        raise Refused("serial_missing", N_("请填写银行转账的流水号，最多 60 个字符"), field="serial_no")
    return serial


def keep_returned(session: Session, actor: Actor, row: GoneBack, *, serial: str, **changes: Any) -> None:
    """Keep that money went back under a serial number, with `changes` of the same row. For who holds the row and has
    seen that it did not go back before. Raises Conflict when the number stands for another transfer of its kind."""
    try:
        with session.begin_nested():
            for name, value in {**changes, "serial_no": serial, "returned_by": actor.user_id}.items():
                setattr(row, name, value)
            row.returned_at = now()
            session.flush()
    except IntegrityError as taken:
        raise serial_taken(serial) from taken


def serial_taken(serial: str) -> Conflict:
    """The refusal of a serial number that stands for another transfer."""
    message = N_("流水号 %(serial)s 已登记在另一笔退款上，请核对")
    return Conflict("serial_taken", message, field="serial_no", serial=serial)
