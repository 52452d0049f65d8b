"""Who the ledger's tests are about, and what they look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.ledger.posting import EntryDraft, TransferDraft
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, HouseholdFactory

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Parties:
    """The ids of two cooperatives, three households and a unit."""

    coop: int
    other_coop: int
    first: int
    second: int
    third: int
    unit: int

    def paid(self, key: str = "payment:1", amount_fen: int = 10_000, **changed: object) -> EntryDraft:
        """A card payment held for the cooperative's order line 17."""
        values: dict[str, object] = {
            "kind": EntryKind.PAYMENT_RECEIVED,
            "idempotency_key": key,
            "occurred_at": NOON,
            "transfers": (
                TransferDraft(AccountKey.clearing("card"), AccountKey.escrow(self.coop), amount_fen),
            ),
            "subject": ("order_line", 17),
            "cooperative_id": self.coop,
        }
        return EntryDraft(**(values | changed))  # type: ignore[arg-type]

    def settled(
        self, key: str = "settlement:17", net_fen: int = 10_000, shares: tuple[int, ...] = (300, 100)
    ) -> EntryDraft:
        """Line 17 settled, with credits to the first households."""
        payable = AccountKey.cooperative_payable(self.coop)
        credits_of = zip((self.first, self.second, self.third), shares, strict=False)
        return EntryDraft(
            kind=EntryKind.LINE_SETTLED,
            idempotency_key=key,
            occurred_at=NOON,
            transfers=(
                TransferDraft(AccountKey.escrow(self.coop), payable, net_fen),
                *(
                    TransferDraft(payable, AccountKey.household_payable(self.coop, household), fen)
                    for household, fen in credits_of
                ),
            ),
            subject=("order_line", 17),
            cooperative_id=self.coop,
        )


@pytest.fixture
def parties(session: Session) -> Parties:
    cooperatives = [CooperativeFactory() for _ in range(2)]
    households = [HouseholdFactory() for _ in range(3)]
    return Parties(
        coop=cooperatives[0].id,
        other_coop=cooperatives[1].id,
        first=households[0].id,
        second=households[1].id,
        third=households[2].id,
        unit=BuyerUnitFactory().id,
    )


def row_counts(session: Session) -> tuple[int, int, int]:
    """How many accounts, entries and transfers there are."""
    counts = [session.scalar(select(func.count()).select_from(model)) for model in (Account, Entry, Transfer)]
    return (counts[0] or 0, counts[1] or 0, counts[2] or 0)
