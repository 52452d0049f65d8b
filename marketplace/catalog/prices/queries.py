"""Reading the price guard: the policy in force, what goods cost elsewhere, and which goods are known already."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from marketplace.catalog.models import (
    Listing,
    ListingState,
    ListingVersion,
    PriceTier,
    Product,
    ProductPicture,
)
from marketplace.catalog.prices.guard import Bounds, Verdict, excess_bp, median_of, per_kg_fen
from marketplace.catalog.prices.models import (
    ExplanationKind,
    ExplanationState,
    PriceCheck,
    PriceExplanation,
    PricePolicy,
    ReferencePrice,
    ReferenceSource,
)
from marketplace.core.labels import N_, NN_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative, CooperativeState, Region
from marketplace.registry.reviews.models import ReviewCase, ReviewKind
from marketplace.web.tasks import Task

PROVINCE = "36"
CODE_LENGTHS = (6, 4, 2)
LONGEST_DAYS = 1000
LIVE_NAME = N_("平台在售商品的中位数")


@dataclass(frozen=True)
class PriceRules:
    """How far prices may lie from their reference; see PricePolicy."""

    above_bp: int = 2_000
    below_bp: int = 4_000
    change_bp: int = 1_000
    min_quotes: int = 3
    valid_days: int = 180
    explained_days: int = 180

    @property
    def bounds(self) -> Bounds:
        """The two bounds of the comparison."""
        return Bounds(self.above_bp, self.below_bp)


USUAL = PriceRules()  # where no policy is kept: 120 % of the median, domain.md section 10


@dataclass(frozen=True)
class Reference:
    """What goods of one specification cost per kilogram: fen, of which day, from where, of how many prices."""

    per_kg_fen: int
    observed_on: date
    source: ReferenceSource
    source_name: str
    quotes: int = 0


def rules_in_force(session: Session, county_codes: Collection[str], on: date) -> dict[str, PriceRules]:
    """The price rules of counties on a day: of the nearest jurisdiction, those that began last; USUAL without any."""
    codes = {code[:length] for code in county_codes for length in CODE_LENGTHS}
    query = select(PricePolicy).where(PricePolicy.region_code.in_(sorted(codes)), PricePolicy.from_on <= on)
    last = {row.region_code: row for row in session.scalars(query.order_by(PricePolicy.from_on))}
    found: dict[str, PriceRules] = {}
    for county in county_codes:
        row = next((last[county[:length]] for length in CODE_LENGTHS if county[:length] in last), None)
        found[county] = (
            PriceRules(
                row.above_bp, row.below_bp, row.change_bp, row.min_quotes, row.valid_days, row.explained_days
            )
            if row
            else USUAL
        )
    return found


def stored_references(session: Session, products: Sequence[Product], on: date) -> dict[int, Reference]:
    """The reference of each product that has one on a day, by product id, in two statements.

    What a jurisdiction published of the specification goes first, then the market's median, then what was published of
    the whole category; of these the nearest jurisdiction and the latest day.
    """
    rules = rules_in_force(session, {product.cooperative.county_code for product in products}, on)
    rows = _stored_rows(session, products, on)
    found: dict[int, Reference] = {}
    for product in products:
        county = product.cooperative.county_code
        since = on - timedelta(days=rules[county].valid_days)
        fitting = [
            row
            for row in rows
            if row.category_code == product.category_code
            and row.spec_key in (product.spec_key, "")
            and county.startswith(row.region_code)
            and row.observed_on > since
        ]
        if fitting:
            found[product.id] = _reference(max(fitting, key=_precedence))
    return found


def _stored_rows(session: Session, products: Sequence[Product], on: date) -> list[ReferencePrice]:
    counties = {product.cooperative.county_code for product in products}
    query = select(ReferencePrice).where(
        ReferencePrice.category_code.in_({product.category_code for product in products}),
        ReferencePrice.spec_key.in_({"", *(product.spec_key for product in products)}),
        ReferencePrice.region_code.in_({code[:length] for code in counties for length in CODE_LENGTHS}),
        ReferencePrice.observed_on <= on,
        ReferencePrice.observed_on > on - timedelta(days=LONGEST_DAYS),
    )
    return list(session.scalars(query))


def _precedence(row: ReferencePrice) -> tuple[bool, bool, int, date]:
    is_sheet = row.source is ReferenceSource.SHEET
    return (row.spec_key != "", is_sheet, len(row.region_code), row.observed_on)


def _reference(row: ReferencePrice) -> Reference:
    return Reference(row.per_kg_fen, row.observed_on, row.source, row.source_name, row.quotes)


def guarding_reference(session: Session, product: Product, on: date, rules: PriceRules) -> Reference | None:
    """What a new price of `product` is held against: as stored, but a market median is taken now and without the
    cooperative's own prices, so that nobody lifts its own bound."""
    since = on - timedelta(days=rules.valid_days)
    published = [
        row
        for row in _stored_rows(session, [product], on)
        if row.source is ReferenceSource.SHEET and row.observed_on > since
    ]
    exact = [row for row in published if row.spec_key]
    if exact:
        return _reference(max(exact, key=_precedence))
    same = (Product.category_code == product.category_code) & (Product.spec_key == product.spec_key)
    quotes = live_quotes(session, same & (Product.cooperative_id != product.cooperative_id))
    prices = quotes.get((product.category_code, product.spec_key), {})
    if len(prices) >= rules.min_quotes:
        return Reference(median_of(list(prices.values())), on, ReferenceSource.LIVE, LIVE_NAME, len(prices))
    return _reference(max(published, key=_precedence)) if published else None


