"""What registry corrections change of a pool, again.

That two people agreed on a correction is an event. Where a household was found ineligible, what each other household
gets is derived. Where it merged or split, only what had not been paid out passes on; that depends on payouts, and is
read from what the two people agreed to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.money import split_by_weights, webster
from marketplace.ledger.models import Entry
from marketplace.ordering.models import OrderLine
from marketplace.payments.corrections.models import (
    CorrectionKind,
    CorrectionLine,
    CorrectionSet,
    CorrectionState,
)
from marketplace.payments.models import LinkagePool

CHUNK = 500


@dataclass(slots=True)
class Correction:
    """One correction of one pool; `agreed` is what the two people read, in fen by household (negative: taken)."""

    pool_id: int
    entry_id: int
    kind: CorrectionKind
    household_id: int
    agreed: dict[int, int] = field(default_factory=dict)

    @property
    def leaves_nothing(self) -> bool:
        """Whether the household is out of the pool from then on."""
        return self.kind in (CorrectionKind.INELIGIBLE, CorrectionKind.MERGED)


def corrections_of(session: Session, cooperative_id: int) -> dict[int, list[Correction]]:
    """The corrections of a cooperative's pools that were posted, by pool, in the order in which they were."""
    query = (
        select(CorrectionLine, CorrectionSet)
        .join(CorrectionSet, CorrectionSet.id == CorrectionLine.set_id)
        .join(LinkagePool, LinkagePool.id == CorrectionLine.pool_id)
        .join(OrderLine, OrderLine.id == LinkagePool.line_id)
        .where(OrderLine.cooperative_id == cooperative_id, CorrectionSet.state == CorrectionState.POSTED)
        .order_by(CorrectionLine.id)
    )
    found: dict[str, Correction] = {}
    for line, one in session.execute(query).unique():
        key = f"correction:{one.public_no}:{line.pool_id}"
        correction = found.setdefault(key, Correction(line.pool_id, 0, one.kind, one.household_id))
        correction.agreed[line.household_id] = line.after_fen - line.before_fen
    for key, entry_id in _entries(session, found):
        found[key].entry_id = entry_id
    by_pool: dict[int, list[Correction]] = defaultdict(list)
    for correction in sorted(found.values(), key=lambda correction: correction.entry_id):
        by_pool[correction.pool_id].append(correction)
    return by_pool


def _entries(session: Session, keys: Iterable[str]) -> list[tuple[str, int]]:
    """When each was posted: the ids of the entries under these keys."""
    wanted, found = list(keys), []
    for start in range(0, len(wanted), CHUNK):
        query = select(Entry.idempotency_key, Entry.id)
        rows = session.execute(query.where(Entry.idempotency_key.in_(wanted[start : start + CHUNK])))
        found += [(key, entry_id) for key, entry_id in rows]
    return found


def changes_of(
    correction: Correction, standing: Mapping[int, int], weights: Mapping[int, int], gone: set[int]
) -> dict[int, int]:
    """What a correction changes, in fen by household (negative: taken).

    `standing` is what each household has of the pool, `weights` those it was shared out by, `gone` the households that
    earlier corrections left without anything. What an ineligible household had is shared by the largest remainder over
    the weights that are left, so that nobody has less than before; with none left it waits.
    """
    if correction.kind is not CorrectionKind.INELIGIBLE:
        return dict(correction.agreed)
    freed = standing.get(correction.household_id, 0)
    out = gone | {correction.household_id}
    keys = sorted(key for key, fen in weights.items() if fen > 0 and key not in out)
    changes = {correction.household_id: -freed}
    if keys:
        ideal = split_by_weights(sum(standing.values()), [weights[key] for key in keys])
        wanted = [max(0, fen - standing.get(key, 0)) for key, fen in zip(keys, ideal, strict=True)]
        extra = webster(min(freed, sum(wanted)), wanted)
        changes |= {key: fen for key, fen in zip(keys, extra, strict=True) if fen}
    return {key: fen for key, fen in changes.items() if fen}
