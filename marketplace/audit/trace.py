"""Following one fen both ways: from a credit to the evidence behind it, from an order line to every household.

Read-only. Everything shown is what was stored when the line settled; the weights are read again as they were then, so a
reader sees that the stored share is the one the formula gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from marketplace.catalog.models import ListingVersion
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.ledger.models import Entry
from marketplace.linkage.models import Entitlement, Evidence
from marketplace.linkage.voids import is_void
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.ordering.queries import orders_visible_to
from marketplace.payments.models import (
    Credit,
    LinkagePool,
    Payment,
    PaymentState,
    PoolDistribution,
    Settlement,
)
from marketplace.payments.refunds.catching_up import taken_of_waiting
from marketplace.payments.refunds.models import CreditAddition, CreditReversal, Refund, RefundedLine
from marketplace.payments.settlement import shares_of
from marketplace.registry.cooperatives.queries import cooperatives_within


@dataclass(frozen=True)
class PoolTrace:
    """One pool of a line with its shares; `recomputed` is what the formula gives from the weights as they were."""

    pool: LinkagePool
    distribution: PoolDistribution | None
    credits: Sequence[Credit]
    recomputed: dict[int, int]
    changes: Sequence[CreditReversal | CreditAddition] = ()
    waiting_fen: int = 0  # still unallocated, less what refunds took of it

    @property
    def credited_fen(self) -> int:
        """What households got of it."""
        return sum(credit.amount_fen for credit in self.credits)

    @property
    def standing_fen(self) -> int:
        """What households have of it now: credits and additions, less what was taken back."""
        taken = sum(one.amount_fen for one in self.changes if isinstance(one, CreditReversal))
        given = sum(one.amount_fen for one in self.changes if isinstance(one, CreditAddition))
        return self.credited_fen + given - taken

    @property
    def agrees(self) -> bool:
        """Whether the stored credits are exactly the recomputed ones."""
        return {credit.household_id: credit.amount_fen for credit in self.credits} == self.recomputed


@dataclass(frozen=True)
class LineTrace:
    """A settled or pending order line with everything its money became."""

    line: OrderLine
    version: ListingVersion
    payment: Payment | None
    settlement: Settlement | None
    entry: Entry | None
    pools: Sequence[PoolTrace]
    refunds: Sequence[RefundedLine] = ()

    @property
    def pool_fen(self) -> int:
        """The line's linkage money."""
        return sum(trace.pool.pool_fen for trace in self.pools)

    @property
    def credited_fen(self) -> int:
        """What has reached households."""
        return sum(trace.credited_fen for trace in self.pools)

    @property
    def standing_fen(self) -> int:
        """What households have of it now."""
        return sum(trace.standing_fen for trace in self.pools)

    @property
    def waiting_fen(self) -> int:
        """What waits for evidence."""
        return sum(trace.waiting_fen for trace in self.pools)

    @property
    def refunded_fen(self) -> int:
        """What the buyer got back."""
        return sum(refund.amount_fen for refund in self.refunds)


def trace_line(session: Session, actor: Actor, line_no: str) -> LineTrace:
    """Everything behind and after an order line in the actor's jurisdiction. Raises NotFound."""
    line = session.scalar(
        select(OrderLine)
        .where(OrderLine.public_no == line_no, OrderLine.cooperative_id.in_(cooperatives_within(actor)))
        .options(joinedload(OrderLine.part).joinedload(OrderPart.history))
    )
    if line is None:
        raise NotFound
    settlement = session.get(Settlement, line.id)
    pools = session.scalars(
        select(LinkagePool).where(LinkagePool.line_id == line.id).order_by(LinkagePool.id)
    ).all()
    return LineTrace(
        line=line,
        version=session.get_one(ListingVersion, line.listing_version_id),
        payment=payment_of(session, line),
        settlement=settlement,
        entry=session.get(Entry, settlement.entry_id) if settlement else None,
        pools=_pool_traces(session, pools),
        refunds=session.scalars(
            select(RefundedLine)
            .where(RefundedLine.line_id == line.id)
            .options(joinedload(RefundedLine.refund).lazyload(Refund.lines))
            .order_by(RefundedLine.id)
        ).all(),
    )


def payment_of(session: Session, line: OrderLine) -> Payment | None:
    """The payment that paid for a line: of its part, or of its whole order."""
    query = (
        select(Payment)
        .where(
            Payment.order_id == line.order_id,
            (Payment.part_id == line.part_id) | Payment.part_id.is_(None),
            Payment.state == PaymentState.PAID,
        )
        .limit(1)
    )
    return session.scalar(query)


