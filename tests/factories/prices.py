"""Policies of prices, proposed and confirmed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy.orm import Session

from marketplace.catalog.prices.models import PricePolicy, PricePolicyProposal, ProposalState
from marketplace.core.clock import now, today
from marketplace.identity.models import Role
from tests.factories.identity import UserFactory

FIGURES: dict[str, Any] = {
    "above_bp": 2_000,
    "below_bp": 4_000,
    "change_bp": 1_000,
    "min_quotes": 3,
    "valid_days": 180,
    "explained_days": 180,
}


def confirmed_policy(
    session: Session, *, region_code: str, from_on: date | None = None, **changes: Any
) -> PricePolicy:
    """What holds at a place, from yesterday on unless said otherwise."""
    said = {
        **FIGURES,
        "region_code": region_code,
        "from_on": from_on or today() - timedelta(days=1),
        "basis": "市发改委文件",
        **changes,
    }
    proposer, decider = (UserFactory(granted=(Role.OPERATOR,)) for _one in range(2))
    proposal = PricePolicyProposal(
        **said,
        state=ProposalState.CONFIRMED,
        proposed_by=proposer.id,
        decided_by=decider.id,
        decided_at=now(),
    )
    session.add(proposal)
    session.flush()
    policy = PricePolicy(**said, proposal_id=proposal.id)
    session.add(policy)
    session.flush()
    return policy