def live_quotes(
    session: Session, condition: ColumnElement[bool] | None = None
) -> dict[tuple[str, str], dict[int, int]]:
    """One price per kilogram of each cooperative that sells, by category and specification: the median of its own, so
    that many listings of one cooperative count once."""
    query = (
        select(
            Product.category_code,
            Product.spec_key,
            Product.cooperative_id,
            PriceTier.unit_price_fen,
            ListingVersion.net_mass_g,
        )
        .join(Listing, Listing.product_id == Product.id)
        .join(ListingVersion, ListingVersion.id == Listing.current_version_id)
        .join(PriceTier, (PriceTier.version_id == ListingVersion.id) & (PriceTier.min_quantity == 1))
        .join(Cooperative, Cooperative.id == Product.cooperative_id)
        .where(Listing.state == ListingState.PUBLISHED, Cooperative.state == CooperativeState.ADMITTED)
    )
    if condition is not None:
        query = query.where(condition)
    own: dict[tuple[str, str], dict[int, list[int]]] = {}
    for category, spec, cooperative_id, unit_fen, mass_g in session.execute(query):
        own.setdefault((category, spec), {}).setdefault(cooperative_id, []).append(
            per_kg_fen(unit_fen, mass_g)
        )
    return {
        key: {cooperative_id: median_of(prices) for cooperative_id, prices in by_cooperative.items()}
        for key, by_cooperative in own.items()
    }


def known_before(session: Session, product: Product) -> Listing | None:
    """The listing under which the same goods were sold before: of the same cooperative, or of one with the same legal
    person and telephone, in the same category, with the same goods or the same picture; the latest."""
    own = product.cooperative
    mine, other = aliased(ProductPicture), aliased(ProductPicture)
    same_picture = (
        select(other.product_id)
        .join(mine, mine.large_address == other.large_address)
        .where(mine.product_id == product.id)
    )
    query = (
        select(Listing)
        .join(Product, Product.id == Listing.product_id)
        .join(Cooperative, Cooperative.id == Product.cooperative_id)
        .where(
            Product.id < product.id,
            Product.category_code == product.category_code,
            Listing.current_version_id.is_not(None),
            or_(
                Cooperative.id == own.id,
                (Cooperative.legal_person == own.legal_person) & (Cooperative.phone == own.phone),
            ),
            or_(Product.goods_key == product.goods_key, Product.id.in_(same_picture)),
        )
        .order_by(Listing.id.desc())
        .limit(1)
    )
    return session.scalars(query).unique().first()


def explanation_in_force(
    session: Session, product: Product, unit_price_fen: int, on: date, net_mass_g: int
) -> PriceExplanation | None:
    """The accepted explanation that lets a unit of `product` cost so much on a day; the one that ends last."""
    query = (
        select(PriceExplanation)
        .where(
            PriceExplanation.product_id == product.id,
            PriceExplanation.kind == ExplanationKind.ABOVE,
            PriceExplanation.state == ExplanationState.ACCEPTED,
            PriceExplanation.net_mass_g == net_mass_g,
            PriceExplanation.unit_price_fen >= unit_price_fen,
            PriceExplanation.valid_until_on >= on,
        )
        .order_by(PriceExplanation.valid_until_on.desc(), PriceExplanation.id.desc())
        .limit(1)
    )
    return session.scalars(query).first()


def explanations_of(session: Session, product: Product) -> list[PriceExplanation]:
    """What was explained of a product, newest first, at most fifty."""
    query = select(PriceExplanation).where(PriceExplanation.product_id == product.id)
    return list(session.scalars(query.order_by(PriceExplanation.id.desc()).limit(50)))


def check_of(session: Session, version_id: int) -> PriceCheck | None:
    """The price check of a version; None for one made before there were any."""
    return session.get(PriceCheck, version_id)


def reference_list(*, category_code: str = "", on: date) -> Select[ReferencePrice]:
    """What was published and found in the year up to a day, newest first."""
    query = select(ReferencePrice).where(
        ReferencePrice.observed_on > on - timedelta(days=366), ReferencePrice.observed_on <= on
    )
    if category_code:
        query = query.where(ReferencePrice.category_code == category_code)
    return query.order_by(ReferencePrice.observed_on.desc(), ReferencePrice.id.desc())


