"""What documents and queries mean to PostgreSQL: one tsvector a listing, one statement a search.

A lexeme is a token with a letter of its kind before it, so that a word, a pair and a pinyin never meet. The `simple`
dictionary is not asked: the tokens are made by text.py, as for every engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.types import Text

from marketplace.catalog.search.engine import PRICE_BANDS_FEN, ListingDocument, SearchRequest, Sort
from marketplace.catalog.search.entries import Entry
from marketplace.catalog.search.models import SearchEntry
from marketplace.catalog.search.reading import Reading
from marketplace.catalog.search.shelf import FACETS, SORTS_BY_POINTS, Row
from marketplace.catalog.search.text import Concept, Kind, Term, Tokens, is_suggestible

MAX_PLACE = 16_383  # the last place a tsvector tells apart
MAX_PLACES_A_LEXEME = 255
MAX_INTEGER = 2**63 - 1
LETTERS = {Kind.WORD: "w", Kind.PAIR: "2", Kind.PINYIN: "p"}
HEAD, NAME, OUTSIDE, ANYWHERE = "A", "B", "BC", "BCD"
POINTS = ((4, HEAD), (3, NAME), (2, OUTSIDE), (1, ANYWHERE))
TABLE = SearchEntry.__table__


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def tsvector_of(entry: Entry) -> str:
    """The text form of the tsvector of a document."""
    places: dict[str, list[str]] = {}
    place = 0

    def put(kind: Kind, texts: Iterable[str], weight: str) -> None:
        nonlocal place
        for text in texts:
            place = min(place + 1, MAX_PLACE)
            found = places.setdefault(LETTERS[kind] + text, [])
            if len(found) < MAX_PLACES_A_LEXEME:
                found.append(f"{place}{weight}")

    def put_all(tokens: Tokens, weight: str) -> None:
        put(Kind.WORD, dict.fromkeys(tokens.words), weight)
        put(Kind.PAIR, tokens.pairs, weight)
        put(Kind.PINYIN, tokens.pinyin, weight)

    put_all(entry.head, "A")
    put_all(entry.name, "B")
    put_all(entry.place, "C")
    put(Kind.WORD, dict.fromkeys(entry.body), "D")
    return " ".join(f"{_quoted(lexeme)}:{','.join(found)}" for lexeme, found in places.items())


def row_of(document: ListingDocument) -> dict[str, Any]:
    """The row of a document."""
    entry = Entry.of(document)
    row = Row.of(document)._asdict()
    words = (word for word in entry.name.words if is_suggestible(word))
    lists = {facet: list(row[facet]) for facet in FACETS[:-1]}
    return {**row, **lists, "tokens": tsvector_of(entry), "words": list(dict.fromkeys(words))}


def _term(term: Term, weights: str) -> str:
    beginning = "*" if term.kind is Kind.PINYIN and weights != HEAD else ""
    return f"{_quoted(LETTERS[term.kind] + term.text)}:{beginning}{weights}"


def _tsquery_text(concept: Concept, weights: str) -> str:
    """Any alternative, all terms of it. Pairs tell nothing about what a thing is or whether a name has the word."""
    pairs_count = weights not in (HEAD, NAME)
    return "|".join(
        "(" + "&".join(_term(term, weights) for term in terms) + ")"
        for terms in concept.alternatives
        if pairs_count or not any(term.kind is Kind.PAIR for term in terms)
    )


def _has(query: str) -> ColumnElement[bool]:
    if not query:
        return false()
    return TABLE.c.tokens.op("@@", return_type=true().type)(cast(literal(query, Text), TSQUERY))


def has_at_least(concepts: Sequence[Concept], least: int) -> ColumnElement[bool]:
    """Whether a row has all `concepts`, or any of them when `least` is 1."""
    if not concepts:
        return true()
    joined = "&" if least == len(concepts) else "|"
    return _has(joined.join(f"({_tsquery_text(concept, ANYWHERE)})" for concept in concepts))


def _level(concept: Concept) -> ColumnElement[int]:
    """The points of a concept; 0 when it is not there. See engine.py."""
    return case(
        *(
            (_has(_tsquery_text(concept, weights)), points)
            for points, weights in POINTS
            if _tsquery_text(concept, weights)
        ),
        else_=0,
    )


def _codes(codes: Iterable[str]) -> ColumnElement[Any]:
    """Codes as PostgreSQL can take them: nothing it cannot store is in the index either."""
    storable = [code for code in codes if "\x00" not in code and code.isprintable()]
    return cast(bindparam(None, storable, type_=ARRAY(Text), unique=True), ARRAY(Text))


def _bounded(price_fen: int) -> int:
    return max(-MAX_INTEGER, min(MAX_INTEGER, price_fen))


def _passes(request: SearchRequest) -> dict[str, ColumnElement[bool]]:
    """For each facet whether a row passes its filter."""
    chosen = {
        "category": (request.category,) if request.category else (),
        "county": request.counties,
        "certificate": request.certificates,
        "cooperative": request.cooperatives,
    }
    passes = {
        facet: TABLE.c[facet].op("&&", return_type=true().type)(_codes(codes))
        for facet, codes in chosen.items()
        if codes
    }
    prices = []
    if request.price_min_fen is not None:
        prices.append(TABLE.c.price_fen >= _bounded(request.price_min_fen))
    if request.price_max_fen is not None:
        prices.append(TABLE.c.price_fen <= _bounded(request.price_max_fen))
    return {**{facet: true() for facet in FACETS}, **passes, "price": and_(true(), *prices)}


def _hits(reading: Reading, request: SearchRequest) -> Subquery:
    """The rows that match, how well, and which filters they pass."""
    levels = [_level(concept) for concept in reading.concepts]
    matched = sum((case((level > 0, 1), else_=0) for level in levels), literal(0))
    query = select(
        *(column for column in TABLE.c if column.name not in {"tokens", "words"}),
        matched.label("matched"),
        sum(levels, literal(0)).label("points"),
        *(passes.label(f"in_{facet}") for facet, passes in _passes(request).items()),
    ).where(has_at_least(reading.concepts, reading.least))
    if request.in_stock_only:
        query = query.where(TABLE.c.in_stock)
    return query.cte("hits")


def _order(hits: Any, reading: Reading, request: SearchRequest) -> list[ColumnElement[Any]]:
    sort = request.sort if reading.concepts else request.sort.without_words
    c = hits.c
    asked = {
        Sort.PRIORITY: [],
        Sort.RELEVANCE: [c.name_length],
        Sort.SOLD: [c.sold.desc()],
        Sort.NEWEST: [c.published.desc()],
        Sort.PRICE_UP: [c.price_fen],
        Sort.PER_KG_UP: [c.price_per_kg_fen],
        Sort.PRICE_DOWN: [c.price_fen.desc()],
    }[sort]
    points = [c.points.desc()] if sort in SORTS_BY_POINTS else []
    last = [c.priority.desc(), c.published.desc(), c.listing_no.collate("C")]
    return [c.matched.desc(), c.in_stock.desc(), *points, *asked, *last]


def answer_of(reading: Reading, request: SearchRequest) -> Select[Any]:
    """One statement for a page: rows (part, code, number), see `postgresql_engine._result`.

    The listings of the window with their place, the total, the values of each facet and the price bands.
    """
    hits = _hits(reading, request)
    passes = {facet: hits.c[f"in_{facet}"] for facet in FACETS}
    start, end = request.window
    order = _order(hits, reading, request)
    window = (
        select(hits.c.listing_no, func.row_number().over(order_by=order).label("place"))
        .where(*passes.values())
        .order_by(*order)
        .limit(end - start)
        .offset(start)
        .subquery()
    )
    parts = [
        select(
            literal("listing").label("part"),
            window.c.listing_no.label("code"),
            window.c.place.label("number"),
        ),
        select(literal("total"), literal(""), func.count()).select_from(hits).where(*passes.values()),
    ]
    for facet in FACETS[:-1]:
        others = [passed for other, passed in passes.items() if other != facet]
        codes = hits.c[facet].label("codes")
        alike = select(codes, func.count().label("number")).where(*others).group_by(codes).subquery()
        each = select(func.unnest(alike.c.codes).label("code"), alike.c.number).subquery()
        parts.append(select(literal(facet), each.c.code, func.sum(each.c.number)).group_by(each.c.code))
    others = [passed for other, passed in passes.items() if other != "price"]
    band = case(
        *(
            (hits.c.price_fen < below, str(place))
            for place, (_, below) in enumerate(PRICE_BANDS_FEN)
            if below is not None
        ),
        else_=str(len(PRICE_BANDS_FEN) - 1),
    ).label("band")
    parts.append(select(literal("price"), band, func.count()).select_from(hits).where(*others).group_by(band))
    return union_all(*parts)
