"""Whether every entry is still what was written: its body computed again from the stored rows, and its hash.

Names whatever was changed behind the triggers' back: an amount, an account's key, a time, a reason, a missing transfer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import String, select, type_coerce
from sqlalchemy.orm import Session, aliased

from marketplace.core.labels import N_
from marketplace.ledger.bodies import canonical_body, hash_of
from marketplace.ledger.checks import CHUNK, MAX_FINDINGS, Answer, Finding
from marketplace.ledger.models import Account, Entry, Transfer


def examine_bodies(session: Session) -> Answer:
    """Compute the body of every entry again from the stored rows, and compare it and its hash."""
    examined, last = 0, 0
    findings: list[Finding] = []
    while ids := session.scalars(
        select(Entry.id).where(Entry.id > last).order_by(Entry.id).limit(CHUNK)
    ).all():
        findings += _changed_bodies(session, ids)[: MAX_FINDINGS - len(findings)]
        examined, last = examined + len(ids), ids[-1]
    return examined, findings


def _changed_bodies(session: Session, ids: Sequence[int]) -> list[Finding]:
    try:
        return [finding for row in _stored(session, ids) if (finding := _changed(*row))]
    except (ValueError, TypeError, LookupError):  # SQLite lets any text stand in any column
        if len(ids) == 1:
            return [Finding("bodies", N_("分录序号 %(id)s 的内容已损坏，无法读取"), {"id": ids[0]})]
        return [finding for one in ids for finding in _changed_bodies(session, [one])]


def _stored(session: Session, ids: Sequence[int]) -> Iterator[tuple[Any, list[tuple[str, str, int]]]]:
    debit, credit = aliased(Account), aliased(Account)
    transfers: dict[int, list[tuple[str, str, int]]] = {number: [] for number in ids}
    query = (
        select(Transfer.entry_id, debit.key, credit.key, Transfer.amount_fen)
        .outerjoin(debit, debit.id == Transfer.debit_account_id)
        .outerjoin(credit, credit.id == Transfer.credit_account_id)
        .where(Transfer.entry_id.in_(ids))
        .order_by(Transfer.entry_id, Transfer.position)
    )
    for entry_id, debit_key, credit_key, amount_fen in session.execute(query):
        transfers[entry_id].append((debit_key, credit_key, amount_fen))
    columns = [column for column in Entry.__table__.columns if column.name != "kind"]
    kind = type_coerce(Entry.kind, String).label(
        "kind"
    )  # a code that is no kind any more must not stop the check
    for row in session.execute(select(*columns, kind).where(Entry.id.in_(ids)).order_by(Entry.id)):
        yield row, transfers[row.id]


def _changed(entry: Any, transfers: list[tuple[str, str, int]]) -> Finding | None:
    body = canonical_body(
        public_no=entry.public_no,
        kind=entry.kind,
        idempotency_key=entry.idempotency_key,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        cooperative_id=entry.cooperative_id,
        subject=(entry.subject_kind, entry.subject_id),
        actor_user_id=entry.actor_user_id,
        reverses=entry.reverses_entry_id,
        reason=entry.reason,
        transfers=transfers,
    )
    if body == entry.body and hash_of(entry.salt, body) == entry.body_hash:
        return None
    message = N_("分录 %(entry)s（序号 %(id)s）与记账时的内容不一致：%(parts)s")
    parts = ", ".join(_differences(entry.body, body)) or "hash"
    return Finding("bodies", message, {"entry": entry.public_no, "id": entry.id, "parts": parts})


def _differences(written: str, found: str) -> list[str]:
    try:
        then, there = json.loads(written), json.loads(found)
        return sorted(name for name in there.keys() | then.keys() if then.get(name) != there.get(name))
    except (ValueError, AttributeError):
        return ["body"]
