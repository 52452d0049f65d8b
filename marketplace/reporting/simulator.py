"""What other linkage rates would have done: past settled lines of a cooperative computed again, in memory.

Nothing is written, and nothing is guessed: each line is divided by the very functions that settled it, with the
entitlements that counted when each of its pools was shared out. So with unchanged rates every household gets exactly
what it was credited, to the fen. A mechanism that the line did not use then is shared by the evidence there was when
the line settled, or by today's where there was none. Refunds and guarantees are left out: they follow the credits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import LinkageTerm, Listing, ListingVersion, Product
from marketplace.catalog.queries import linkage_floor_bp
from marketplace.core.clock import business_day, end_of, start_of, today
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import Entitlement, Mechanism
from marketplace.linkage.queries import attributions_of
from marketplace.ordering.models import LineLot, OrderLine, OrderPart
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement
from marketplace.payments.settlement import DueLine, PeriodFinder, PoolShare, Scope, compute_pools, shares_of
from marketplace.registry.models import Cooperative

MOST_LINES = 2_000
MOST_SHARES = 1_000_000  # shares computed for one page: some seconds
Rates = Mapping[Mechanism, int]


@dataclass(frozen=True)
class Question:
    """Which sales, and under which rates in basis points (None: as they were)."""

    cooperative_id: int
    since: date
    until: date
    rates: Rates | None = None
    listing_id: int | None = None


@dataclass(frozen=True)
class Change:
    """One household's fen as credited, and as the rates asked for would have credited them."""

    household_id: int
    before_fen: int
    after_fen: int

    @property
    def difference_fen(self) -> int:
        """What the household would have had more (or less, negative)."""
        return self.after_fen - self.before_fen


@dataclass
class Totals:
    """All lines together, in fen: the pools by mechanism, what reached households, what waits for evidence."""

    net_fen: int = 0
    credited_fen: int = 0
    pools: dict[Mechanism, int] = field(default_factory=dict)

    @property
    def pool_fen(self) -> int:
        """The linkage money."""
        return sum(self.pools.values())

    @property
    def waiting_fen(self) -> int:
        """What waits for evidence."""
        return self.pool_fen - self.credited_fen

    @property
    def left_fen(self) -> int:
        """What is left to the cooperative."""
        return self.net_fen - self.pool_fen


@dataclass(frozen=True)
class Simulation:
    """The answer: totals before and after, and each household's change, who loses most first."""

    lines: int
    before: Totals
    after: Totals
    changes: list[Change]


def check_rates(rates: Rates, *, floor_bp: int) -> None:
    """Raise Refused unless the rates could be published: mechanisms in use, the floor of the category, the whole."""
    total = sum(rates.values())
    if any(rate and mechanism not in MECHANISMS for mechanism, rate in rates.items()):
        raise Refused("term_mechanism", N_("这种联结机制还没有开通，请改用其他机制"), field="terms")
    if any(rate < 0 or rate > BASIS for rate in rates.values()) or total > BASIS:
        raise Refused("terms_above_whole", N_("各机制比例之和不能超过 100%"), field="terms")
    if total < max(floor_bp, 1):
        raise Refused(
            "terms_below_floor",
            N_("利益联结比例合计 %(total)s，低于这个品类的政策下限 %(floor)s，请提高"),
            field="terms",
            total=_percent(total),
            floor=_percent(max(floor_bp, 1)),
        )


def _percent(rate_bp: int) -> str:
    return f"{rate_bp // 100}.{rate_bp % 100:02d}%"


def listings_of(session: Session, cooperative_id: int, *, limit: int = 200) -> Sequence[Listing]:
    """The listings of a cooperative to choose from, the newest first."""
    query = select(Listing).where(Listing.cooperative_id == cooperative_id).order_by(Listing.id.desc())
    return session.scalars(query.limit(limit)).unique().all()


