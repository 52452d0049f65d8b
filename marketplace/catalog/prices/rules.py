"""The price guard (domain.md section 10; abuses A1, A3, A15): a price too far above its reference is not published
unless the county has accepted why, one far below it is flagged and explained, and goods listed anew are recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import index_anew
from marketplace.catalog.models import (
    Listing,
    ListingState,
    ListingVersion,
    Product,
)
from marketplace.catalog.prices.guard import (
    Verdict,
    excess_bp,
    median_of,
    most_unit_fen,
    per_kg_fen,
    verdict_of,
)
from marketplace.catalog.prices.models import (
    ExplanationKind,
    ExplanationState,
    PriceCheck,
    PriceExplanation,
    ReferencePrice,
    ReferenceSource,
)
from marketplace.catalog.prices.queries import (
    LIVE_NAME,
    PROVINCE,
    USUAL,
    PriceRules,
    Reference,
    explanation_in_force,
    guarding_reference,
    known_before,
    live_quotes,
    rules_in_force,
)
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_rate, format_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Region
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewDecision, ReviewKind
from marketplace.registry.reviews.rules import open_review

MOST_REASON = 1000
STATE_OF = {
    CaseState.PASSED: ExplanationState.ACCEPTED,
    CaseState.REJECTED: ExplanationState.REFUSED,
    CaseState.RETURNED: ExplanationState.RETURNED,
}


@dataclass(frozen=True)
class PriceFinding:
    """How the tiers of an offer stand: against which reference, by which rules, with which explanation, and which
    listing the goods are known from."""

    product: Product
    net_mass_g: int
    unit_fen: int
    verdict: Verdict
    reference: Reference | None
    rules: PriceRules
    explanation: PriceExplanation | None
    relists: Listing | None

    @property
    def is_blocked(self) -> bool:
        """Whether nobody has accepted a price above the bound."""
        return self.verdict is Verdict.ABOVE and self.explanation is None

    @property
    def most_unit_fen(self) -> int | None:
        """The highest unit price that needs no explanation; None without a reference."""
        if self.reference is None:
            return None
        return most_unit_fen(self.net_mass_g, self.reference.per_kg_fen, self.rules.bounds)

    @property
    def excess_bp(self) -> int:
        """How far the price lies above its reference (below: negative), in basis points; 0 without one."""
        if self.reference is None:
            return 0
        return excess_bp(self.unit_fen, self.net_mass_g, self.reference.per_kg_fen)


def assess_price(
    session: Session, product: Product, tiers: Sequence[tuple[int, int]], *, net_mass_g: int | None = None
) -> PriceFinding:
    """How tiers (least quantity, unit price in fen) of a product stand to what the same goods cost elsewhere; a unit
    holds `net_mass_g` grams, those of the product unless said otherwise.

    Goods that were listed before and have no reference of their own are held against that of the earlier listing."""
    on, county = today(), product.cooperative.county_code
    mass_g = net_mass_g or product.net_mass_g
    rules = rules_in_force(session, {county}, on)[county]
    relists = known_before(session, product)
    reference = guarding_reference(session, product, on, rules)
    if reference is None and relists is not None:
        reference = guarding_reference(session, relists.product, on, rules)
    ordered = [price for _least, price in sorted(tiers)]
    verdict = verdict_of(
        ordered[0],
        ordered[-1],
        mass_g,
        reference.per_kg_fen if reference else None,
        rules.bounds,
    )
    accepted = (
        explanation_in_force(session, product, ordered[0], on, mass_g) if verdict is Verdict.ABOVE else None
    )
    return PriceFinding(product, mass_g, ordered[0], verdict, reference, rules, accepted, relists)


def require_fair(finding: PriceFinding) -> None:
    """Raise Refused, with the figures, when a price is above the bound and nobody has accepted why."""
    reference = finding.reference
    if not finding.is_blocked or reference is None or finding.most_unit_fen is None:
        return
    raise Refused(
        "price_above",
        N_(
            "单价折合每千克 %(price)s 元，比参考价 %(reference)s 元高 %(excess)s%%，超过允许的 %(most)s%%。"
            "请把单价降到 %(limit)s 元以内，或者提交价格说明，由县里核定"
        ),
        field="tiers",
        price=format_yuan(per_kg_fen(finding.unit_fen, finding.net_mass_g)),
        reference=format_yuan(reference.per_kg_fen),
        excess=format_rate(finding.excess_bp),
        most=format_rate(finding.rules.above_bp),
        limit=format_yuan(finding.most_unit_fen),
    )


def held_columns(finding: PriceFinding) -> dict[str, Any]:
    """The columns of a check that keep what a price was held against."""
    reference, explanation = finding.reference, finding.explanation
    return {
        "unit_price_fen": finding.unit_fen,
        "net_mass_g": finding.net_mass_g,
        "verdict": finding.verdict,
        "above_bp": finding.rules.above_bp,
        "reference_per_kg_fen": reference.per_kg_fen if reference else None,
        "reference_on": reference.observed_on if reference else None,
        "reference_source": reference.source if reference else None,
        "reference_from": reference.source_name if reference else "",
        "quotes": reference.quotes if reference else 0,
        "explanation_id": explanation.id if explanation else None,
        "explained_fen": explanation.unit_price_fen if explanation else None,
    }


def freeze_check(session: Session, version: ListingVersion, finding: PriceFinding) -> PriceCheck:
    """Keep with a version what its price was held against. The version and its tiers must be flushed."""
    check = PriceCheck(
        version_id=version.id,
        product_id=finding.product.id,
        relists_id=finding.relists.id if finding.relists else None,
        **held_columns(finding),
    )
    session.add(check)
    session.flush()
    return check


def explain_price(
    session: Session,
    actor: Actor,
    product: Product,
    *,
    tiers: Sequence[tuple[int, int]],
    reason: str,
    file: StoredFile | None = None,
) -> PriceExplanation:
    """Say why a product costs more, or less, than the same goods elsewhere; its county decides.

    `tiers` are the prices meant. Raises Refused without a reason or when the price needs none, Conflict when one is
    being decided already.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id != product.cooperative_id or actor.user_id is None:
        raise NotFound
    reason = reason.strip()
    if not 1 <= len(reason) <= MOST_REASON:
        raise Refused(
            "reason", N_("请写明成本、品质等理由，最多 %(most)s 个字"), field="reason", most=MOST_REASON
        )
    finding = assess_price(session, product, tiers)
    if finding.reference is None or finding.verdict not in (Verdict.ABOVE, Verdict.LOW):
        raise Refused("price_fits", N_("这个价格在合理范围内，不需要说明"))
    waiting = select(PriceExplanation.id).where(
        PriceExplanation.product_id == product.id, PriceExplanation.state == ExplanationState.WAITING
    )
    if session.scalar(waiting):
        raise Conflict("explained_already", N_("这个产品已有一份价格说明在核定，请等结果"))
    explanation = PriceExplanation(
        product_id=product.id,
        cooperative_id=product.cooperative_id,
        kind=ExplanationKind(finding.verdict.value),
        unit_price_fen=finding.unit_fen if finding.verdict is Verdict.ABOVE else min(p for _, p in tiers),
        net_mass_g=product.net_mass_g,
        reference_per_kg_fen=finding.reference.per_kg_fen,
        reference_on=finding.reference.observed_on,
        reference_from=finding.reference.source_name,
        reason=reason,
        file_id=file.id if file else None,
        explained_by=actor.user_id,
    )
    session.add(explanation)
    session.flush()
    open_review(
        session,
        actor,
        kind=ReviewKind.PRICE_EXPLANATION,
        subject_id=explanation.id,
        title=f"{product.name} {product.specification}",
        region_code=product.cooperative.county_code,
        cooperative_id=product.cooperative_id,
    )
    record_trail(
        session,
        actor,
        "catalog.explain_price",
        subject=("product", product.public_no),
        explanation=explanation.public_no,
        unit_price_fen=explanation.unit_price_fen,
    )
    return explanation


