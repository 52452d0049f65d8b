"""What the same goods cost elsewhere, and what may not cost more: references, bounds, explanations, relisting."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import IndexTask, Listing, ListingState, ListingVersion, PriceTier, Product
from marketplace.catalog.prices.guard import Bounds, Verdict, excess_bp, median_of, most_unit_fen, verdict_of
from marketplace.catalog.prices.models import (
    ExplanationKind,
    ExplanationState,
    PriceCheck,
    PriceExplanation,
    ReferencePrice,
    ReferenceSource,
)
from marketplace.catalog.prices.queries import stored_references
from marketplace.catalog.prices.rules import (
    apply_explanation_outcome,
    assess_price,
    explain_price,
    record_live_medians,
    record_reference,
)
from marketplace.catalog.prices.specs import goods_key_of, spec_key_of
from marketplace.catalog.rules import publish_listing, withdraw_listing
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ordering.models import OrderLine
from marketplace.registry.models import Cooperative
from marketplace.registry.reviews.models import Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.prices import confirmed_policy
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.reviews import default_steps
from tests.factories.trade import TENTH, Offer, ProductFactory, buy, offer, staff_buyer

BOUNDS = Bounds(2_000, 4_000)
OUTCOMES = {ReviewKind.PRICE_EXPLANATION: apply_explanation_outcome}


class Stall:
    """A cooperative with one product of camellia oil (500 g), beside others that sell the same."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.cooperative: Cooperative = CooperativeFactory()
        self.manager: Actor = actor_at(self.cooperative)
        self.product: Product = ProductFactory(cooperative_row=self.cooperative)

    def publish(self, price_fen: int, **changes: Any) -> Listing:
        wish = {
            "product": self.product,
            "title": "山茶油",
            "description": "冷榨",
            "tiers": [(1, price_fen)],
            "terms": TENTH,
            **changes,
        }
        return publish_listing(self.session, self.manager, **wish)

    def refusal(self, price_fen: int, **changes: Any) -> DomainError:
        """How a price is refused; then nothing is for sale and nothing is kept."""
        before = self.counts()
        with pytest.raises(DomainError) as refused, self.session.begin_nested():
            self.publish(price_fen, **changes)
        assert self.counts() == before
        return refused.value

    def counts(self) -> list[int | None]:
        tables = (Listing, ListingVersion, PriceTier, PriceCheck, IndexTask, PriceExplanation, ReviewCase)
        return [self.session.scalar(select(func.count()).select_from(table)) for table in tables]

    def explain(self, price_fen: int, reason: str = "林下老茶林，产量低，人工采摘") -> PriceExplanation:
        return explain_price(self.session, self.manager, self.product, tiers=[(1, price_fen)], reason=reason)

    def answer(self, explanation: PriceExplanation, decision: Decision) -> None:
        """A reviewer of the county decides it."""
        case = last_case_of(self.session, ReviewKind.PRICE_EXPLANATION, explanation.id)
        assert case is not None
        comment = "" if decision is Decision.PASS else "请补充成本单据"
        reviewer = actor_with(Role.COUNTY_REVIEWER)
        decide_step(self.session, reviewer, case, decision=decision, comment=comment, outcomes=OUTCOMES)

    def check(self) -> PriceCheck:
        """The newest check."""
        return self.session.scalars(select(PriceCheck).order_by(PriceCheck.version_id.desc())).first()


def quotes(session: Session, *prices_fen: int) -> list[Offer]:
    """Other cooperatives that sell 500 g of camellia oil at these prices."""
    return [offer(session, CooperativeFactory(), tiers=((1, price),)) for price in prices_fen]


@pytest.fixture
def stall(session: Session, clock: HeldClock) -> Stall:
    default_steps()
    return Stall(session)


# --- what is the same ---


@pytest.mark.parametrize(
    ("specification", "same"),
    [
        ("一级压榨，净重 460 克", "一级压榨 2.5升"),
        ("一级压榨", "一级压榨（净重约 2.3 千克）"),
        ("一芽二叶，净重 250 克", "一芽二叶 净重１２５克"),
        ("大果 80–85 毫米，净重 4 千克", "大果 80-85 毫米"),
        ("500毫升×2", "500 克"),
    ],
)
def test_the_size_of_the_pack_is_no_part_of_a_specification(specification: str, same: str) -> None:
    assert spec_key_of(specification, "山茶油") == spec_key_of(same, "山茶油")


