"""The guarantee that stands for a household in a scope, and how its changes are written.

For the two sides that change it: shortfalls.py posts what is missing, reductions.py replaces it by credits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Subquery, case, cast, func, insert, select
from sqlalchemy.orm import Session

from marketplace.core.asking import Found, Given, Question, ask, one_of
from marketplace.ledger.posting import EntryDraft, post_entries
from marketplace.linkage.queries import Scope
from marketplace.payments.closing.models import Direction, GuaranteePosting

RULE_VERSION = 1
Held = tuple[str, int]  # scope key, household id
CHANGE_FEN = case(
    (GuaranteePosting.direction == Direction.POSTED, GuaranteePosting.amount_fen),
    else_=-GuaranteePosting.amount_fen,
)
STANDING = Question(
    select(
        GuaranteePosting.scope_key,
        GuaranteePosting.household_id,
        func.sum(CHANGE_FEN),
        func.max(GuaranteePosting.position),
    )
    .where(one_of(GuaranteePosting.scope_key, "scopes"))
    .group_by(GuaranteePosting.scope_key, GuaranteePosting.household_id)
    .having(func.sum(CHANGE_FEN) > 0)
)


@dataclass(frozen=True)
class Standing:
    """The guarantee that stands for a household in a scope, in fen, and the position of its last change."""

    fen: int = 0
    position: int = 0


def scope_key(scope: Scope) -> str:
    """A scope in one word, e.g. "contract_farming:lot:12"."""
    mechanism, lot_id, period_id = scope
    return (
        f"{mechanism.value}:lot:{lot_id}" if lot_id is not None else f"{mechanism.value}:period:{period_id}"
    )


def standing_guarantees() -> Subquery:
    """The guarantee standing for each household in each scope: mechanism, lot_id, period_id, household_id,
    standing_fen and position, that of its last change."""
    posting = GuaranteePosting
    group = (posting.mechanism, posting.lot_id, posting.period_id, posting.household_id)
    sums = (
        cast(func.sum(CHANGE_FEN), BigInteger).label("standing_fen"),
        func.max(posting.position).label("position"),
    )
    return select(*group, *sums).group_by(*group).subquery()


def standing_in(session: Session, scopes: Collection[Scope]) -> dict[Held, Standing]:
    """The guarantees above zero that stand in `scopes`, in one statement."""
    session.flush()
    (rows,) = ask(session, asking_standing(scopes))
    return standing_of(rows)


def asking_standing(scopes: Collection[Scope]) -> tuple[Question, Given]:
    """The question whose rows `standing_of` reads."""
    return STANDING, {"scopes": sorted({scope_key(scope) for scope in scopes})}


def standing_of(rows: Found) -> dict[Held, Standing]:
    """What the rows of `asking_standing` say."""
    return {(key, household_id): Standing(int(fen), position) for key, household_id, fen, position in rows}


def posting_row(
    scope: Scope, household_id: int, cooperative_id: int, before: Standing, after: Standing, at: datetime
) -> dict[str, Any]:
    """What every posting holds, of a change from `before` to `after`."""
    mechanism, lot_id, period_id = scope
    return {
        "scope_key": scope_key(scope),
        "mechanism": mechanism,
        "lot_id": lot_id,
        "period_id": period_id,
        "household_id": household_id,
        "cooperative_id": cooperative_id,
        "position": after.position,
        "previous_position": before.position or None,
        "standing_before_fen": before.fen,
        "standing_after_fen": after.fen,
        "rule_version": RULE_VERSION,
        "posted_at": at,
    }


def keep_postings(session: Session, drafts: Sequence[EntryDraft], rows: Sequence[dict[str, Any]]) -> None:
    """Post `drafts` and write the postings, whose `entry` is the idempotency key of theirs."""
    if not drafts:
        return
    posted = post_entries(session, drafts)
    ids = {draft.idempotency_key: entry.id for draft, entry in zip(drafts, posted, strict=True)}
    session.execute(insert(GuaranteePosting), [row | {"entry_id": ids[row.pop("entry")]} for row in rows])