def apply_explanation_outcome(session: Session, case: ReviewCase) -> None:
    """What the county's answer means: an accepted price may be published for a while; goods whose low price was not
    accepted are taken off sale."""
    explanation = session.get_one(PriceExplanation, case.subject_id)
    product = session.get_one(Product, explanation.product_id)
    county = product.cooperative.county_code
    decided_by = session.scalar(
        select(ReviewDecision.decided_by)
        .where(ReviewDecision.case_id == case.id)
        .order_by(ReviewDecision.position.desc())
        .limit(1)
    )
    days = rules_in_force(session, {county}, today())[county].explained_days
    explanation.state, explanation.decided_at = STATE_OF[case.state], now()
    explanation.decided_by = decided_by
    if explanation.state is ExplanationState.ACCEPTED:
        explanation.valid_until_on = today() + timedelta(days=days)
    session.flush()
    refused_low = explanation.kind is ExplanationKind.LOW and explanation.state is ExplanationState.REFUSED
    listing = session.scalar(select(Listing).where(Listing.product_id == product.id)) if refused_low else None
    if listing is not None and listing.state is ListingState.PUBLISHED:
        listing.state = ListingState.WITHDRAWN
        index_anew(session, [listing.id])
        session.flush()


def record_reference(
    session: Session,
    actor: Actor,
    *,
    category_code: str,
    specification: str,
    spec_key: str,
    per_kg_fen: int,
    observed_on: date,
    source_name: str,
) -> ReferencePrice:
    """Publish a reference price per kilogram for the actor's jurisdiction (an operator's is the province).

    Raises Refused for a day that is to come or too long ago; Conflict when one of that day is published already.
    """
    actor.require(Permission.MANAGE_REFERENCE_PRICES)
    region = actor.county_code or PROVINCE
    if observed_on > today():
        raise Refused("observed_on", N_("采价日期不能晚于今天"), field="observed_on")
    if observed_on <= today() - timedelta(days=USUAL.valid_days):
        raise Refused(
            "observed_long_ago",
            N_("采价日期已超过 %(days)s 天，不能再作参考"),
            field="observed_on",
            days=USUAL.valid_days,
        )
    if not 0 < per_kg_fen <= 100_000_00:
        raise Refused("per_kg", N_("参考价须大于 0 且不超过每千克 10 万元"), field="per_kg_fen")
    same = select(ReferencePrice.id).where(
        ReferencePrice.category_code == category_code,
        ReferencePrice.spec_key == spec_key,
        ReferencePrice.region_code == region,
        ReferencePrice.source == ReferenceSource.SHEET,
        ReferencePrice.observed_on == observed_on,
    )
    if session.scalar(same):
        raise Conflict("reference_known", N_("这个规格当天的参考价已经发布，不能重复"), field="observed_on")
    row = ReferencePrice(
        category_code=category_code,
        spec_key=spec_key,
        specification=specification,
        region_code=region,
        source=ReferenceSource.SHEET,
        source_name=source_name,
        per_kg_fen=per_kg_fen,
        observed_on=observed_on,
        recorded_by=actor.user_id,
    )
    session.add(row)
    session.flush()
    return row