def test_another_grade_is_another_specification_and_a_bare_size_means_the_goods() -> None:
    assert spec_key_of("一级压榨，净重 460 克", "山茶油") != spec_key_of("二级压榨，净重 460 克", "山茶油")
    assert spec_key_of("净重 500 克", "口粮红茶") == "口粮红茶"
    assert spec_key_of("净重 500 克", "特级红茶") != spec_key_of("净重 500 克", "口粮红茶")
    assert spec_key_of("！！", "？") == goods_key_of("？") == "-"


@pytest.mark.parametrize(
    "name", ["冷榨山茶油 2.5升", "冷榨山茶油礼盒 两瓶", "【特价】冷榨山茶油500ml*2", "冷榨·山茶油（新包装）"]
)
def test_goods_are_recognised_under_another_name_of_their_pack(name: str) -> None:
    assert goods_key_of(name) == goods_key_of("冷榨山茶油 500毫升") == "冷榨山茶油"


# --- arithmetic ---


@pytest.mark.parametrize(
    ("prices", "middle"), [([3], 3), ([9, 1, 5], 5), ([1, 2], 2), ([4, 2, 8, 6], 5), ([10, 13], 12)]
)
def test_the_median_of_an_even_number_is_the_mean_rounded_half_up(prices: list[int], middle: int) -> None:
    assert median_of(prices) == middle


@pytest.mark.parametrize(
    ("dearest", "cheapest", "grams", "reference", "verdict"),
    [
        (6_000, 6_000, 500, 10_000, Verdict.FITS),
        (6_001, 6_001, 500, 10_000, Verdict.ABOVE),
        (3_000, 3_000, 500, 10_000, Verdict.FITS),
        (5_000, 2_999, 500, 10_000, Verdict.LOW),
        (
            4,
            4,
            3,
            1_111,
            Verdict.ABOVE,
        ),  # 1,333.33 a kilogram against 1,333.2: never rounded before it is compared
        (5_000, 1, 500, None, Verdict.NONE),
    ],
)
def test_a_price_is_held_against_its_reference_to_the_fen(
    dearest: int, cheapest: int, grams: int, reference: int | None, verdict: Verdict
) -> None:
    assert verdict_of(dearest, cheapest, grams, reference, BOUNDS) is verdict


def test_the_highest_price_that_needs_no_explanation() -> None:
    assert most_unit_fen(500, 10_000, BOUNDS) == 6_000
    assert most_unit_fen(3, 1_111, BOUNDS) == 3
    assert (excess_bp(6_500, 500, 10_000), excess_bp(2_500, 500, 10_000)) == (3_000, -5_000)


# --- the market's own median ---


def test_a_price_above_120_percent_of_the_median_is_not_published(stall: Stall, session: Session) -> None:
    quotes(session, 4_000, 5_000, 5_200)
    refusal = stall.refusal(6_001)
    assert (refusal.code, refusal.field) == ("price_above", "tiers")
    assert refusal.params == {
        "price": "120.02", "reference": "100.00", "excess": "20.02", "most": "20.00", "limit": "60.00",
    }  # fmt: skip
    listing = stall.publish(6_000)
    check = stall.check()
    assert (check.version_id, check.verdict) == (listing.current_version_id, Verdict.FITS)
    assert (check.reference_per_kg_fen, check.quotes, check.reference_on) == (10_000, 3, today())
    assert (check.reference_source, check.above_bp) == (ReferenceSource.LIVE, 2_000)


def test_two_cooperatives_make_no_median_and_many_listings_of_one_count_once(
    stall: Stall, session: Session
) -> None:
    busy = quotes(session, 5_000, 5_000)[0].cooperative
    for _ in range(5):
        offer(session, busy, tiers=((1, 5_000),))
    stall.publish(90_000)
    assert (stall.check().verdict, stall.check().reference_per_kg_fen) == (Verdict.NONE, None)


