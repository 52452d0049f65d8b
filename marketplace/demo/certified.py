"""Certificates beyond Green Food: each kind on one good, an agreement renewed, one suspended, fees waived and asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

from marketplace.catalog.certificates.fees import decide_waiver, state_fee
from marketplace.catalog.certificates.rules import UseTerms, apply_certificate, suspend_certificate
from marketplace.catalog.models import Certificate, CertificateKind as Kind
from marketplace.demo.goods import Good
from marketplace.demo.papers import keep_paper
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.registry.reviews.models import Decision, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step

FIRST_DAY, LATER_DAY, RENEWAL_DAY = -34, 200, 300
SUITS = {  # the families a kind is likely in, the likeliest first
    Kind.ORGANIC: ("mushroom", "black-tea", "other-tea"),
    Kind.ORGANIC_CONVERSION: ("herb-root", "lotus", "fresh-vegetable"),
    Kind.GI_FARM_PRODUCT: ("pomelo", "tangerine", "cured-duck"),
    Kind.GI_PROTECTED: ("tangerine", "lotus", "cured-duck"),
    Kind.GI_MARK: ("red-rice", "cured-duck"),
    Kind.FOREST_ECOLABEL: ("honey", "bamboo-shoot-dried"),
    Kind.FOREST_FOOD_BASE: ("bamboo-shoot-fresh", "bamboo-shoot-dried", "herb-root"),
}
NUMBERS = {
    Kind.ORGANIC: "0134OP2400112",
    Kind.ORGANIC_CONVERSION: "0134OP2500487",
    Kind.GI_FARM_PRODUCT: "AGI09036",
    Kind.GI_PROTECTED: "2009-936",
    Kind.GI_MARK: "98103636",
    Kind.FOREST_ECOLABEL: "ST-36-2024-0012",
    Kind.FOREST_FOOD_BASE: "SLSP-2024-0045",
}
MARK_CODE = "13425360000000117"
ISSUERS = {
    Kind.ORGANIC: "演示有机认证中心",
    Kind.ORGANIC_CONVERSION: "演示有机认证中心",
    Kind.FOREST_ECOLABEL: "演示林业认证中心",
}
USE = UseTerms("演示县果业协会", 1_200_00, 60_000_000)
BASIS = "演示：生态扶贫认证费用减免办法第三条"
YEARLY = (Kind.ORGANIC, Kind.ORGANIC_CONVERSION)


class Certified:
    """Plans the certificates of the goods that have none of Green Food."""

    def __init__(self, world: World, goods: Sequence[Good]) -> None:
        self.world = world
        self.goods = goods
        self.chosen = _choose(goods)
        self.made: dict[Kind, Certificate] = {}

    def plan(self) -> None:
        """Plan applications, reviews, the renewal of the agreement, a suspension and the waivers."""
        at, day = self.world.timeline.at, self.world.day
        for kind, good in self.chosen.items():
            first = day(LATER_DAY if kind in YEARLY else FIRST_DAY)
            at(at_hour(first, 11), partial(self.apply, kind, good, first - timedelta(days=6)))
            at(at_hour(first + timedelta(days=4), 15), partial(self.review, kind))
        renewed = self.chosen.get(Kind.GI_FARM_PRODUCT)
        if renewed is not None:
            at(at_hour(day(RENEWAL_DAY), 10), partial(self.renew, renewed))
            at(at_hour(day(RENEWAL_DAY + 3), 15), partial(self.review, Kind.GI_FARM_PRODUCT))
        if Kind.FOREST_FOOD_BASE in self.chosen:
            at(at_hour(self.world.last_on - timedelta(days=5), 16), self.suspend)
        self._plan_fees()

    def apply(self, kind: Kind, good: Good, issued_on: date, renews: Certificate | None = None) -> None:
        """Put a certificate under review; it runs for a year, those of forests and marks for three."""
        days = 365 if kind in YEARLY or kind is Kind.GI_FARM_PRODUCT else 3 * 365
        self.made[kind] = apply_certificate(
            self.world.session,
            good.seller.acting,
            product=good.made,
            kind=kind,
            number=NUMBERS[kind],
            enterprise_no=MARK_CODE if kind is Kind.ORGANIC else "",
            issuer=ISSUERS.get(kind, ""),
            issued_on=issued_on,
            expires_on=issued_on + timedelta(days=days),
            use=USE if kind is Kind.GI_FARM_PRODUCT else None,
            renews=renews,
            file=keep_paper(self.world, good.seller.acting, "认证证书"),
        )

    def review(self, kind: Kind) -> None:
        """The county finds it in order."""
        certificate = self.made[kind]
        case = last_case_of(self.world.session, ReviewKind.CERTIFICATE, certificate.id)
        assert case is not None
        decide_step(
            self.world.session,
            self._county(certificate),
            case,
            decision=Decision.PASS,
            comment="编号和期限与证书一致。",
            outcomes=self.world.tools.outcomes,
        )

    def renew(self, good: Good) -> None:
        """Sign the agreement of the next year before the first one ends."""
        held = self.made[Kind.GI_FARM_PRODUCT]
        self.apply(Kind.GI_FARM_PRODUCT, good, self.world.day(RENEWAL_DAY), renews=held)

    def suspend(self) -> None:
        """The county suspends the forest food base after an inspection."""
        held = self.made[Kind.FOREST_FOOD_BASE]
        reason = "抽检标签与证书不符，限期整改。"
        suspend_certificate(self.world.session, self._county(held), held, reason=reason)

    def _plan_fees(self) -> None:
        """The first cooperative's first certificate is waived in part; a second one's waiver waits for the county."""
        at = self.world.timeline.at
        green = [good for good in self.goods if good.content.is_certified]
        own = [good for good in green if good.seller is green[0].seller]
        at(at_hour(self.world.day(-31), 10), partial(self.ask, own[0], 600_000, 480_000))
        at(at_hour(self.world.day(-28), 10), partial(self.waive, own[0]))
        for good in own[1:2]:
            at(at_hour(self.world.last_on - timedelta(days=1), 14), partial(self.ask, good, 320_000, 320_000))

    def ask(self, good: Good, fee_fen: int, asked_fen: int) -> None:
        """State the fee of a good's first certificate and ask for a waiver."""
        state_fee(
            self.world.session,
            good.seller.clerking,
            _first(good),
            fee_fen=fee_fen,
            payee="演示省绿色食品发展中心",
            asked_fen=asked_fen,
            basis=BASIS,
        )

    def waive(self, good: Good) -> None:
        """The county waives what was asked."""
        county = actor_of(self.world.officials[good.seller.county_code])
        decide_waiver(self.world.session, county, _first(good), waived_fen=480_000)

    def _county(self, certificate: Certificate) -> Actor:
        return actor_of(self.world.officials[certificate.product.cooperative.county_code])


def _first(good: Good) -> Certificate:
    return min(good.made.certificates, key=lambda one: one.id)


def _choose(goods: Sequence[Good]) -> dict[Kind, Good]:
    """One good for each kind, of the families it suits; where there is none, any that is left."""
    free = [good for good in goods if not good.content.is_certified]
    chosen: dict[Kind, Good] = {}
    for kind, families in SUITS.items():
        fitting = [good for family in families for good in free if good.content.category_code == family]
        good = next(iter(fitting or free), None)
        if good is not None:
            chosen[kind] = good
            free.remove(good)
    return chosen
