"""The accounts that money passes between a cooperative and a household, either way. Pure but for one look-up.

Most of it goes straight. The rent of an asset lease goes through the village collective, which let the asset: both
hops stand in one entry, so that nothing rests with the village that is due to its households.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.posting import TransferDraft
from marketplace.linkage.models import Mechanism
from marketplace.registry.models import Household

Villages = Mapping[int, str]  # the code of the village by household id
LOOKUP_CHUNK = 5_000


def goes_through_village(mechanism: Mechanism) -> bool:
    """Whether money of a mechanism reaches households by way of their village collective."""
    return mechanism is Mechanism.ASSET_LEASE


def villages_of(session: Session, household_ids: Collection[int]) -> dict[int, str]:
    """The village of each household, by household id."""
    wanted, found = sorted(household_ids), dict[int, str]()
    for start in range(0, len(wanted), LOOKUP_CHUNK):
        query = select(Household.id, Household.village_code)
        rows = session.execute(query.where(Household.id.in_(wanted[start : start + LOOKUP_CHUNK])))
        found |= dict(rows.all())
    return found


def to_households(
    source: AccountKey,
    cooperative_id: int,
    fen_by_household: Mapping[int, int],
    villages: Villages | None = None,
) -> list[TransferDraft]:
    """The transfers that give households fen (by household id) out of `source`, ascending; by way of `villages` when
    they are given."""
    transfers = []
    for household_id, fen in sorted(fen_by_household.items()):
        payable, giver = AccountKey.household_payable(cooperative_id, household_id), source
        if villages is not None:
            giver = AccountKey.village_payable(villages[household_id], cooperative_id)
            transfers.append(TransferDraft(source, giver, fen))
        transfers.append(TransferDraft(giver, payable, fen))
    return transfers


def from_households(
    target: AccountKey,
    cooperative_id: int,
    fen_by_household: Mapping[int, int],
    villages: Villages | None = None,
) -> list[TransferDraft]:
    """The transfers that take fen (by household id) back to `target`: `to_households` the other way round."""
    given = to_households(target, cooperative_id, fen_by_household, villages)
    return [TransferDraft(one.credit, one.debit, one.amount_fen) for one in reversed(given)]
