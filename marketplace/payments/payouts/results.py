"""What the bank answers: a result file, looked at first, then taken in one transaction.

A row that cannot be right (another batch's, an amount off by a fen, a reference twice, an answer that contradicts an
earlier one) is a finding for a person; the good rows are taken all at once. The same file is the same result, and
another file with the same answers changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.payments.payouts.models import (
    BatchState,
    FailKind,
    Payout,
    PayoutBatch,
    PayoutResult,
    PayoutState,
    SheetState,
)
from marketplace.payments.payouts.queries import UNDER_WAY, is_in_scope
from marketplace.payments.payouts.rules import hold_batch
from marketplace.payments.payouts.sheets import KEPT_FINDINGS, SheetFinding, SheetRow, read_sheet

COLUMNS = {
    "reference": ("发放编号", "业务编号", "参考号", "reference"),
    "amount": ("金额", "发放金额", "交易金额", "amount"),
    "result": ("结果", "处理结果", "状态", "result"),
    "reason": ("原因", "失败原因", "备注", "reason"),
}
OPTIONAL = frozenset({"reason"})
LOOKUP_CHUNK = 5_000
MAX_REASON = 100
BANK_WORDS = ("系统", "网络", "超时", "头寸", "限额", "清算", "行内")
ACCOUNT_WORDS = ("账号", "账户", "户名", "卡", "销户", "冻结", "挂失", "止付", "睡眠")
_LONG_NUMBER = re.compile(r"\d{6,}")


class Answer(StrEnum):
    """What the bank says of one payout."""

    PAID = "paid"
    FAILED = "failed"
    UNKNOWN = "unknown"


WORDS = {
    Answer.PAID: ("成功", "已到账", "已入账", "交易成功", "发放成功", "paid", "success"),
    Answer.FAILED: ("失败", "退票", "退回", "交易失败", "发放失败", "failed", "fail"),
    Answer.UNKNOWN: ("处理中", "未知", "结果不明", "待查", "unknown", "pending"),
}
_ANSWER_OF = {word: answer for answer, words in WORDS.items() for word in words}
STATE_OF = {
    Answer.PAID: PayoutState.PAID,
    Answer.FAILED: PayoutState.FAILED,
    Answer.UNKNOWN: PayoutState.UNKNOWN,
}


@dataclass(frozen=True)
class AnswerRow:
    """A row that can be taken."""

    row: int
    payout: Payout
    answer: Answer
    reason: str


@dataclass
class Examined:
    """What a result file says against what the batch holds now."""

    rows_total: int
    news: list[AnswerRow] = field(default_factory=list)
    unchanged: int = 0
    findings: list[SheetFinding] = field(default_factory=list)

    def count(self, answer: Answer) -> int:
        """How many rows bring this answer."""
        return sum(one.answer is answer for one in self.news)

    @property
    def rows_bad(self) -> int:
        """How many rows have findings."""
        return len({finding.row for finding in self.findings})


def import_result(
    session: Session, actor: Actor, files: FileStore, batch: PayoutBatch, *, content: bytes, file_name: str
) -> PayoutResult:
    """Keep a result file of a batch to be looked at. The same file is the same result.

    Raises NotFound outside the actor's scope, Conflict before the batch was sent, Refused when it cannot be read.
    """
    actor.require(Permission.PREPARE_PAYOUTS)
    if not is_in_scope(actor, batch):
        raise NotFound
    hold_batch(session, batch)
    if batch.state not in (BatchState.SENT, BatchState.FINISHED):
        raise Conflict("batch_not_sent", N_("这一批还没有送银行，不能导入结果"), field="file")
    digest = hashlib.sha256(content).hexdigest()
    first = session.scalar(
        select(PayoutResult).where(PayoutResult.batch_id == batch.id, PayoutResult.content_hash == digest)
    )
    if first is not None:
        return first
    rows = read_sheet(content, COLUMNS, optional=OPTIONAL)
    file = keep_file(
        session, actor, files, content=content, name=file_name, media_type="text/csv", sealed=True
    )
    result = PayoutResult(
        batch_id=batch.id,
        content_hash=digest,
        file_id=file.id,
        file_name=file.name,
        rows_total=len(rows),
        imported_by=actor.user_id,
    )
    session.add(result)
    session.flush()
    return result


def examine_result(session: Session, files: FileStore, result: PayoutResult) -> Examined:
    """Compare a result file with its batch as it stands now. Changes nothing."""
    rows = read_sheet(files.read(result.file.address, sealed=True), COLUMNS, optional=OPTIONAL)
    found = Examined(len(rows))
    references = [_reference(row) for row in rows]
    payouts = _payouts_by_no(session, (one for one in references if one))
    seen = Counter(one for one in references if one)
    for row, reference in zip(rows, references, strict=True):
        column = COLUMNS["reference"][0]
        try:
            payout = _payout_of(result, reference, payouts, seen)
            column = COLUMNS["amount"][0]
            _require_amount(row, payout)
            column = COLUMNS["result"][0]
            answer = _answer(row, payout)
            reason = _reason(row) if answer is Answer.FAILED else ""
        except Refused as refusal:
            found.findings.append(SheetFinding.from_refusal(row.row, column, refusal))
            continue
        if answer is None:
            found.unchanged += 1
        else:
            found.news.append(AnswerRow(row.row, payout, answer, reason))
    return found


def _reference(row: SheetRow) -> str:
    try:
        return row.text("reference").upper().replace(" ", "")
    except Refused:
        return ""


def _payouts_by_no(session: Session, references: Iterable[str]) -> dict[str, Payout]:
    wanted = sorted(set(references))
    found: dict[str, Payout] = {}
    for start in range(0, len(wanted), LOOKUP_CHUNK):
        query = select(Payout).where(Payout.public_no.in_(wanted[start : start + LOOKUP_CHUNK]))
        found |= {payout.public_no: payout for payout in session.scalars(query)}
    return found


def _payout_of(
    result: PayoutResult, reference: str, payouts: dict[str, Payout], seen: Counter[str]
) -> Payout:
    payout = payouts.get(reference)
    if payout is None:
        raise Refused("unknown_reference", N_("没有这个发放编号，请核对是不是别的文件"))
    if payout.batch_id != result.batch_id:
        raise Refused("other_batch", N_("这笔属于另一批发放，请到那一批去导入"))
    if seen[reference] > 1:
        raise Refused("reference_repeated", N_("同一个发放编号在文件里出现了几次，请向银行核实是哪一个结果"))
    if payout.state is PayoutState.CANCELLED:
        raise Refused("payout_cancelled", N_("这笔没有送银行，不应有结果，请向银行核实"))
    return payout


def _require_amount(row: SheetRow, payout: Payout) -> None:
    try:
        amount_fen = parse_yuan(row.text("amount"))
    except ValueError:
        raise Refused("result_amount_form", N_("金额看不懂，应为元，最多两位小数")) from None
    if amount_fen != payout.amount_fen:
        raise Refused("result_amount", N_("金额与发放的不一致，一分也不能差，请向银行核实"))


def _answer(row: SheetRow, payout: Payout) -> Answer | None:
    """What the row says of the payout; None when that is known already. Raises Refused for a contradiction."""
    answer = _ANSWER_OF.get(row.text("result").strip().lower())
    if answer is None:
        raise Refused("result_word", N_("结果只能写：成功、失败或处理中"))
    if payout.state is STATE_OF[answer]:
        return None
    if payout.state in UNDER_WAY:
        return answer
    if payout.state is PayoutState.PAID and answer is Answer.FAILED:
        raise Refused(
            "paid_then_failed", N_("这笔先前已确认到账，现在又报失败，可能是退汇，请与银行核实后处理")
        )
    if payout.state is PayoutState.FAILED and answer is Answer.PAID:
        raise Refused(
            "failed_then_paid", N_("这笔先前已报失败并退回余额，现在又报成功，请与银行核实，防止重复发放")
        )
    raise Refused("answered_before", N_("这笔先前已有结果，现在又报处理中，以先前的结果为准"))


def _reason(row: SheetRow) -> str:
    words = " ".join(_LONG_NUMBER.sub("…", row.text("reason")).split())[:MAX_REASON]
    return words or N_("银行未说明原因")


def fail_kind_of(reason: str) -> FailKind:
    """Whose fault a failure is, by the bank's words: the account's unless only the bank is spoken of.

    When in doubt a person looks at the account before money is sent again.
    """
    of_bank = any(word in reason for word in BANK_WORDS)
    of_account = any(word in reason for word in ACCOUNT_WORDS)
    return FailKind.BANK if of_bank and not of_account else FailKind.ACCOUNT


def take_result(session: Session, actor: Actor, files: FileStore, result: PayoutResult) -> PayoutResult:
    """Take the good rows of a result file, all in one; taken a second time it changes nothing.

    Raises NotFound outside the actor's scope, Refused when no row can be taken.
    """
    actor.require(Permission.PREPARE_PAYOUTS)
    batch = session.get_one(PayoutBatch, result.batch_id)
    if not is_in_scope(actor, batch):
        raise NotFound
    hold_batch(session, batch)
    session.refresh(result)
    if result.state is SheetState.TAKEN:
        return result
    session.expire_all()  # what was read before the batch was held may be old
    found = examine_result(session, files, result)
    if not (found.news or found.unchanged):
        raise Refused("nothing_to_take", N_("没有一行可以入账，请按下面的说明核对文件"))
    at = now()
    _apply(session, actor, found.news, at)
    result.state, result.taken_by, result.taken_at = SheetState.TAKEN, actor.user_id, at
    result.rows_paid = found.count(Answer.PAID)
    result.rows_failed = found.count(Answer.FAILED)
    result.rows_unknown = found.count(Answer.UNKNOWN)
    result.rows_unchanged, result.rows_bad = found.unchanged, found.rows_bad
    result.findings = [finding.as_json() for finding in found.findings[:KEPT_FINDINGS]]
    session.flush()
    _finish(session, batch, at)
    record_trail(
        session,
        actor,
        "payments.take_payout_result",
        subject=("payout_batch", batch.public_no),
        cooperative_id=batch.cooperative_id,
        county_code=batch.county_code,
        paid=result.rows_paid,
        failed=result.rows_failed,
        unknown=result.rows_unknown,
        bad=result.rows_bad,
    )
    return result


def _apply(session: Session, actor: Actor, news: Sequence[AnswerRow], at: datetime) -> None:
    final = [one for one in news if one.answer is not Answer.UNKNOWN]
    entries = post_entries(session, [_answered(one, actor, at) for one in final])
    for one, entry in zip(final, entries, strict=True):
        one.payout.state = STATE_OF[one.answer]
        one.payout.answer_entry_id, one.payout.answered_at = entry.id, at
        if one.answer is Answer.FAILED:
            one.payout.fail_kind, one.payout.fail_reason = fail_kind_of(one.reason), one.reason
    for one in news:
        if one.answer is Answer.UNKNOWN:
            one.payout.state = PayoutState.UNKNOWN
    session.flush()


def _answered(one: AnswerRow, actor: Actor, at: datetime) -> EntryDraft:
    payout, clearing = one.payout, AccountKey.payout_clearing(one.payout.cooperative_id)
    is_paid = one.answer is Answer.PAID
    other = (
        AccountKey.bank()
        if is_paid
        else AccountKey.household_payable(payout.cooperative_id, payout.household_id)
    )
    return EntryDraft(
        kind=EntryKind.PAYOUT_CONFIRMED if is_paid else EntryKind.PAYOUT_FAILED,
        idempotency_key=f"payout:{payout.public_no}:{'confirmed' if is_paid else 'failed'}",
        occurred_at=at,
        transfers=(TransferDraft(clearing, other, payout.amount_fen),),
        subject=("payout", payout.id),
        cooperative_id=payout.cooperative_id,
        actor_user_id=actor.user_id,
        reverses=None if is_paid else payout.sent_entry_id,
        reason=one.reason,
    )


def _finish(session: Session, batch: PayoutBatch, at: datetime) -> None:
    """A batch is finished once the bank has answered for each payout."""
    waiting = select(Payout.id).where(Payout.batch_id == batch.id, Payout.state.in_(UNDER_WAY)).limit(1)
    if batch.state is BatchState.SENT and session.scalar(waiting) is None:
        batch.state, batch.finished_at = BatchState.FINISHED, at
        session.flush()
