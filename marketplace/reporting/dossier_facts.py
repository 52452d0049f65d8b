"""The sums of a dossier: what is owed, what was credited and what was paid out, by year, mechanism and income class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    case,
    cast,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from marketplace.core.clock import start_of, today
from marketplace.ledger.models import Account
from marketplace.ledger.queries import sides_of
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import (
    Agreement,
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
from marketplace.reporting.dossier import DossierScope

FIRST_YEAR = 2014  # the poverty register was begun; anything before counts in it
UNDER_WAY = (PayoutState.PREPARED, PayoutState.SENT, PayoutState.UNKNOWN)


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
