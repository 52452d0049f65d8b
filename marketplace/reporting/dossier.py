"""The household dossier (一户一档): everything the house knows of one household's linkage, section by section.

Three facts stand side by side and are never merged: what is owed (entitlements), what was credited, what was paid out.
Direct and allocated credits are never added up into one claim. A cooperative reads what concerns itself; who may open
whose dossier at all is the registry's decision (`household_by_no`). Every section is a bounded query.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Charge,
    Entitlement,
    Evidence,
)
from marketplace.payments.closing.models import GuaranteePosting
from marketplace.payments.models import Credit, LinkagePool
from marketplace.payments.payouts.models import Payout
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.registry.models import Enrolment, Household, HouseholdStatus
from marketplace.reporting.income import credits_of


class DossierSection(LabelledEnum):
    """The tabs of a dossier, in the order in which things happen."""

    ENROLMENTS = "enrolments", N_("入社")
    STATUS = "status", N_("状态")
    AGREEMENTS = "agreements", N_("协议")
    EVIDENCE = "evidence", N_("凭据")
    ENTITLEMENTS = "entitlements", N_("应得")
    DIRECT = "direct", N_("直接归因入账")
    ALLOCATED = "allocated", N_("分摊归因入账")
    REVERSALS = "reversals", N_("冲销")
    ADDITIONS = "additions", N_("更正补记")
    GUARANTEES = "guarantees", N_("保底")
    CHARGES = "charges", N_("代扣")
    PAYOUTS = "payouts", N_("发放")


S = DossierSection


@dataclass(frozen=True)
class DossierScope:
    """Whose dossier, and of which cooperative alone (None: of all)."""

    household: Household
    cooperative_id: int | None = None

    def of(self, model: Any) -> ColumnElement[bool]:
        """Rows of `model` that belong in the dossier."""
        wanted = [model.household_id == self.household.id]
        if self.cooperative_id is not None:
            wanted.append(model.cooperative_id == self.cooperative_id)
        return and_(*wanted)


def scope_for(actor: Actor, household: Household) -> DossierScope:
    """What the actor reads of a household it may see."""
    return DossierScope(household, actor.cooperative_id)


# --- the sections ---


def _enrolments(scope: DossierScope) -> Select[Any]:
    return select(Enrolment).where(scope.of(Enrolment)).order_by(Enrolment.id.desc())


def _status(scope: DossierScope) -> Select[Any]:
    rows = select(HouseholdStatus).where(HouseholdStatus.household_id == scope.household.id)
    return rows.order_by(HouseholdStatus.known_at.desc(), HouseholdStatus.id.desc())


def _agreements(scope: DossierScope) -> Select[Any]:
    return (
        select(Agreement)
        .where(scope.of(Agreement))
        .options(selectinload(Agreement.versions), joinedload(Agreement.cooperative))
        .order_by(Agreement.id.desc())
    )


def _evidence(scope: DossierScope) -> Select[Any]:
    return (
        select(Evidence)
        .join(Evidence.agreement_version)
        .join(AgreementVersion.agreement)
        .where(scope.of(Agreement))
        .order_by(Evidence.occurred_on.desc(), Evidence.id.desc())
    )


def _entitlements(scope: DossierScope) -> Select[Any]:
    beside = (joinedload(Entitlement.evidence), joinedload(Entitlement.void))
    query = select(Entitlement).options(*beside).where(scope.of(Entitlement))
    return query.order_by(Entitlement.id.desc())


def _credits(scope: DossierScope, attribution: Attribution) -> Select[Any]:
    return credits_of(scope.household.id).where(LinkagePool.attribution == attribution, scope.of(Credit))


def _reversals(scope: DossierScope) -> Select[Any]:
    columns: tuple[Any, ...] = (CreditReversal, Credit.public_no.label("credit_no"), LinkagePool.attribution)
    return (
        select(*columns)
        .join(LinkagePool, LinkagePool.id == CreditReversal.pool_id)
        .outerjoin(Credit, Credit.id == CreditReversal.credit_id)
        .where(scope.of(CreditReversal))
        .order_by(CreditReversal.id.desc())
    )


def _additions(scope: DossierScope) -> Select[Any]:
    columns: tuple[Any, ...] = (CreditAddition, LinkagePool.attribution)
    return (
        select(*columns)
        .join(LinkagePool, LinkagePool.id == CreditAddition.pool_id)
        .where(scope.of(CreditAddition))
        .order_by(CreditAddition.id.desc())
    )


def _guarantees(scope: DossierScope) -> Select[Any]:
    rows = select(GuaranteePosting).where(scope.of(GuaranteePosting))
    return rows.order_by(GuaranteePosting.id.desc())


def _charges(scope: DossierScope) -> Select[Any]:
    rows = select(Charge).options(joinedload(Charge.agreement)).where(scope.of(Charge))
    return rows.order_by(Charge.id.desc())


def _payouts(scope: DossierScope) -> Select[Any]:
    rows = select(Payout).where(scope.of(Payout)).order_by(Payout.id.desc())
    return rows.options(joinedload(Payout.cooperative), joinedload(Payout.account), joinedload(Payout.batch))


QUERIES: dict[DossierSection, Callable[[DossierScope], Select[Any]]] = {
    S.ENROLMENTS: _enrolments,
    S.STATUS: _status,
    S.AGREEMENTS: _agreements,
    S.EVIDENCE: _evidence,
    S.ENTITLEMENTS: _entitlements,
    S.DIRECT: lambda scope: _credits(scope, Attribution.DIRECT),
    S.ALLOCATED: lambda scope: _credits(scope, Attribution.ALLOCATED),
    S.REVERSALS: _reversals,
    S.ADDITIONS: _additions,
    S.GUARANTEES: _guarantees,
    S.CHARGES: _charges,
    S.PAYOUTS: _payouts,
}
ROWS_OF_SEVERAL = frozenset({S.DIRECT, S.ALLOCATED, S.REVERSALS, S.ADDITIONS})


def section_query(scope: DossierScope, section: DossierSection) -> Select[Any]:
    """The rows of a section, newest first, to be paged; rows of several columns for ROWS_OF_SEVERAL."""
    return QUERIES[section](scope)


def section_counts(session: Session, scope: DossierScope) -> dict[DossierSection, int]:
    """How many rows each section has, in one statement."""
    counted = [
        select(func.count()).select_from(query(scope).order_by(None).subquery()).scalar_subquery()
        for query in QUERIES.values()
    ]
    return dict(zip(QUERIES, session.execute(select(*counted)).one(), strict=True))


def rows_to_print(
    session: Session, scope: DossierScope, *, limit: int = 500
) -> dict[DossierSection, list[Any]]:
    """The latest rows of every section, for one sheet after the other; a fixed number of statements."""
    found: dict[DossierSection, list[Any]] = {}
    for section in DossierSection:
        query = section_query(scope, section).limit(limit)
        if section in ROWS_OF_SEVERAL:
            found[section] = list(session.execute(query).all())
        else:
            found[section] = list(session.scalars(query).unique().all())
    return found