def test_nobody_lifts_the_bound_by_its_own_listings(stall: Stall, session: Session) -> None:
    quotes(session, 5_000, 5_000, 5_000)
    offer(session, stall.cooperative, tiers=((1, 50_000),))
    assert stall.refusal(6_001).params["reference"] == "100.00"


def test_what_is_withdrawn_or_of_another_specification_is_no_quote(stall: Stall, session: Session) -> None:
    offers = quotes(session, 5_000, 5_000, 5_000, 9_000)
    withdraw_listing(session, actor_at(offers[3].cooperative), offers[3].listing)
    assert assess_price(session, stall.product, [(1, 6_001)]).verdict is Verdict.ABOVE
    withdraw_listing(session, actor_at(offers[0].cooperative), offers[0].listing)
    assert assess_price(session, stall.product, [(1, 6_001)]).verdict is Verdict.NONE
    fine = ProductFactory(cooperative_row=stall.cooperative, specification="特级压榨 500 克")
    assert assess_price(session, fine, [(1, 9_000)]).verdict is Verdict.NONE


def test_packs_of_other_sizes_are_compared_by_the_kilogram(stall: Stall, session: Session) -> None:
    quotes(session, 5_000, 5_000, 5_000)
    jug = ProductFactory(
        cooperative_row=stall.cooperative, specification="2.5 千克", net_mass_g=2_500, gross_mass_g=2_700
    )
    assert assess_price(session, jug, [(1, 30_000)]).verdict is Verdict.FITS
    assert assess_price(session, jug, [(1, 30_001)]).verdict is Verdict.ABOVE


def test_the_day_s_medians_are_written_once(stall: Stall, session: Session, clock: HeldClock) -> None:
    quotes(session, 4_000, 5_000, 5_200)
    assert (record_live_medians(session), record_live_medians(session)) == (1, 0)
    clock.advance(days=1)
    assert record_live_medians(session) == 1
    rows = session.scalars(select(ReferencePrice).order_by(ReferencePrice.id)).all()
    assert [(row.per_kg_fen, row.quotes, row.source, row.specification) for row in rows] == [
        (10_000, 3, ReferenceSource.LIVE, "500 克")
    ] * 2


# --- what is published ---


def publish_reference(session: Session, per_kg_fen: int, **changes: Any) -> ReferencePrice:
    said = {
        "category_code": "camellia-oil",
        "specification": "500 克",
        "spec_key": spec_key_of("500 克", "山茶油"),
        "observed_on": today(),
        "source_name": "县发改局价格监测",
        **changes,
    }
    actor = said.pop("actor", None) or actor_with(Role.COUNTY_REVIEWER)
    return record_reference(session, actor, per_kg_fen=per_kg_fen, **said)


def test_a_published_price_goes_before_the_market_s_median(stall: Stall, session: Session) -> None:
    quotes(session, 9_000, 9_000, 9_000)
    publish_reference(session, 10_000)
    assert stall.refusal(6_001).params["reference"] == "100.00"
    stall.publish(6_000)
    assert (stall.check().reference_source, stall.check().reference_from) == (
        ReferenceSource.SHEET,
        "县发改局价格监测",
    )


def test_a_price_of_the_whole_category_is_the_last_resort(stall: Stall, session: Session) -> None:
    publish_reference(session, 10_000, spec_key="", specification="", actor=actor_with(Role.OPERATOR))
    assert stall.refusal(6_001).code == "price_above"
    quotes(session, 9_000, 9_000, 9_000)
    assert stall.publish(6_001).state is ListingState.PUBLISHED


def test_the_county_s_price_goes_before_the_province_s_and_a_newer_before_an_older(
    stall: Stall, session: Session, clock: HeldClock
) -> None:
    publish_reference(session, 20_000, actor=actor_with(Role.OPERATOR))
    publish_reference(session, 10_000)

    def found() -> int:
        return stored_references(session, [stall.product], today())[stall.product.id].per_kg_fen

    assert found() == 10_000
    clock.advance(days=1)
    publish_reference(session, 12_000)
    assert found() == 12_000
    publish_reference(session, 30_000, actor=actor_with(Role.OPERATOR))
    assert found() == 12_000
    clock.advance(days=180)
    assert stored_references(session, [stall.product], today()) == {}


