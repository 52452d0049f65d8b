"""The lines that are due to settle, with everything known of them, in two statements however many they are.

A part stays in a small index (`ix_order_part_due`) from the day it is accepted and paid until nothing of it is left to
settle, so finding the next lines does not grow with what was settled before.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from marketplace.catalog.models import LinkageTerm
from marketplace.core.asking import Given, Question, ask, one_of, planning_once
from marketplace.core.clock import business_day
from marketplace.linkage.as_of import last_entitlement_id
from marketplace.linkage.models import LinkagePeriod, Mechanism
from marketplace.ordering.models import LineLot, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.models import Settlement
from marketplace.payments.refunds.models import RefundedLine
from marketplace.payments.refunds.standing import is_wholly_refunded
from marketplace.procurement.receiving.goods import lots_after_replacement
from marketplace.procurement.receiving.models import ReplacementLot
from marketplace.procurement.receiving.queries import grams_off_before

Terms = tuple[tuple[Mechanism, int], ...]


@dataclass(frozen=True)
class DueLine:
    """A line ready to settle: `terms` in the order of the mechanisms, `lots` as (lot id, grams), or (lot id, weight)
    where rejected units were replaced from other lots.

    `net_fen` is the line's net less what was refunded before.
    """

    line_id: int
    cooperative_id: int
    net_fen: int
    due_at: datetime
    terms: Terms
    lots: tuple[tuple[int, int], ...]
    period_id: int | None


@dataclass
class Due:
    """What one pass settles: its lines, the parts they belong to, and the last entitlement that counts."""

    lines: list[DueLine]
    part_ids: set[int]
    as_of_entitlement_id: int


class PeriodFinder:
    """The linkage periods of some cooperatives, read once."""

    def __init__(self, session: Session, cooperative_ids: set[int]) -> None:
        query = select(
            LinkagePeriod.cooperative_id, LinkagePeriod.id, LinkagePeriod.starts_on, LinkagePeriod.ends_on
        )
        rows = session.execute(query.where(LinkagePeriod.cooperative_id.in_(cooperative_ids)))
        self._periods: list[tuple[int, int, date, date]] = [
            (owner_id, period_id, starts_on, ends_on) for owner_id, period_id, starts_on, ends_on in rows
        ]

    def covering(self, cooperative_id: int, day: date) -> int | None:
        """The period of a cooperative that holds `day` (its end is exclusive), None when there is none."""
        return _covering(self._periods, cooperative_id, day)


def _covering(periods: Collection[tuple[int, int, date, date]], cooperative_id: int, day: date) -> int | None:
    for owner_id, period_id, starts_on, ends_on in periods:
        if owner_id == cooperative_id and starts_on <= day < ends_on:
            return period_id
    return None


def _is_settled() -> ColumnElement[bool]:
    return select(Settlement.line_id).where(Settlement.line_id == OrderLine.id).exists()


@lru_cache(maxsize=8)
def _first_due(limit: int) -> Question:
    """The first `limit` lines that are due, with the days of their parts, which it locks.

    The parts come first, along the index of what is due: each is asked by itself whether a line is left (hence the
    offset, which keeps the look at a part's lines from being turned into a reading of all lines), and `limit` of them
    have at least as many lines. The number stands in the text, so that the plan is made for it.
    """
    most = literal_column(str(int(limit)))
    left = select(OrderLine.id).where(~_is_settled(), ~is_wholly_refunded())
    part = (
        select(OrderPart.id, OrderPart.accepted_at, OrderPart.paid_at)
        .where(
            OrderPart.settled_at.is_(None),
            OrderPart.accepted_at.is_not(None),
            OrderPart.paid_at.is_not(None),
            OrderPart.state == PartState.ACCEPTED,
            left.where(OrderLine.part_id == OrderPart.id).offset(literal_column("0")).exists(),
        )
        .order_by(OrderPart.id)
        .limit(most)
        .with_for_update(skip_locked=True)
        .subquery("part")
    )
    lines = left.with_only_columns(
        OrderLine.id,
        OrderLine.part_id,
        OrderLine.cooperative_id,
        OrderLine.net_fen,
        OrderLine.listing_version_id,
        part.c.accepted_at,
        part.c.paid_at,
    ).join(part, part.c.id == OrderLine.part_id)
    return Question(lines.order_by(OrderLine.part_id, OrderLine.id).limit(most))


def due_lines(session: Session, *, limit: int) -> Due:
    """Up to `limit` accepted and paid lines without a settlement, oldest first, their parts locked against a second
    worker. A line that was refunded whole before it settled never settles.
    """
    session.flush()
    *_, rows = ask(session, *planning_once(session), (_first_due(limit), {}))
    if not rows:
        return Due([], set(), 0)
    # Another worker may have settled some between the read and the lock: asked only now that they are ours.
    known = _known_of(session, rows)
    off_g = grams_off_before(session, known.replaced)
    lines = []
    for line_id, _, cooperative_id, full_fen, version_id, accepted_at, paid_at in rows:
        net_fen = full_fen - known.refunded_fen.get(line_id, 0)
        if line_id in known.settled or net_fen <= 0:
            continue
        due_at: datetime = max(accepted_at, paid_at)
        terms, lots = known.terms.get(version_id, ()), tuple(known.lots.get(line_id, ()))
        if line_id in known.replaced:
            lots = tuple(lots_after_replacement(lots, known.replaced[line_id], off_g=off_g.get(line_id, 0)))
        period_id = _covering(known.periods, cooperative_id, business_day(due_at))
        lines.append(DueLine(line_id, cooperative_id, net_fen, due_at, terms, lots, period_id))
    return Due(lines, {part_id for _, part_id, *_ in rows}, known.as_of)


@dataclass
class _Known:
    """What the rows around due lines say."""

    settled: set[int] = field(default_factory=set)
    refunded_fen: dict[int, int] = field(default_factory=dict)
    rates: dict[int, dict[Mechanism, int]] = field(default_factory=dict)
    lots: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    replaced: dict[int, dict[int, int]] = field(default_factory=dict)  # grams by lot id, by line
    periods: list[tuple[int, int, date, date]] = field(default_factory=list)
    as_of: int = 0
    terms: dict[int, Terms] = field(default_factory=dict)  # by listing version


def _rows_of(
    what: str, of_id: Any, first: Any = None, second: Any = None, *, code: Any = None, days: Any = None
) -> Select[Any]:
    """One kind of row of KNOWN: all kinds have the same columns, and leave empty what they have no use for."""
    starts_on, ends_on = days or (None, None)
    given = {
        "what": (literal(what), String),
        "of_id": (of_id, Integer),
        "code": (code, String),
        "first": (first, BigInteger),
        "second": (second, BigInteger),
        "starts_on": (starts_on, Date),
        "ends_on": (ends_on, Date),
    }
    return select(
        *(
            (cast(null(), kind) if value is None else cast(value, kind) if name == "first" else value).label(
                name
            )
            for name, (value, kind) in given.items()
        )
    )


KNOWN = Question(
    union_all(
        _rows_of("settled", Settlement.line_id).where(one_of(Settlement.line_id, "lines")),
        _rows_of("refunded", RefundedLine.line_id, func.sum(RefundedLine.amount_fen))
        .where(one_of(RefundedLine.line_id, "lines"), ~RefundedLine.after_settlement)
        .group_by(RefundedLine.line_id),
        _rows_of(
            "term",
            LinkageTerm.version_id,
            LinkageTerm.rate_bp,
            code=type_coerce(LinkageTerm.mechanism, String),
        ).where(one_of(LinkageTerm.version_id, "versions")),
        _rows_of("lot", LineLot.line_id, LineLot.lot_id, LineLot.mass_g).where(
            one_of(LineLot.line_id, "lines")
        ),
        _rows_of("replaced", ReplacementLot.line_id, ReplacementLot.lot_id, ReplacementLot.mass_g).where(
            one_of(ReplacementLot.line_id, "lines")
        ),
        _rows_of(
            "period",
            LinkagePeriod.cooperative_id,
            LinkagePeriod.id,
            days=(LinkagePeriod.starts_on, LinkagePeriod.ends_on),
        ).where(one_of(LinkagePeriod.cooperative_id, "cooperatives")),
        _rows_of("as_of", last_entitlement_id()),
    )
)


def _known_of(session: Session, lines: Sequence[Sequence[Any]]) -> _Known:
    asked = {
        "lines": [line_id for line_id, *_ in lines],
        "versions": sorted({version_id for _, _, _, _, version_id, *_ in lines}),
        "cooperatives": sorted({cooperative_id for _, _, cooperative_id, *_ in lines}),
    }
    known = _Known()
    (rows,) = ask(session, (KNOWN, asked))
    for what, of_id, code, first, second, starts_on, ends_on in rows:
        match what:
            case "settled":
                known.settled.add(of_id)
            case "refunded":
                known.refunded_fen[of_id] = first
            case "term":
                known.rates.setdefault(of_id, {})[Mechanism(code)] = first
            case "lot":
                known.lots.setdefault(of_id, []).append((first, second))
            case "replaced":
                known.replaced.setdefault(of_id, {})[first] = second
            case "period":
                known.periods.append((of_id, first, starts_on, ends_on))
            case "as_of":
                known.as_of = of_id
    for lots in known.lots.values():
        lots.sort()
    known.terms = {
        version_id: tuple((mechanism, rates[mechanism]) for mechanism in Mechanism if mechanism in rates)
        for version_id, rates in known.rates.items()
    }
    return known


_PARTS = typing.cast("Table", OrderPart.__table__)
CLOSED = Question(
    update(_PARTS)
    .where(
        one_of(_PARTS.c.id, "parts"),
        ~select(OrderLine.id)
        .where(OrderLine.part_id == _PARTS.c.id, ~_is_settled(), ~is_wholly_refunded())
        .exists(),
    )
    .values(settled_at=bindparam("at"))
)


def closing(part_ids: Collection[int], *, at: datetime) -> tuple[Question, Given]:
    """What takes the parts of which nothing is left to settle out of the index of due ones. They must be locked."""
    return CLOSED, {"parts": sorted(part_ids), "at": at}