def floor_of(session: Session, cooperative_id: int, listing: Listing | None) -> int:
    """The policy floor in basis points: of the listing's category, or the highest of all that are sold."""
    cooperative = session.get_one(Cooperative, cooperative_id)
    categories = (
        [listing.product.category_code]
        if listing
        else session.scalars(
            select(Product.category_code)
            .join(Listing, Listing.product_id == Product.id)
            .where(Listing.cooperative_id == cooperative_id)
            .distinct()
        ).all()
    )
    floors = [
        linkage_floor_bp(session, category_code=one, county_code=cooperative.county_code, year=today().year)
        for one in categories
    ]
    return max(floors, default=0)


def simulate(session: Session, question: Question) -> Simulation:
    """Compute the lines of a question again. Raises Refused when there are too many of them for one page."""
    sales = _sales(session, question)
    weights = _WeightsThen(session, sales)
    before, credited_before = _as_it_was(session, question, sales)
    after, credited = Totals(net_fen=before.net_fen), dict[int, int]()
    done = 0
    for sale in sales:
        line = sale.line if question.rates is None else sale.under(question.rates)
        for share in compute_pools(line, weights.of_lots(sale, line)):
            after.pools[share.mechanism] = after.pools.get(share.mechanism, 0) + share.pool_fen
            by_household = weights.of_share(sale, share)
            done += len(by_household)
            if done > MOST_SHARES:
                raise Refused("too_many_shares", N_("这段时间牵涉的农户和订单太多，请缩短时间或只选一个商品"))
            for household_id, fen in shares_of(share.pool_fen, by_household).items():
                credited[household_id] = credited.get(household_id, 0) + fen
    after.credited_fen = sum(credited.values())
    changes = [
        Change(one, credited_before.get(one, 0), credited.get(one, 0))
        for one in credited_before.keys() | credited.keys()
    ]
    changes.sort(key=lambda change: (change.difference_fen, change.household_id))
    return Simulation(len(sales), before, after, changes)


# --- the lines as they were settled ---


@dataclass(frozen=True)
class _Kept:
    """What a stored pool was shared by: the last entitlement that counted (None while it waits), and its period."""

    as_of: int | None
    period_id: int | None
    waited: bool


@dataclass(frozen=True)
class _Sale:
    """A settled line with its pools as they were kept, by mechanism and lot."""

    line: DueLine
    settled_at: datetime
    kept: Mapping[tuple[Mechanism, int | None], _Kept]

    @property
    def as_of(self) -> int | None:
        """The last entitlement that counted at settlement, None when nothing was shared out then."""
        found = [kept.as_of for kept in self.kept.values() if not kept.waited and kept.as_of is not None]
        return max(found, default=None)

    def under(self, rates: Rates) -> DueLine:
        """The line as other terms would have had it, in the order of the mechanisms."""
        line = self.line
        terms = tuple((one, rates[one]) for one in Mechanism if rates.get(one))
        return DueLine(
            line.line_id, line.cooperative_id, line.net_fen, line.due_at, terms, line.lots, line.period_id
        )

    def scope_of(self, share: PoolShare) -> Scope:
        """Whose entitlements are the weights of a share: those it was shared by, where it was."""
        kept = self.kept.get((share.mechanism, share.lot_id))
        period_id = None if share.lot_id is not None else share.period_id
        if kept is not None and share.lot_id is None:
            period_id = kept.period_id or period_id
        return (share.mechanism, share.lot_id, period_id)


def _asked(question: Question) -> Select[int]:
    """The ids of the settled lines asked about."""
    query = (
        select(OrderLine.id)
        .join(Settlement, Settlement.line_id == OrderLine.id)
        .where(
            Settlement.cooperative_id == question.cooperative_id,
            Settlement.settled_at >= start_of(question.since),
            Settlement.settled_at < end_of(question.until),
        )
    )
    if question.listing_id is None:
        return query
    versions = select(ListingVersion.id).where(ListingVersion.listing_id == question.listing_id)
    return query.where(OrderLine.listing_version_id.in_(versions))


