"""Rules of reserved quotas, filings with their evidence, and purchases of a canteen that count or lack a step.

`quota_rule()` is 10 % in the whole country, to be filed by 30 June. `filed(session, unit, …)` files for this year and
`confirmed(session, unit, …)` has another person confirm it. `purchase(session, unit, fen)` is one order line at that
price; by default it is accepted, paid and evaluated now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.ids import random_key
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, StoredFile
from marketplace.ordering.models import OrderKind, OrderPart
from marketplace.ordering.states import PartState
from marketplace.procurement.quota.models import QuotaFiling, ReservedQuotaRule
from marketplace.procurement.quota.rules import decide_filing, file_quota
from marketplace.procurement.quota.sharing import agree_to_sharing, propose_sharing
from marketplace.registry.models import BuyerUnit
from tests.factories.base import RowFactory
from tests.factories.registry import CooperativeFactory, RegionFactory, actor_at
from tests.factories.trade import buy, offer

MILLION = 100_000_000  # 1,000,000.00 yuan in fen


class QuotaRuleFactory(RowFactory):
    """What a place asks in a year; the whole country unless a region is named."""

    class Meta:
        model = ReservedQuotaRule

    region_code = None
    year = 2026
    version = 1
    percent_bp = 1_000
    filing_due_on = date(2026, 6, 30)
    basis = "财库〔2021〕19 号"
    reason = "全国最低预留比例"


def quota_rule(region_code: str | None = None, **facts: object) -> ReservedQuotaRule:
    """A rule of a place, which exists afterwards."""
    if region_code:
        RegionFactory(code=region_code)
    rule: ReservedQuotaRule = QuotaRuleFactory(region_code=region_code, **facts)
    return rule


def paper(session: Session, unit: BuyerUnit, *, name: str = "去年账目.pdf") -> StoredFile:
    """A document that the unit has uploaded."""
    file = StoredFile(
        address="ab" * 32,
        sealed=True,
        name=name,
        media_type="application/pdf",
        size_bytes=9,
        organisation_id=unit.id,
    )
    session.add(file)
    session.flush()
    return file


def filed(
    session: Session,
    unit: BuyerUnit,
    *,
    base_fen: int = MILLION,
    reserve_bp: int = 1_000,
    orderer: Actor | None = None,
    papers: Sequence[StoredFile] | None = None,
    **facts: str,
) -> QuotaFiling:
    """What the unit files for this year."""
    return file_quota(
        session,
        orderer or actor_at(unit, Role.UNIT_ORDERER),
        year=today().year,
        base_fen=base_fen,
        reserve_bp=reserve_bp,
        papers=[paper(session, unit)] if papers is None else papers,
        **{"idempotency_key": random_key(), **facts},
    )


def confirmed(session: Session, unit: BuyerUnit, **facts: object) -> QuotaFiling:
    """The same, confirmed by another person of the unit."""
    filing = filed(session, unit, **facts)
    decide_filing(session, actor_at(unit, Role.UNIT_APPROVER), filing, is_confirmed=True)
    return filing


def shared_canteen(session: Session, representative: BuyerUnit, *others: BuyerUnit) -> None:
    """Units that share a canteen this year, all agreed."""
    codes = [unit.uscc for unit in (representative, *others)]
    propose_sharing(
        session,
        actor_at(representative, Role.UNIT_ORDERER),
        name="联合食堂",
        credit_codes=codes,
        representative_code=representative.uscc,
    )
    for unit in others:
        agree_to_sharing(session, actor_at(unit, Role.UNIT_ORDERER))


def purchase(
    session: Session,
    unit: BuyerUnit,
    fen: int,
    *,
    accepted_at: datetime | None = None,
    paid_at: datetime | None = None,
    evaluated_at: datetime | None = None,
    lacks: Sequence[str] = (),
    kind: OrderKind = OrderKind.CANTEEN,
) -> OrderPart:
    """One part of one line that costs `fen`; `lacks` names the steps not done: accepted, paid, evaluated."""
    offered = offer(session, CooperativeFactory(), tiers=((1, fen),))
    order = buy(session, actor_at(unit, Role.UNIT_ORDERER), (offered, 1), kind=kind, key=random_key())
    part = order.parts[0]
    done = {"accepted": accepted_at, "paid": paid_at, "evaluated": evaluated_at}
    for step, at in done.items():
        if step not in lacks:
            setattr(part, f"{step}_at", at or now())
    part.state = PartState.PLACED if "accepted" in lacks else PartState.ACCEPTED
    session.flush()
    return part