def _pool_traces(session: Session, pools: Sequence[LinkagePool]) -> list[PoolTrace]:
    """The pools with their credits and their weights as they were, in a fixed number of statements."""
    ids = [pool.id for pool in pools]
    distributions = {
        row.pool_id: row
        for row in session.scalars(select(PoolDistribution).where(PoolDistribution.pool_id.in_(ids)))
    }
    by_pool: dict[int, list[Credit]] = {}
    query = (
        select(Credit)
        .where(Credit.pool_id.in_(ids))
        .options(joinedload(Credit.household))
        .order_by(Credit.pool_id, Credit.household_id)
    )
    for credit in session.scalars(query):
        by_pool.setdefault(credit.pool_id, []).append(credit)
    changes = _changes_by_pool(session, ids)
    taken = taken_of_waiting(session, [pool for pool in pools if pool.id not in distributions])
    traces = []
    for pool in pools:
        distribution = distributions.get(pool.id)
        weights = _weights_then(session, pool, distribution) if distribution else {}
        waiting_fen = 0 if distribution else pool.pool_fen - taken.get(pool.id, 0)
        shares = shares_of(pool.pool_fen, weights)
        traces.append(
            PoolTrace(
                pool, distribution, by_pool.get(pool.id, []), shares, changes.get(pool.id, []), waiting_fen
            )
        )
    return traces


def _changes_by_pool(
    session: Session, pool_ids: Sequence[int]
) -> dict[int, list[CreditReversal | CreditAddition]]:
    """What was taken back of the pools' credits and given afterwards, in the order of the entries."""
    found: list[CreditReversal | CreditAddition] = []
    taken = select(CreditReversal).where(CreditReversal.pool_id.in_(pool_ids))
    given = select(CreditAddition).where(CreditAddition.pool_id.in_(pool_ids))
    found += session.scalars(taken.options(joinedload(CreditReversal.household))).all()
    found += session.scalars(given.options(joinedload(CreditAddition.household))).all()
    by_pool: dict[int, list[CreditReversal | CreditAddition]] = {}
    for one in sorted(found, key=lambda one: (one.entry_id, one.household_id)):
        by_pool.setdefault(one.pool_id, []).append(one)
    return by_pool


def _weights_then(session: Session, pool: LinkagePool, distribution: PoolDistribution) -> dict[int, int]:
    """The entitlements in fen by household that counted when the pool was shared out."""
    weights: dict[int, int] = {}
    for entitlement in session.scalars(_entitlements(pool, distribution)):
        weights[entitlement.household_id] = weights.get(entitlement.household_id, 0) + entitlement.amount_fen
    return weights


def _entitlements(pool: LinkagePool, distribution: PoolDistribution) -> Select[Entitlement]:
    in_scope = (
        Entitlement.lot_id == pool.lot_id
        if pool.lot_id is not None
        else Entitlement.period_id == distribution.period_id
    )
    return (
        select(Entitlement)
        .where(
            in_scope,
            Entitlement.mechanism == pool.mechanism,
            Entitlement.id <= distribution.as_of_entitlement_id,
            ~is_void(distribution.distributed_at),
        )
        .order_by(Entitlement.household_id, Entitlement.id)
    )


@dataclass(frozen=True)
class CreditTrace:
    """One credit, back to what it rests on."""

    credit: Credit
    line: LineTrace
    pool: PoolTrace
    evidence: Sequence[Entitlement]

    @property
    def changes(self) -> Sequence[CreditReversal | CreditAddition]:
        """What was taken back of the household's share of the pool, and what a correction gave it beside."""
        return [one for one in self.pool.changes if one.household_id == self.credit.household_id]

    @property
    def standing_fen(self) -> int:
        """What the household has of the pool now."""
        signed = [
            -one.amount_fen if isinstance(one, CreditReversal) else one.amount_fen for one in self.changes
        ]
        return self.credit.amount_fen + sum(signed)

    @property
    def weight_total_fen(self) -> int:
        """All weights of the pool."""
        return self.pool.distribution.weight_total_fen if self.pool.distribution else 0


def trace_credit(session: Session, actor: Actor, credit_no: str) -> CreditTrace:
    """A credit back to line, order, acceptance, payment, terms, weights and evidence. Raises NotFound."""
    credit = session.scalar(
        select(Credit).where(Credit.public_no == credit_no).options(joinedload(Credit.household))
    )
    if credit is None:
        raise NotFound
    line = session.get_one(OrderLine, credit.line_id)
    traced = trace_line(session, actor, line.public_no)
    pool = next(trace for trace in traced.pools if trace.pool.id == credit.pool_id)
    evidence: Sequence[Entitlement] = []
    if pool.distribution is not None:
        own = _entitlements(pool.pool, pool.distribution).where(
            Entitlement.household_id == credit.household_id
        )
        evidence = session.scalars(
            own.options(joinedload(Entitlement.evidence).joinedload(Evidence.agreement_version))
        ).all()
    return CreditTrace(credit=credit, line=traced, pool=pool, evidence=evidence)


def found_number(session: Session, actor: Actor, number: str) -> tuple[str, str]:
    """Which page a public number leads to: ("credit", "line" or "order", number). Raises NotFound."""
    number, within = number.strip().upper(), cooperatives_within(actor)
    searches = {
        "credit": select(Credit.id).where(Credit.public_no == number, Credit.cooperative_id.in_(within)),
        "line": select(OrderLine.id).where(
            OrderLine.public_no == number, OrderLine.cooperative_id.in_(within)
        ),
        "order": orders_visible_to(actor).where(Order.public_no == number).with_only_columns(Order.id),
    }
    for kind, query in searches.items():
        if session.scalar(query.limit(1)) is not None:
            return kind, number
    raise NotFound
