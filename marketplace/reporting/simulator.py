"""What other linkage rates would have done: past settled lines of a cooperative computed again, in memory.

Nothing is written, and nothing is guessed: each line is divided by the very functions that settled it, with the
entitlements that counted when each of its pools was shared out. So with unchanged rates every household gets exactly
what it was credited, to the fen. A mechanism that the line did not use then is shared by the evidence there was when
the line settled, or by today's where there was none. Refunds and guarantees are left out: they follow the credits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, Product
from marketplace.catalog.queries import linkage_floor_bp
from marketplace.core.clock import today
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import Mechanism
from marketplace.payments.models import Credit, LinkagePool
from marketplace.payments.settlement import compute_pools, shares_of
from marketplace.registry.models import Cooperative
from marketplace.reporting.simulator_sales import (
    Question,
    Rates,
    Sale,
    WeightsThen,
    asked_lines,
    sales_of,
)

MOST_SHARES = 1_000_000  # shares computed for one page: some seconds


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
    sales = sales_of(session, question)
    weights = WeightsThen(session, sales)
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


def _as_it_was(session: Session, question: Question, sales: Iterable[Sale]) -> tuple[Totals, dict[int, int]]:
    """The totals as they stand in the database, and each household's credits."""
    asked = asked_lines(question)
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
