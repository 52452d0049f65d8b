"""The checks of payouts name what a tampered or half-written history would show."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.files import FileStore
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.payments.payouts.models import Payout, PayoutState
from marketplace.payments.payouts.verify import CHECKS
from tests.payments.payout_world import PayoutWorld, row, world


def found(session: Session) -> list[str]:
    return [result.check.name for result in run_checks(session, CHECKS) for _finding in result.findings]


def post(made: PayoutWorld, kind: EntryKind, debit: AccountKey, credit: AccountKey, subject_id: int) -> None:
    post_entry(
        made.session,
        EntryDraft(
            kind=kind,
            idempotency_key=f"by-hand:{kind}:{subject_id}",
            occurred_at=now(),
            transfers=(TransferDraft(debit, credit, 5_000),),
            subject=("payout", subject_id),
            cooperative_id=made.cooperative.id,
        ),
    )


def test_an_honest_history_has_no_findings(session: Session, files: FileStore) -> None:
    made = world(session)
    batch = made.sent(files)
    first, second, _third = made.payouts(batch)
    made.answer(files, batch, row(first), row(second, "失败", "账号不存在"))
    assert found(session) == []


def test_a_changed_amount_is_found(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    (payout,) = made.payouts(made.sent(files))
    session.execute(update(Payout).where(Payout.id == payout.id).values(amount_fen=4_999))
    assert found(session) == ["payouts_are_posted", "payouts_under_way"]


def test_a_payout_posted_twice_is_found(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    (payout,) = made.payouts(batch)
    made.answer(files, batch, row(payout))
    clearing = AccountKey.payout_clearing(made.cooperative.id)
    payable = AccountKey.household_payable(made.cooperative.id, made.households[0].id)
    post(made, EntryKind.PAYOUT_SENT, payable, clearing, payout.id)
    assert found(session) == ["payouts_are_posted", "paid_within_credits", "payouts_under_way"]


def test_an_answer_without_its_posting_is_found(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    (payout,) = made.payouts(made.sent(files))
    values = {"state": PayoutState.PAID, "answered_at": now(), "answer_entry_id": payout.sent_entry_id}
    session.execute(update(Payout).where(Payout.id == payout.id).values(values))
    assert found(session) == ["payouts_are_posted", "payouts_under_way"]
