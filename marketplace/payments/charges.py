"""Collecting charges: household payable -> cooperative payable, taken only from money of the same agreement.

Never more than the agreement has brought the household, less what was collected under it before, and never more than
the household's present balance with the cooperative: no other income of the household repays an advance, and what was
paid out stays paid. What that does not cover stays outstanding until more money of the agreement arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session, aliased

from marketplace.core.clock import now
from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKey, AccountKind
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ledger.queries import balances, held_balances
from marketplace.linkage.mechanisms.contract_farming.models import Advance
from marketplace.linkage.models import Charge, ChargeKind
from marketplace.payments.charge_models import ChargeCollection
from marketplace.payments.charge_queries import (
    OpenCharge,
    agreements_with_open_charges,
    collected_by_agreement,
    money_of_agreements,
    open_charges,
)

RULE_VERSION = 1
AGREEMENTS_A_READ = 200


@dataclass(frozen=True)
class Collecting:
    """So much of a charge is collected now; `money_fen` is the money of its agreement."""

    charge: OpenCharge
    amount_fen: int
    money_fen: int


def collect_charges(session: Session, *, limit: int = 500) -> int:
    """Collect what is outstanding and covered, of up to `limit` charges; returns how many. Repeating is harmless.

    What may be collected is found first, then the households' accounts are held and it is computed anew, so that
    neither a payout nor another worker takes the same fen.
    """
    found: list[Collecting] = []
    after = 0
    while len(found) < limit:
        agreement_ids = agreements_with_open_charges(session, after=after, limit=AGREEMENTS_A_READ)
        if not agreement_ids:
            break
        after = agreement_ids[-1]
        found += _collectable(session, agreement_ids)
    if not found:
        return 0
    held_balances(session, {one.charge.account for one in found[:limit]})
    return _keep(session, _collectable(session, sorted({one.charge.agreement_id for one in found[:limit]})))


def _collectable(session: Session, agreement_ids: Sequence[int]) -> list[Collecting]:
    """What of the agreements' charges is covered, the oldest charge first."""
    charges = open_charges(session, agreement_ids)
    left = balances(session, {charge.account for charge in charges})
    charges = [charge for charge in charges if left[charge.account] > 0]
    covered = sorted({charge.agreement_id for charge in charges})
    if not covered:
        return []
    money, got = money_of_agreements(session, covered), collected_by_agreement(session, covered)
    free = {one: money[one] - got.get(one, 0) for one in covered}
    found = []
    for charge in charges:
        amount_fen = min(charge.outstanding_fen, free[charge.agreement_id], left[charge.account])
        if amount_fen > 0:
            free[charge.agreement_id] -= amount_fen
            left[charge.account] -= amount_fen
            found.append(Collecting(charge, amount_fen, money[charge.agreement_id]))
    return found


def _keep(session: Session, found: Sequence[Collecting]) -> int:
    if not found:
        return 0
    at = now()
    entries = post_entries(session, [_draft(one) for one in found])
    rows = [
        {
            "charge_id": one.charge.charge_id,
            "charge_fen": one.charge.amount_fen,
            "position": one.charge.position + 1,
            "previous_position": one.charge.position or None,
            "collected_before_fen": one.charge.collected_fen,
            "amount_fen": one.amount_fen,
            "collected_after_fen": one.charge.collected_fen + one.amount_fen,
            "money_fen": one.money_fen,
            "entry_id": entry.id,
            "rule_version": RULE_VERSION,
            "collected_at": at,
        }
        for one, entry in zip(found, entries, strict=True)
    ]
    session.execute(insert(ChargeCollection), rows)
    return len(rows)


def _draft(one: Collecting) -> EntryDraft:
    charge = one.charge
    upto = charge.collected_fen + one.amount_fen
    return EntryDraft(
        kind=EntryKind.CHARGE_COLLECTED,
        idempotency_key=f"collect:charge:{charge.charge_id}:{upto}",
        occurred_at=now(),
        transfers=(
            TransferDraft(
                charge.account, AccountKey.cooperative_payable(charge.cooperative_id), one.amount_fen
            ),
        ),
        cooperative_id=charge.cooperative_id,
        subject=("charge", charge.charge_id),
    )


# --- checks of the stored rows ---