def _sales(session: Session, question: Question) -> list[_Sale]:
    """The lines with terms, lots, pools and periods, in a fixed number of statements."""
    asked = _asked(question)
    count = session.scalar(select(func.count()).select_from(asked.subquery())) or 0
    if count > MOST_LINES:
        raise Refused(
            "too_many_lines",
            N_("这段时间有 %(count)s 笔销售，一次最多测算 %(most)s 笔，请缩短时间或只选一个商品"),
            count=count,
            most=MOST_LINES,
        )
    rows = session.execute(
        select(
            OrderLine.id,
            OrderLine.listing_version_id,
            Settlement.net_fen,
            Settlement.settled_at,
            OrderPart.accepted_at,
            OrderPart.paid_at,
        )
        .join(Settlement, Settlement.line_id == OrderLine.id)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .where(OrderLine.id.in_(asked))
        .order_by(OrderLine.id)
    ).all()
    terms, lots, kept = _terms(session, asked), _lots(session, asked), _kept(session, asked)
    periods = PeriodFinder(session, {question.cooperative_id})
    sales = []
    for line_id, version_id, net_fen, settled_at, accepted_at, paid_at in rows:
        due_at = max(at for at in (accepted_at, paid_at, None if accepted_at else settled_at) if at)
        line = DueLine(
            line_id=line_id,
            cooperative_id=question.cooperative_id,
            net_fen=net_fen,
            due_at=due_at,
            terms=terms.get(version_id, ()),
            lots=tuple(lots.get(line_id, ())),
            period_id=periods.covering(question.cooperative_id, business_day(due_at)),
        )
        sales.append(_Sale(line, settled_at, kept.get(line_id, {})))
    return sales


def _terms(session: Session, asked: Select[int]) -> dict[int, tuple[tuple[Mechanism, int], ...]]:
    """The terms the lines were sold under, by listing version."""
    versions = select(OrderLine.listing_version_id).where(OrderLine.id.in_(asked))
    found: dict[int, dict[Mechanism, int]] = {}
    for term in session.scalars(select(LinkageTerm).where(LinkageTerm.version_id.in_(versions))):
        found.setdefault(term.version_id, {})[term.mechanism] = term.rate_bp
    return {
        version_id: tuple((one, rates[one]) for one in Mechanism if one in rates)
        for version_id, rates in found.items()
    }


def _lots(session: Session, asked: Select[int]) -> dict[int, list[tuple[int, int]]]:
    """(lot id, grams) by line, in the order of the lots."""
    query = select(LineLot.line_id, LineLot.lot_id, LineLot.mass_g).where(LineLot.line_id.in_(asked))
    found: dict[int, list[tuple[int, int]]] = {}
    for line_id, lot_id, mass_g in session.execute(query.order_by(LineLot.line_id, LineLot.lot_id)):
        found.setdefault(line_id, []).append((lot_id, mass_g))
    return found