def record_live_medians(session: Session) -> int:
    """Write the day's medians of what is on sale, one for each specification that enough cooperatives sell; how many.
    Once a day: what is there is left alone."""
    if session.get(Region, PROVINCE) is None:
        return 0
    least = rules_in_force(session, {PROVINCE}, today())[PROVINCE].min_quotes
    quotes = {key: prices for key, prices in live_quotes(session).items() if len(prices) >= least}
    known = set(
        session.execute(
            select(ReferencePrice.category_code, ReferencePrice.spec_key).where(
                ReferencePrice.source == ReferenceSource.LIVE,
                ReferencePrice.region_code == PROVINCE,
                ReferencePrice.observed_on == today(),
            )
        ).all()
    )
    fresh = {key: prices for key, prices in quotes.items() if key not in known}
    named = _specifications(session, fresh)
    session.add_all(
        ReferencePrice(
            category_code=category,
            spec_key=spec,
            specification=named[category, spec],
            region_code=PROVINCE,
            source=ReferenceSource.LIVE,
            source_name=LIVE_NAME,
            per_kg_fen=median_of(list(prices.values())),
            quotes=len(prices),
            observed_on=today(),
        )
        for (category, spec), prices in sorted(fresh.items())
    )
    session.flush()
    return len(fresh)


def _specifications(session: Session, wanted: Mapping[tuple[str, str], object]) -> dict[tuple[str, str], str]:
    """How the specifications are written by whoever described them first."""
    query = (
        select(Product.category_code, Product.spec_key, Product.specification)
        .where(Product.spec_key.in_({spec for _category, spec in wanted}))
        .order_by(Product.id.desc())
    )
    return {(category, spec): words for category, spec, words in session.execute(query)}
