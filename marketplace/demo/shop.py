"""The cooperatives' side of the shop: products with pictures, certificates through review, listings, later changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache, partial

from marketplace.catalog.certificates.numbers import make_green_food_enterprise, make_green_food_product
from marketplace.catalog.certificates.queries import badges_of
from marketplace.catalog.certificates.rules import apply_certificate
from marketplace.catalog.models import Certificate
from marketplace.catalog.rules import (
    add_picture,
    add_product,
    publish_listing,
    withdraw_listing,
)
from marketplace.core import clock
from marketplace.demo.goods import Good
from marketplace.demo.papers import keep_paper
from marketplace.demo.pictures.draw import draw_picture
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.registry.reviews.models import Decision, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step

PRODUCTS_DAY, CERTIFICATES_DAY, REVIEW_DAY, LISTING_DAY = -36, -34, -30, -12
GREEN_FOOD_YEARS = 3
PICTURES, PICTURED_EVERY = 3, 4  # so many pictures for each fourth good, one for the others
_picture = lru_cache(maxsize=128)(draw_picture)  # drawn once, however many demos a test loads
ENDING_DAYS = 55  # the certificate of the first certified good ends so many days from today


class Shop:
    """Makes the goods of every cooperative into products and listings."""

    def __init__(self, world: World, goods: Sequence[Good]) -> None:
        self.world = world
        self.goods = goods

    def plan(self) -> None:
        """Plan products, certificates and listings before the year begins."""
        for good in self.goods:
            minute = good.place % 60
            at = self.world.timeline.at
            at(at_hour(self.world.day(PRODUCTS_DAY), 9, minute), partial(self.describe, good))
            if good.content.is_certified:
                at(at_hour(self.world.day(CERTIFICATES_DAY), 9, minute), partial(self.apply, good))
                at(at_hour(self.world.day(REVIEW_DAY), 14, minute), partial(self.review, good))
            at(at_hour(self.world.day(LISTING_DAY), 10, minute), partial(self.offer, good))

    def describe(self, good: Good) -> None:
        """Add the product and its pictures."""
        good.product = add_product(
            self.world.session,
            good.seller.acting,
            category_code=good.content.category_code,
            village_code=good.village_code,
            name=good.content.name,
            specification=good.content.specification,
            unit_name=good.content.unit_name,
            net_mass_g=good.content.net_mass_g,
            gross_mass_g=good.content.gross_mass_g,
            shelf_life_days=good.content.shelf_life_days,
            storage=good.content.storage,
            description=good.content.description,
        )
        for number in range(PICTURES if good.place % PICTURED_EVERY == 0 else 1):
            add_picture(
                self.world.session,
                good.seller.acting,
                self.world.tools.files,
                good.product,
                content=_picture(
                    good.content.drawing, seed=good.content.seed + 97 * number, words=good.content.words
                ),
                alt_text=good.content.title,
            )

    def apply(self, good: Good, *, expires_on: date | None = None) -> Certificate:
        """Put a Green Food certificate under review; unless told otherwise it has run for a good year."""
        if expires_on is None:
            ends_soon = good.place == min(one.place for one in self.goods if one.content.is_certified)
            expires_on = self.world.last_on + timedelta(
                days=ENDING_DAYS if ends_soon else 200 + 7 * good.place
            )
        issued_on = _years_before(expires_on)
        return apply_certificate(
            self.world.session,
            good.seller.acting,
            product=good.made,
            number=make_green_food_product(issued_on, 100 + good.place),
            enterprise_no=make_green_food_enterprise(
                good.seller.county_code, issued_on.year, 1 + good.seller.place
            ),
            issued_on=issued_on,
            expires_on=expires_on,
            file=keep_paper(self.world, good.seller.acting, "绿色食品证书"),
        )

    def review(self, good: Good) -> None:
        """The county finds the certificate in order."""
        certificate = good.made.certificates[0]
        case = last_case_of(self.world.session, ReviewKind.CERTIFICATE, certificate.id)
        assert case is not None
        reviewer = actor_of(self.world.officials[good.seller.county_code])
        decide_step(
            self.world.session,
            reviewer,
            case,
            decision=Decision.PASS,
            comment="证书编号与发证机关名录一致。",
            outcomes=self.world.tools.outcomes,
        )

    def offer(self, good: Good, *, price_bp: int = 10_000) -> None:
        """Publish the listing; `price_bp` changes its prices, in basis points, for a later version."""
        tiers = [(least, max(1, price_fen * price_bp // 10_000)) for least, price_fen in good.content.tiers]
        certificates = badges_of(good.made, clock.today())
        good.listing = publish_listing(
            self.world.session,
            good.seller.acting,
            product=good.made,
            title=good.content.title,
            description=good.content.description,
            tiers=tiers,
            terms=good.content.terms,
            certificate=certificates[0] if certificates else None,
        )

    def plan_changes(self, changed: Sequence[Good], withdrawn: Sequence[Good]) -> None:
        """Plan new prices in spring for some, and the end of sale for others."""
        for good in changed:
            self.world.timeline.at(
                at_hour(self.world.day(150), 11), partial(self.offer, good, price_bp=10_400)
            )
        for good in withdrawn:
            at = at_hour(self.world.last_on - timedelta(days=12), 16)
            self.world.timeline.at(at, partial(self.withdraw, good))

    def withdraw(self, good: Good) -> None:
        """Take a good off sale."""
        withdraw_listing(self.world.session, good.seller.acting, good.offered)

    def add_sample(self, good: Good) -> None:
        """A new size of a good that is described but not for sale yet."""
        add_product(
            self.world.session,
            good.seller.acting,
            category_code=good.content.category_code,
            village_code=good.village_code,
            name=f"{good.content.name}（试吃装）",
            specification="试吃装",
            unit_name=good.content.unit_name,
            net_mass_g=max(50, good.content.net_mass_g // 5),
            gross_mass_g=max(80, good.content.gross_mass_g // 5),
            description=good.content.description,
        )

    def add_renewal(self, good: Good) -> None:
        """A renewed certificate that the county has not looked at yet."""
        self.apply(good, expires_on=date(clock.today().year + GREEN_FOOD_YEARS, 1, 15))


def _years_before(day: date) -> date:
    try:
        return day.replace(year=day.year - GREEN_FOOD_YEARS)
    except ValueError:  # 29 February
        return date(day.year - GREEN_FOOD_YEARS, 3, 1)
