"""What the price bureaus saw, the market's own medians, the province's policy and a county's proposal; and what the
first cooperative does about its listings on the last days: a draft, an edit that waits, a low price, an explanation,
answers to buyers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from marketplace.catalog.certificates.queries import is_in_force
from marketplace.catalog.listings.differences import content_of_version
from marketplace.catalog.listings.models import ListingEdit
from marketplace.catalog.listings.rules import save_draft, submit_draft
from marketplace.catalog.models import ListingState
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.prices.policies import decide_policy, propose_policy
from marketplace.catalog.prices.queries import USUAL
from marketplace.catalog.prices.rules import explain_price, record_live_medians, record_reference
from marketplace.core import clock
from marketplace.demo.goods import Good
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.procurement.evaluations.models import Evaluation
from marketplace.procurement.evaluations.rules import reply_to_evaluation

REFERENCES_DAYS = 9  # so long before today the bureau went to the markets
PER_CENT = (104, 98, 101, 95, 108, 100)  # its prices, of those on sale
SOURCE = "县发改局价格监测"
MEDIANS_FROM, MEDIANS_EVERY = 20, 30
POLICY_BASIS = "演示：省消费帮扶产品价格管理办法"
COUNTY_BASIS = "演示：县发改委 2026 年 9 号文"
REASON = "今年秋旱减产三成，食堂装改成逐果分级、单层装箱，采摘用工和包装都比往年贵。"
REPLIES = ("谢谢惠顾，下一批我们换更结实的箱子。", "谢谢认可，新货下月上市。")


def set_policy(world: World, colleague: User) -> None:
    """The operator proposes what shall hold in the province from tomorrow on, a colleague confirms it."""
    with clock.set_to(at_hour(world.last_on, 18, 20)):
        day = clock.today() + timedelta(days=1)
        said = propose_policy(world.session, world.operating, rules=USUAL, from_on=day, basis=POLICY_BASIS)
        decide_policy(world.session, actor_of(colleague), said, agrees=True)


class Prices:
    """References of every county, and the first cooperative's last edits."""

    def __init__(self, world: World, goods: Sequence[Good]) -> None:
        self.world = world
        self.goods = goods

    def plan(self) -> None:
        """Plan the bureau's round and the edits of the last two days."""
        last_on, at = self.world.last_on, self.world.timeline.at
        for day in range(MEDIANS_FROM, (last_on - self.world.first_on).days, MEDIANS_EVERY):
            at(at_hour(self.world.day(day), 20, 30), self.take_medians)
        at(at_hour(last_on, 20, 30), self.take_medians)
        at(at_hour(last_on - timedelta(days=2), 15), self.propose_policy)
        at(at_hour(last_on - timedelta(days=REFERENCES_DAYS), 9), self.observe)
        at(at_hour(last_on - timedelta(days=1), 16), self.edit)
        at(at_hour(last_on, 9, 40), self.answer)

    def _sold(self) -> list[Good]:
        """The first cooperative's goods that are on sale."""
        first = self.goods[0].seller
        return [
            good
            for good in self.goods
            if good.seller is first
            and good.listing is not None
            and good.listing.state is ListingState.PUBLISHED
        ]

    def take_medians(self) -> None:
        """What several cooperatives sell has a price of its own."""
        record_live_medians(self.world.session)

    def propose_policy(self) -> None:
        """The first county proposes to be stricter; its colleague has not answered yet."""
        county = self.goods[0].seller.county_code
        propose_policy(
            self.world.session,
            actor_of(self.world.officials[county]),
            rules=replace(USUAL, above_bp=1_500, change_bp=800),
            from_on=clock.today() + timedelta(days=30),
            basis=COUNTY_BASIS,
        )

    def observe(self) -> None:
        """A price for each specification on sale that too few cooperatives sell to have a median; one of the first
        cooperative's sells far below it."""
        seen: set[tuple[str, str, str]] = set()
        sellers: dict[tuple[str, str], set[int]] = {}
        for good in self.goods:
            sellers.setdefault((good.made.category_code, good.made.spec_key), set()).add(good.seller.place)
        low = self._sold()[-1]
        for place, good in enumerate(self.goods):
            product, county = good.made, good.seller.county_code
            key = (county, product.category_code, product.spec_key)
            if key in seen or len(sellers[key[1:]]) >= USUAL.min_quotes:
                continue
            seen.add(key)
            share = 190 if good is low else PER_CENT[place % len(PER_CENT)]
            record_reference(
                self.world.session,
                actor_of(self.world.officials[county]),
                category_code=product.category_code,
                specification=product.specification,
                spec_key=product.spec_key,
                per_kg_fen=per_kg_fen(good.price_fen, product.net_mass_g) * share // 100,
                observed_on=clock.today() - timedelta(days=1),
                source_name=SOURCE,
            )

    def edit(self) -> None:
        """A draft, an edit for the county to look at, a price that is flagged as low, and one to be explained."""
        sold = self._sold()
        self._draft(sold[0], title=f"{sold[0].content.title} 新果")
        if len(sold) < 4:
            return
        submit_draft(
            self.world.session,
            sold[1].seller.acting,
            self._draft(sold[1], description=f"{sold[1].content.description}支持一件代发。"),
        )
        submit_draft(self.world.session, sold[-1].seller.acting, self._draft(sold[-1]))
        explain_price(
            self.world.session,
            sold[2].seller.acting,
            sold[2].made,
            tiers=[(1, sold[2].price_fen * 3 // 2)],
            reason=REASON,
        )

    def _draft(self, good: Good, **changes: str) -> ListingEdit:
        version = good.offered.current_version
        assert version is not None
        content = content_of_version(version)
        held = version.certificate
        said = {"title": content.title, "description": content.description, **changes}
        return save_draft(
            self.world.session,
            good.seller.acting,
            good.made,
            **said,
            tiers=content.tiers,
            terms=content.terms,
            certificate=held if is_in_force(held, clock.today()) else None,
        )

    def answer(self) -> None:
        """The first cooperative answers two of its buyers."""
        seller = self.goods[0].seller
        query = (
            select(Evaluation)
            .where(Evaluation.cooperative_id == seller.acting.cooperative_id, Evaluation.remark != "")
            .order_by(Evaluation.goods_score, Evaluation.part_id.desc())
            .limit(len(REPLIES))
        )
        for said, words in zip(self.world.session.scalars(query).all(), REPLIES, strict=False):
            reply_to_evaluation(self.world.session, seller.acting, said, text=words)