def _kept(session: Session, asked: Select[int]) -> dict[int, dict[tuple[Mechanism, int | None], _Kept]]:
    """What the stored pools of each line were shared by."""
    query = (
        select(
            LinkagePool.line_id,
            LinkagePool.mechanism,
            LinkagePool.lot_id,
            LinkagePool.period_id,
            PoolDistribution.as_of_entitlement_id,
            PoolDistribution.period_id,
            LinkagePool.waiting,
        )
        .outerjoin(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .where(LinkagePool.line_id.in_(asked))
    )
    found: dict[int, dict[tuple[Mechanism, int | None], _Kept]] = {}
    for line_id, mechanism, lot_id, period_id, as_of, shared_over, waited in session.execute(query):
        found.setdefault(line_id, {})[mechanism, lot_id] = _Kept(as_of, shared_over or period_id, waited)
    return found


def _as_it_was(session: Session, question: Question, sales: Iterable[_Sale]) -> tuple[Totals, dict[int, int]]:
    """The totals as they stand in the database, and each household's credits."""
    asked = _asked(question)
    pools = session.execute(
        select(LinkagePool.mechanism, func.sum(LinkagePool.pool_fen))
        .where(LinkagePool.line_id.in_(asked))
        .group_by(LinkagePool.mechanism)
    )
    credited = session.execute(
        select(Credit.household_id, func.sum(Credit.amount_fen))
        .where(Credit.line_id.in_(asked))
        .group_by(Credit.household_id)
    )
    by_household = {household_id: int(fen) for household_id, fen in credited}
    totals = Totals(
        net_fen=sum(sale.line.net_fen for sale in sales),
        credited_fen=sum(by_household.values()),
        pools={mechanism: int(fen) for mechanism, fen in pools},
    )
    return totals, by_household


class _WeightsThen:
    """The entitlements behind some sales, read once, summed as of any one of them."""

    def __init__(self, session: Session, sales: Sequence[_Sale]) -> None:
        lots = {lot_id for sale in sales for lot_id, _ in sale.line.lots}
        periods = {sale.line.period_id for sale in sales} | {
            kept.period_id for sale in sales for kept in sale.kept.values()
        }
        self._rows: dict[Scope, list[tuple[int, int, int, datetime]]] = {}
        for mechanism, lot_id, period_id, *row in self._read(session, lots, periods - {None}):
            self._rows.setdefault((mechanism, lot_id, period_id), []).append(tuple(row))
        self._ids = {scope: [row[0] for row in rows] for scope, rows in self._rows.items()}
        self._sums: dict[tuple[Scope, int], dict[int, int]] = {}

    @staticmethod
    def _read(session: Session, lots: set[int], periods: set[Any]) -> Iterable[Any]:
        query = select(
            Entitlement.mechanism,
            Entitlement.lot_id,
            Entitlement.period_id,
            Entitlement.id,
            Entitlement.household_id,
            Entitlement.amount_fen,
            Entitlement.recorded_at,
        )
        scopes = or_(Entitlement.lot_id.in_(lots), Entitlement.period_id.in_(periods))
        return session.execute(query.where(scopes).order_by(Entitlement.id))

    def _summed(self, scope: Scope, count: int) -> dict[int, int]:
        """Fen by household of the first `count` entitlements of a scope."""
        key = (scope, count)
        if key not in self._sums:
            sums: dict[int, int] = {}
            for _, household_id, fen, _ in self._rows.get(scope, [])[:count]:
                sums[household_id] = sums.get(household_id, 0) + fen
            self._sums[key] = sums
        return self._sums[key]

    def _as_of(self, scope: Scope, entitlement_id: int) -> dict[int, int]:
        return self._summed(scope, bisect_right(self._ids.get(scope, []), entitlement_id))

    def _at_settlement(self, scope: Scope, sale: _Sale) -> dict[int, int]:
        if sale.as_of is not None:
            return self._as_of(scope, sale.as_of)
        rows = self._rows.get(scope, [])
        return self._summed(scope, bisect_left(rows, sale.settled_at, key=lambda row: row[3]))

    def of_lots(self, sale: _Sale, line: DueLine) -> dict[Scope, dict[int, int]]:
        """What decides whether a mechanism of both ways is shared by lot: the weights of the lots at settlement."""
        both = [one for one, _ in line.terms if len(attributions_of(one)) > 1]
        scopes: list[Scope] = [(one, lot_id, None) for one in both for lot_id, _ in line.lots]
        return {scope: self._at_settlement(scope, sale) for scope in scopes}

    def of_share(self, sale: _Sale, share: PoolShare) -> dict[int, int]:
        """The weights of a share: as they were when its pool was shared out, else at settlement, else today's."""
        scope = sale.scope_of(share)
        kept = sale.kept.get((share.mechanism, share.lot_id))
        if kept is not None:
            return self._as_of(scope, kept.as_of) if kept.as_of is not None else {}
        then = self._at_settlement(scope, sale)
        return then if any(then.values()) else self._summed(scope, len(self._rows.get(scope, [])))