def explanation_subject(session: Session, case: ReviewCase) -> tuple[str, dict[str, Any]]:
    """What the county sees of an explanation: the template of the part, and its context."""
    explanation = session.get_one(PriceExplanation, case.subject_id)
    product = explanation.product
    context = {
        "explanation": explanation,
        "product": product,
        "file": session.get(StoredFile, explanation.file_id) if explanation.file_id else None,
        "per_kg": per_kg_fen(explanation.unit_price_fen, explanation.net_mass_g),
        "excess_bp": excess_bp(
            explanation.unit_price_fen, explanation.net_mass_g, explanation.reference_per_kg_fen
        ),
        "relists": known_before(session, product),
        "earlier": [one for one in explanations_of(session, product) if one.id < explanation.id],
    }
    return "catalog/prices/_explanation.html", context


def _in_jurisdiction(actor: Actor) -> ColumnElement[bool]:
    """Products that are the actor's to watch: of its county, or of the province for those above."""
    code = actor.region_code
    within = select(Cooperative.id).where(Cooperative.county_code.startswith(code, autoescape=True))
    return Product.cooperative_id.in_(within)


def flagged_checks(actor: Actor) -> Select[PriceCheck]:
    """The prices on sale in the actor's jurisdiction that look too low, or are of goods listed anew, newest first."""
    return (
        select(PriceCheck)
        .join(Listing, Listing.current_version_id == PriceCheck.version_id)
        .join(Product, Product.id == PriceCheck.product_id)
        .where(
            Listing.state == ListingState.PUBLISHED,
            or_(PriceCheck.verdict == Verdict.LOW, PriceCheck.relists_id.is_not(None)),
            _in_jurisdiction(actor),
        )
        .order_by(PriceCheck.version_id.desc())
        .options(joinedload(PriceCheck.product).lazyload(Product.pictures))
    )


def explanations_in(actor: Actor) -> Select[PriceExplanation]:
    """The explanations of the actor's jurisdiction, or of its own cooperative, newest first."""
    with_product = joinedload(PriceExplanation.product).lazyload(Product.pictures)
    query = select(PriceExplanation).order_by(PriceExplanation.id.desc()).options(with_product)
    if actor.cooperative_id is not None:
        return query.where(PriceExplanation.cooperative_id == actor.cooperative_id)
    return query.join(Product, Product.id == PriceExplanation.product_id).where(_in_jurisdiction(actor))


def case_numbers(session: Session, explanations: Sequence[PriceExplanation]) -> dict[int, str]:
    """The public number of the review of each explanation, by its id."""
    query = select(ReviewCase.subject_id, ReviewCase.public_no).where(
        ReviewCase.kind == ReviewKind.PRICE_EXPLANATION,
        ReviewCase.subject_id.in_([one.id for one in explanations]),
    )
    return dict(session.execute(query).all())


def shown_listings(session: Session, checks: Sequence[PriceCheck]) -> dict[int, Listing]:
    """The listings of checked products, and those they are known from, by id of the product or of the listing."""
    products, known = {one.product_id for one in checks}, {one.relists_id for one in checks if one.relists_id}
    query = select(Listing).where(or_(Listing.product_id.in_(products), Listing.id.in_(known)))
    return {row.id: row for row in session.scalars(query).unique()}


def place_names(session: Session, codes: Collection[str], *, in_full: bool = True) -> dict[str, str]:
    """The names of places by code, in full with the prefecture before the county."""
    name = Region.full_name if in_full else Region.name
    return dict(session.execute(select(Region.code, name).where(Region.code.in_(codes))).all())


def unexplained_low(actor: Actor) -> Select[PriceCheck]:
    """The low prices a cooperative has on sale that nobody has explained since they were set."""
    answered = select(PriceExplanation.product_id).where(
        PriceExplanation.product_id == PriceCheck.product_id,
        PriceExplanation.kind == ExplanationKind.LOW,
        PriceExplanation.state.in_((ExplanationState.WAITING, ExplanationState.ACCEPTED)),
        PriceExplanation.unit_price_fen <= PriceCheck.unit_price_fen,
    )
    return (
        select(PriceCheck)
        .join(Listing, Listing.current_version_id == PriceCheck.version_id)
        .where(
            Listing.cooperative_id == actor.cooperative_id,
            Listing.state == ListingState.PUBLISHED,
            PriceCheck.verdict == Verdict.LOW,
            ~answered.exists(),
        )
        .order_by(PriceCheck.version_id)
        .options(joinedload(PriceCheck.product).lazyload(Product.pictures))
    )


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Low prices that a cooperative should explain."""
    if not actor.can(Permission.MANAGE_LISTINGS) or actor.cooperative_id is None:
        return []
    waiting = unexplained_low(actor).order_by(None).with_only_columns(PriceCheck.version_id)
    count = session.scalar(select(func.count()).select_from(waiting.subquery())) or 0
    return [Task(NN_("%(count)s 件商品的价格明显偏低，请说明原因"), count, "prices.watch")] if count else []
