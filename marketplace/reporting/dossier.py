"""The household dossier (一户一档): everything the house knows of one household's linkage, section by section.

Three facts stand side by side and are never merged: what is owed (entitlements), what was credited, what was paid out.
Direct and allocated credits are never added up into one claim. A cooperative reads what concerns itself; who may open
whose dossier at all is the registry's decision (`household_by_no`). Every section is a bounded query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session, joinedload, selectinload

from marketplace.core.clock import start_of, today
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.ledger.models import Account
from marketplace.ledger.queries import sides_of
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Charge,
    Entitlement,
    Evidence,
    IncomeClass,
    Mechanism,
)
from marketplace.payments.closing.models import Direction, GuaranteePosting
from marketplace.payments.models import Credit, LinkagePool
from marketplace.payments.payouts.models import Payout, PayoutState
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.registry.models import Enrolment, Household, HouseholdStatus
from marketplace.reporting.income import credits_of

FIRST_YEAR = 2014  # the poverty register was begun; anything before counts in it
UNDER_WAY = (PayoutState.PREPARED, PayoutState.SENT, PayoutState.UNKNOWN)


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
    query = select(Entitlement).options(joinedload(Entitlement.evidence)).where(scope.of(Entitlement))
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


# --- the facts side by side ---


@dataclass
class Facts:
    """Sums in fen. Credits are net of reversals, additions included; direct and allocated stay apart."""

    entitled: int = 0
    direct: int = 0
    allocated: int = 0
    guaranteed: int = 0
    charged: int = 0
    reversed: int = 0
    paid_out: int = 0

    def add(self, fact: str, fen: int) -> None:
        """Count `fen` under a fact; what was taken back also lowers the credits it came from."""
        setattr(self, fact, getattr(self, fact) + fen)


@dataclass
class Overview:
    """All facts: together, by year, by year and mechanism, and by income class; what is under way and still owed."""

    total: Facts = field(default_factory=Facts)
    by_year: dict[int, Facts] = field(default_factory=dict)
    by_mechanism: dict[tuple[int, Mechanism], Facts] = field(default_factory=dict)
    by_class: dict[IncomeClass, Facts] = field(default_factory=dict)
    under_way_fen: int = 0
    owed_fen: int = 0


def class_of(mechanism: Mechanism) -> IncomeClass | None:
    """How statistics class a mechanism's income."""
    return MECHANISMS[mechanism].income_class if mechanism in MECHANISMS else None


def overview_of(session: Session, scope: DossierScope) -> Overview:
    """The facts of a dossier by year, mechanism and income class, in three statements."""
    found = Overview()
    changes = union_all(*_changes(scope)).subquery()
    grouped = (
        select(changes.c.fact, changes.c.year, changes.c.mechanism, func.sum(changes.c.fen))
        .group_by(changes.c.fact, changes.c.year, changes.c.mechanism)
        .order_by(changes.c.year.desc())
    )
    for fact, year, code, fen in session.execute(grouped):
        _count(found, fact, int(year), Mechanism(code) if code else None, int(fen))
    order = list(Mechanism)
    found.by_mechanism = dict(
        sorted(found.by_mechanism.items(), key=lambda item: (-item[0][0], order.index(item[0][1])))
    )
    under_way = select(func.coalesce(func.sum(Payout.amount_fen), 0)).where(
        scope.of(Payout), Payout.state.in_(UNDER_WAY)
    )
    found.under_way_fen = int(session.scalar(under_way) or 0)
    sides = sides_of(scope.of(Account))
    found.owed_fen = int(session.scalar(select(func.coalesce(func.sum(sides.c.change_fen), 0))) or 0)
    return found


def _count(found: Overview, fact: str, year: int, mechanism: Mechanism | None, fen: int) -> None:
    found.total.add(fact, fen)
    found.by_year.setdefault(year, Facts()).add(fact, fen)
    if mechanism is None:
        return
    found.by_mechanism.setdefault((year, mechanism), Facts()).add(fact, fen)
    income_class = class_of(mechanism)
    if income_class is not None:
        found.by_class.setdefault(income_class, Facts()).add(fact, fen)


def _changes(scope: DossierScope) -> list[Select[Any]]:
    """Rows of fact, year, mechanism and fen, an arm for each table that holds a fact."""
    attribution = case((LinkagePool.attribution == Attribution.DIRECT, "direct"), else_="allocated")
    back, back_year = CreditReversal, _year_of(CreditReversal.reversed_at)
    posted = case(
        (GuaranteePosting.direction == Direction.POSTED, GuaranteePosting.amount_fen),
        else_=-GuaranteePosting.amount_fen,
    )
    entitled_in = cast(func.extract("year", Evidence.occurred_on), Integer)
    charged_in = cast(func.extract("year", Charge.charged_on), Integer)
    arms = [
        _arm(scope, Entitlement, literal("entitled"), entitled_in, Entitlement.amount_fen).join(
            Evidence, Evidence.id == Entitlement.evidence_id
        ),
        _arm(scope, back, literal("reversed"), back_year, back.amount_fen),
        _arm(scope, GuaranteePosting, literal("guaranteed"), _year_of(GuaranteePosting.posted_at), posted),
        _arm(
            scope, Charge, literal("charged"), charged_in, Charge.amount_fen, mechanism=Agreement.mechanism
        ).join(Agreement, Agreement.id == Charge.agreement_id),
        _arm(
            scope,
            Payout,
            literal("paid_out"),
            _year_of(Payout.answered_at),
            Payout.amount_fen,
            mechanism=literal(""),
        ).where(Payout.state == PayoutState.PAID),
    ]
    for model, at, fen in (
        (Credit, Credit.credited_at, Credit.amount_fen),
        (CreditAddition, CreditAddition.credited_at, CreditAddition.amount_fen),
        (back, back.reversed_at, -back.amount_fen),
    ):
        arm = _arm(scope, model, attribution, _year_of(at), fen)
        arms.append(arm.join(LinkagePool, LinkagePool.id == model.pool_id))
    return arms


def _arm(
    scope: DossierScope, model: Any, fact: Any, year: Any, fen: Any, *, mechanism: Any = None
) -> Select[Any]:
    code = type_coerce(model.mechanism if mechanism is None else mechanism, String)
    columns = (fact.label("fact"), year.label("year"), code.label("mechanism"), fen.label("fen"))
    return select(*columns).select_from(model).where(scope.of(model))


def _year_of(at: Any) -> ColumnElement[int]:
    """The year in China of an instant, by the first instants of the years, which both databases compare alike."""
    years = range(today().year + 1, FIRST_YEAR, -1)
    starts = [(at >= start_of(today().replace(year=year, month=1, day=1)), year) for year in years]
    return case(*starts, else_=FIRST_YEAR)


def totals_by_class(overview: Overview) -> Mapping[IncomeClass, Facts]:
    """The income classes in their order."""
    return {one: overview.by_class[one] for one in IncomeClass if one in overview.by_class}
