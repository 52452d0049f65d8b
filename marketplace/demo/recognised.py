"""Recognition of aid products: two are recognised and drawn for spot checks, one is on notice with an objection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

from sqlalchemy import select

from marketplace.catalog.certificates.queries import badges_of
from marketplace.catalog.recognition.checks import draw_checks, record_check
from marketplace.catalog.recognition.models import CheckResult, SpotCheck
from marketplace.catalog.recognition.queries import known_average_fen, live_recognition
from marketplace.catalog.recognition.rules import apply_recognition
from marketplace.core import clock
from marketplace.demo.entry import end_notices
from marketplace.demo.goods import Good
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import User
from marketplace.registry.reviews.models import Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step, file_objection

DAYS = (20, 60)
NOTICE_DAYS = 7
AVERAGE_BP = 10_400  # of the price: what the same specification costs on average


class Recognised:
    """Plans the recognitions of the first county's goods."""

    def __init__(self, world: World, goods: Sequence[Good]) -> None:
        self.world = world
        county = next(iter(world.colleagues))  # where two people of the county can decide
        self.goods = [good for good in goods if good.seller.county_code == county][:3]

    def plan(self) -> None:
        """Plan the applications with their steps, the objection, and two rounds of spot checks."""
        at, last_on = self.world.timeline.at, self.world.last_on
        for good, offset in zip(self.goods, DAYS, strict=False):
            begun = self.world.day(offset)
            self._plan_steps(good, begun)
            after = begun + timedelta(days=NOTICE_DAYS + 4)
            self.world.timeline.once(
                "recognition notices", at_hour(after, 0, 30), partial(end_notices, self.world)
            )
            at(at_hour(after, 15), partial(self.pass_on, good, "县级"))
        if len(self.goods) > len(DAYS):
            good = self.goods[-1]
            self._plan_steps(good, last_on - timedelta(days=8))
            at(at_hour(last_on - timedelta(days=1), 20), partial(self.object_to, good))
        at(at_hour(last_on - timedelta(days=15), 10), partial(self.draw, 1))
        at(at_hour(last_on - timedelta(days=10), 16), self.record)
        at(at_hour(last_on - timedelta(days=2), 10), partial(self.draw, 1))

    def _plan_steps(self, good: Good, on: date) -> None:
        at = self.world.timeline.at
        at(at_hour(on, 10), partial(self.apply, good))
        for days, step in enumerate(("村级", "乡镇", "行业"), start=1):
            at(at_hour(on + timedelta(days=days), 14), partial(self.pass_on, good, step))

    def apply(self, good: Good) -> None:
        """The cooperative applies, on the certificate of the good where it has one."""
        shown = badges_of(good.made, clock.today())
        average_fen = good.price_fen * AVERAGE_BP // 10_000
        reference_fen = min(average_fen, known_average_fen(self.world.session, good.made) or average_fen)
        apply_recognition(
            self.world.session,
            good.seller.acting,
            product=good.made,
            quality="按等级分选，每批留样，出货前检验合格。",
            price_fen=min(good.price_fen, reference_fen),
            reference_fen=reference_fen,
            price_source="演示：县农产品价格监测，同规格平均价",
            linkage=f"订单保底收购，带动{good.content.commodity}种植户，货款按比例记到户。",
            certificate=shown[0] if shown else None,
        )

    def pass_on(self, good: Good, step: str) -> None:
        """The reviewer of a step passes it; the sector and the county are two people."""
        county, village = good.seller.county_code, good.village_code
        reviewers: dict[str, User] = {
            "村级": self.world.officials[village],
            "乡镇": self.world.officials[village[:9]],
            "行业": self.world.colleagues[county],
            "县级": self.world.officials[county],
        }
        decide_step(
            self.world.session,
            actor_of(reviewers[step]),
            self._case(good),
            decision=Decision.PASS,
            comment="情况属实，同意。",
            outcomes=self.world.tools.outcomes,
        )

    def object_to(self, good: Good) -> None:
        """Somebody objects to the notice."""
        text = "镇上同样规格的比这便宜，请核实平均价是怎么算的。"
        file_objection(self.world.session, self._case(good), text=text, contact="匿名")

    def _case(self, good: Good) -> ReviewCase:
        found = live_recognition(self.world.session, good.made.id)
        assert found is not None
        case = last_case_of(self.world.session, ReviewKind.PRODUCT_RECOGNITION, found.id)
        assert case is not None
        return case

    def draw(self, size: int) -> None:
        """The province draws products of the county."""
        county = self.goods[0].seller.county_code
        draw_checks(self.world.session, self._supervising, region_code=county, size=size)

    def record(self) -> None:
        """What was drawn first is found in order."""
        waiting = select(SpotCheck).where(SpotCheck.result == CheckResult.WAITING)
        for check in self.world.session.scalars(waiting).all():
            note = "现场核对批次、过磅单和价签，账实相符。"
            record_check(self.world.session, self._supervising, check, passed=True, note=note)

    @property
    def _supervising(self) -> Actor:
        query = select(User).where(User.login_name == "supervisor")
        return actor_of(self.world.session.scalars(query).one())
