"""Stakes and resolutions on a surplus.

`StakeFactory(enrolment=…, version__stake_fen=…)` is a stake with its certificate held from 2025 on; `decision` what
the minutes of a meeting say, and `share_surplus` adopts it for a linkage period that is over.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import factory
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.identity.models import TrailEntry
from marketplace.linkage.mechanisms.share_cooperation.decisions import Decision
from marketplace.linkage.mechanisms.share_cooperation.mechanism import certificate_key
from marketplace.linkage.mechanisms.share_cooperation.models import (
    ShareDividend,
    ShareResolution,
    StakeReassignment,
    StakeSource,
    StakeSpan,
)
from marketplace.linkage.mechanisms.share_cooperation.rules import adopt_resolution
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Mechanism,
)
from marketplace.linkage.spans import FOREVER
from marketplace.registry.models import Cooperative
from tests.factories.base import RowFactory
from tests.factories.linkage import AgreementFactory, AgreementVersionFactory
from tests.factories.registry import EnrolmentFactory, actor_at


def stake_terms(certificate_no: str, *, stake_fen: int = 210_000, **changed: Any) -> dict[str, Any]:
    """Terms of a stake of 2,100.00 yuan of fiscal money."""
    terms = {
        "certificate_no": certificate_no,
        "stake_fen": stake_fen,
        "source": StakeSource.FISCAL_FUND.value,
    }
    return {**terms, **changed}


class StakeVersionFactory(AgreementVersionFactory):
    """Terms of a stake from 2025 on."""

    class Meta:
        model = AgreementVersion

    class Params:
        stake_fen = 210_000

    valid_from = date(2025, 1, 1)
    terms = factory.LazyAttribute(
        lambda version: stake_terms(f"GZ-{version.agreement.id}", stake_fen=version.stake_fen)
    )


class StakeFactory(AgreementFactory):
    """A stake of 2,100.00 yuan (or `version__stake_fen`), its certificate held from its first day on."""

    mechanism = Mechanism.SHARE_COOPERATION
    version = factory.RelatedFactory(StakeVersionFactory, "agreement")

    @factory.post_generation
    def held(self: Agreement, create: bool, extracted: object, **kwargs: object) -> None:
        """Hold the certificate, as signing does."""
        version = self.versions[0]
        StakeSpanFactory(
            certificate=certificate_key(self.cooperative.uscc, version.terms["certificate_no"]),
            cooperative_id=self.cooperative_id,
            agreement_id=self.id,
            stake_fen=version.terms["stake_fen"],
            starts_on=version.valid_from,
            ends_on=version.valid_to or FOREVER,
        )


class StakeSpanFactory(RowFactory):
    """A certificate held by an agreement."""

    class Meta:
        model = StakeSpan


def decision(**changed: Any) -> Decision:
    """10,000.00 yuan: 60 % by patronage of 1,000.00, the rest by a capital of 10,000.00; 8 of 10 present, 7 for it."""
    said: dict[str, Any] = {
        "resolution_no": "2026-01",
        "meeting_on": date(2026, 3, 1),
        "surplus_fen": 1_000_000,
        "patronage_bp": 6000,
        "base_bp": 0,
        "capital_fen": 1_000_000,
        "dealings_fen": 100_000,
        "members_total": 10,
        "members_present": 8,
        "votes_for": 7,
    }
    return Decision(**{**said, **changed})


def share_surplus(session: Session, period: LinkagePeriod, **changed: Any) -> ShareResolution:
    """A resolution of 2026-03-01 on the surplus of a period that is over, adopted by the cooperative's manager."""
    cooperative = session.get_one(Cooperative, period.cooperative_id)
    return adopt_resolution(session, actor_at(cooperative), period=period, decision=decision(**changed))


def hold(cooperative: Any, **version: Any) -> Any:
    """A stake of a newly enrolled household; `version` goes to its terms' version."""
    fields = {f"version__{name}": value for name, value in version.items()}
    return StakeFactory(enrolment=EnrolmentFactory(cooperative=cooperative), **fields)


def recorded(session: Session) -> tuple[Any, Any]:
    """How much is recorded, and who holds what when: unchanged where a rule refuses."""
    tables = (Agreement, Evidence, ShareResolution, ShareDividend, Entitlement, StakeReassignment, TrailEntry)
    counts = tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)
    spans = session.execute(
        select(StakeSpan.agreement_id, StakeSpan.starts_on, StakeSpan.ends_on).order_by(StakeSpan.id)
    ).all()
    return counts, spans