@pytest.mark.parametrize(
    ("changes", "per_kg_fen", "code"),
    [
        ({"observed_on": date(2026, 6, 2)}, 10_000, "observed_on"),
        ({"observed_on": date(2025, 12, 3)}, 10_000, "observed_long_ago"),
        ({}, 0, "per_kg"),
        ({}, 100_000_01, "per_kg"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(
    stall: Stall, session: Session, changes: dict[str, Any], per_kg_fen: int, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        publish_reference(session, per_kg_fen, **changes)
    assert refused.value.code == code
    assert session.scalar(select(func.count()).select_from(ReferencePrice)) == 0


def test_a_reference_is_published_once_a_day_by_those_who_may(stall: Stall, session: Session) -> None:
    publish_reference(session, 10_000)
    with pytest.raises(Conflict):
        publish_reference(session, 11_000)
    for actor in (stall.manager, staff_buyer(), actor_with(Role.AUDITOR)):
        with pytest.raises(Forbidden):
            publish_reference(session, 11_000, actor=actor)
    assert session.scalars(select(ReferencePrice.per_kg_fen)).all() == [10_000]


def test_a_jurisdiction_may_set_its_own_bounds(stall: Stall, session: Session) -> None:
    publish_reference(session, 10_000)
    confirmed_policy(session, region_code="3610", above_bp=1_000, below_bp=1_000, change_bp=500)
    assert stall.refusal(5_501).params["most"] == "10.00"
    assert stall.publish(4_400).current_version is not None
    assert (stall.check().verdict, stall.check().above_bp) == (Verdict.LOW, 1_000)


# --- explanations ---


def test_an_accepted_explanation_lets_the_price_pass_for_a_while(
    stall: Stall, session: Session, clock: HeldClock
) -> None:
    publish_reference(session, 10_000)
    explanation = stall.explain(8_000)
    assert (explanation.kind, explanation.state) == (ExplanationKind.ABOVE, ExplanationState.WAITING)
    assert stall.refusal(8_000).code == "price_above"
    stall.answer(explanation, Decision.PASS)
    assert explanation.valid_until_on == today() + timedelta(days=180)
    assert stall.refusal(8_001).code == "price_above"
    stall.publish(8_000)
    assert (stall.check().verdict, stall.check().explanation_id) == (Verdict.ABOVE, explanation.id)
    clock.advance(days=170)
    publish_reference(session, 10_000)
    clock.advance(days=11)
    assert stall.refusal(7_000).code == "price_above"


@pytest.mark.parametrize(
    ("decision", "state"),
    [(Decision.REJECT, ExplanationState.REFUSED), (Decision.RETURN, ExplanationState.RETURNED)],
)
def test_a_price_nobody_accepted_stays_blocked_and_may_be_explained_again(
    stall: Stall, session: Session, decision: Decision, state: ExplanationState
) -> None:
    publish_reference(session, 10_000)
    explanation = stall.explain(8_000)
    stall.answer(explanation, decision)
    assert (explanation.state, explanation.valid_until_on) == (state, None)
    assert stall.refusal(8_000).code == "price_above"
    assert stall.explain(8_000).id != explanation.id


@pytest.mark.parametrize(
    ("price_fen", "reason", "code"),
    [(8_000, "  ", "reason"), (8_000, "贵" * 1001, "reason"), (6_000, "好", "price_fits")],
)
def test_an_explanation_that_says_nothing_is_refused(
    stall: Stall, session: Session, price_fen: int, reason: str, code: str
) -> None:
    publish_reference(session, 10_000)
    before = stall.counts()
    with pytest.raises(Refused) as refused:
        stall.explain(price_fen, reason)
    assert refused.value.code == code
    assert stall.counts() == before


def test_a_price_is_explained_once_at_a_time_and_by_its_own_cooperative(
    stall: Stall, session: Session
) -> None:
    publish_reference(session, 10_000)
    stall.explain(8_000)
    before = stall.counts()
    with pytest.raises(Conflict):
        stall.explain(9_000)
    for actor, error in ((actor_at(CooperativeFactory()), NotFound), (staff_buyer(), Forbidden)):
        with pytest.raises(error):
            explain_price(session, actor, stall.product, tiers=[(1, 8_000)], reason="好")
    assert stall.counts() == before


def test_two_people_decide_a_price(stall: Stall, session: Session) -> None:
    publish_reference(session, 10_000)
    explanation = stall.explain(8_000)
    case = last_case_of(session, ReviewKind.PRICE_EXPLANATION, explanation.id)
    with pytest.raises(Forbidden):
        decide_step(session, stall.manager, case, decision=Decision.PASS, outcomes=OUTCOMES)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(
            update(PriceExplanation).values(
                state=ExplanationState.REFUSED,
                decided_by=explanation.explained_by,
                decided_at=explanation.explained_at,
            )
        )
    assert explanation.state is ExplanationState.WAITING


def test_a_low_price_is_published_flagged_and_taken_off_when_nobody_accepts_it(
    stall: Stall, session: Session
) -> None:
    publish_reference(session, 10_000)
    listing = stall.publish(2_999)
    assert stall.check().verdict is Verdict.LOW
    explanation = stall.explain(2_999)
    assert explanation.kind is ExplanationKind.LOW
    stall.answer(explanation, Decision.REJECT)
    assert listing.state is ListingState.WITHDRAWN


# --- listed anew ---


def test_goods_listed_anew_are_held_against_what_they_were(stall: Stall, session: Session) -> None:
    publish_reference(session, 10_000)
    first = stall.publish(6_000)
    withdraw_listing(session, stall.manager, first)
    anew = ProductFactory(
        cooperative_row=stall.cooperative, name="山茶油（新包装）", specification="头道压榨 500 克"
    )
    refusal = stall.refusal(6_001, product=anew)
    assert refusal.code == "price_above"
    stall.publish(6_000, product=anew)
    assert (stall.check().product_id, stall.check().relists_id) == (anew.id, first.id)


def test_other_goods_and_other_people_s_goods_are_not_taken_for_the_same(
    stall: Stall, session: Session
) -> None:
    publish_reference(session, 10_000)
    stall.publish(6_000)
    soap = ProductFactory(cooperative_row=stall.cooperative, name="茶籽手工皂", specification="冷制皂")
    theirs = ProductFactory(cooperative_row=CooperativeFactory(), specification="头道压榨")
    for product in (soap, theirs):
        finding = assess_price(session, product, [(1, 90_000)])
        assert (finding.relists, finding.verdict) == (None, Verdict.NONE)
    same_owner = CooperativeFactory(phone=stall.cooperative.phone)
    moved = ProductFactory(cooperative_row=same_owner, specification="头道压榨")
    assert assess_price(session, moved, [(1, 6_001)]).verdict is Verdict.ABOVE


# --- what the database holds ---


def test_the_database_refuses_a_price_above_the_bound(stall: Stall, session: Session) -> None:
    publish_reference(session, 10_000)
    offered = offer(session, stall.cooperative, tiers=((1, 6_001),))
    version = offered.listing.current_version

    def check(**changes: Any) -> PriceCheck:
        return PriceCheck(
            **{
                "version_id": version.id, "product_id": offered.listing.product_id, "unit_price_fen": 6_001,
                "net_mass_g": 500, "verdict": Verdict.FITS, "above_bp": 2_000, "reference_per_kg_fen": 10_000,
                "reference_on": today(), "reference_source": ReferenceSource.SHEET, **changes,
            }
        )  # fmt: skip

    for changes in ({}, {"unit_price_fen": 6_000}, {"explanation_id": 1, "explained_fen": 7_000}):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(check(**changes))
    session.add(check(reference_per_kg_fen=10_002))
    session.flush()


def test_a_line_keeps_the_reference_of_the_day_it_was_sold(
    stall: Stall, session: Session, clock: HeldClock
) -> None:
    offered, unknown = offer(session, stall.cooperative), offer(session, CooperativeFactory())
    unknown.listing.product.spec_key = "别的"
    publish_reference(session, 10_000)
    buy(session, staff_buyer(), (offered, 1), (unknown, 1))
    clock.advance(days=1)
    publish_reference(session, 12_000)
    buy(session, staff_buyer(), (offered, 1), key="key-of-the-second-order")
    kept = session.scalars(select(OrderLine.reference_per_kg_fen).order_by(OrderLine.id)).all()
    assert kept == [10_000, None, 12_000]