def _collected_within_charge(session: Session) -> Answer:
    sums = (
        select(ChargeCollection.charge_id, func.sum(ChargeCollection.amount_fen).label("collected_fen"))
        .group_by(ChargeCollection.charge_id)
        .subquery()
    )
    query = (
        select(Charge.public_no.label("charge"), Charge.amount_fen, sums.c.collected_fen)
        .join(sums, sums.c.charge_id == Charge.id)
        .where(sums.c.collected_fen > Charge.amount_fen)
        .order_by(Charge.id)
    )
    message = N_("应扣款 %(charge)s 是 %(amount_fen)s 分，却扣了 %(collected_fen)s 分")
    return count_of(session, Charge), rows_found(session, "collected_within_charge", message, query)


def _collections_are_posted(session: Session) -> Answer:
    """Each collection is one entry that takes exactly its amount from the household of its charge."""
    payable = aliased(Account)
    posted = (
        select(
            Transfer.entry_id,
            payable.household_id,
            payable.cooperative_id,
            func.sum(Transfer.amount_fen).label("posted_fen"),
        )
        .join(payable, payable.id == Transfer.debit_account_id)
        .join(Entry, Entry.id == Transfer.entry_id)
        .where(payable.kind == AccountKind.HOUSEHOLD_PAYABLE, Entry.kind == EntryKind.CHARGE_COLLECTED)
        .group_by(Transfer.entry_id, payable.household_id, payable.cooperative_id)
        .subquery()
    )
    query = (
        select(Charge.public_no.label("charge"), ChargeCollection.amount_fen, posted.c.posted_fen)
        .join(Charge, Charge.id == ChargeCollection.charge_id)
        .outerjoin(posted, posted.c.entry_id == ChargeCollection.entry_id)
        .where(
            or_(
                posted.c.posted_fen.is_(None),
                posted.c.posted_fen != ChargeCollection.amount_fen,
                posted.c.household_id != Charge.household_id,
                posted.c.cooperative_id != Charge.cooperative_id,
            )
        )
        .order_by(ChargeCollection.id)
    )
    message = N_("应扣款 %(charge)s 扣了 %(amount_fen)s 分，台账记的是 %(posted_fen)s 分，或户不符")
    return count_of(session, ChargeCollection), rows_found(session, "collections_are_posted", message, query)


def _entries_have_collections(session: Session) -> Answer:
    query = (
        select(Entry.public_no.label("entry"))
        .outerjoin(ChargeCollection, ChargeCollection.entry_id == Entry.id)
        .where(Entry.kind == EntryKind.CHARGE_COLLECTED, ChargeCollection.id.is_(None))
        .order_by(Entry.id)
    )
    found = rows_found(session, "entries_have_collections", N_("分录 %(entry)s 没有对应的扣款记录"), query)
    return count_of(session, Entry, Entry.kind == EntryKind.CHARGE_COLLECTED), found


def _repaid_within_advances(session: Session) -> Answer:
    given = (
        select(Advance.agreement_id, func.sum(Advance.amount_fen).label("given_fen"))
        .group_by(Advance.agreement_id)
        .subquery()
    )
    repaid_fen, given_fen = func.sum(Charge.amount_fen), func.coalesce(func.max(given.c.given_fen), 0)
    query = (
        select(
            func.min(Charge.public_no).label("charge"),
            repaid_fen.label("repaid_fen"),
            given_fen.label("given_fen"),
        )
        .outerjoin(given, given.c.agreement_id == Charge.agreement_id)
        .where(Charge.kind == ChargeKind.ADVANCE_REPAID)
        .group_by(Charge.agreement_id)
        .having(repaid_fen > given_fen)
        .order_by(Charge.agreement_id)
    )
    message = N_("应扣款 %(charge)s 所在协议预付 %(given_fen)s 分，却要归还 %(repaid_fen)s 分")
    return count_of(session, Advance), rows_found(session, "repaid_within_advances", message, query)


CHECKS: tuple[Check, ...] = (
    Check("collected_within_charge", N_("每笔应扣款的扣款之和不超过应扣金额"), _collected_within_charge),
    Check("collections_are_posted", N_("每笔扣款按原额从该户记账一次"), _collections_are_posted),
    Check("entries_have_collections", N_("每条扣款分录都有扣款记录"), _entries_have_collections),
    Check("repaid_within_advances", N_("每份协议归还的预付款不超过预付总额"), _repaid_within_advances),
)
