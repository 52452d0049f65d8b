"""No page that anybody may open tells of fewer than five households: a stranger follows every link, in both languages,
and the open data, and reads every number that stands beside the word."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.stories.rules import apply_story_outcome, save_story, submit_story
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.payments.models import Credit
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative
from marketplace.registry.queries import acknowledged_counts
from marketplace.registry.reviews.models import Decision, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.refunds import shared_offer
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, RegionFactory, actor_at
from tests.factories.requests import offered, published
from tests.factories.reviews import default_steps
from tests.factories.trade import Offer, sell
from tests.journeys.paper import Paper

FEW, ENOUGH = 3, 7
PLACES = ("360827100001", "360321100001", "361025100200")
COUNTED = re.compile(r"(?<![\d.,¥])(\d[\d,]*)\s*(?:户|(?:registered\s+)?households?\b)")
HOUSEHOLD_CELL = re.compile(r'data-label="(?:联结农户|Households[^"]*)"[^>]*>\s*(?:<[^>]+>\s*)*(\d+)')
MOST_PAGES = 200


class Country:
    """Three counties: one cooperative with few households, one with enough, and one with both a few and a unit's
    request; goods sold by each, with a story."""

    def __init__(self, session: Session, app: Flask) -> None:
        default_steps()
        self.session = session
        self.sales = [
            self._county(place, count) for place, count in zip(PLACES, (FEW, ENOUGH, FEW), strict=True)
        ]
        for number, made in enumerate(self.sales):
            sell(session, made, 60, key=f"an-order-of-county-{number}")
            self._story(app, made.cooperative)
        settle_lines(session)
        request = published(session, actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER))
        offered(session, request, self.sales[0], unit_price_fen=10)
        session.commit()
        assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0

    def _county(self, place: str, count: int) -> Offer:
        cooperative = CooperativeFactory(place=RegionFactory(code=place))
        made, _households = shared_offer(self.session, cooperative, *([1] * count))
        return made

    def _story(self, app: Flask, cooperative: Cooperative) -> None:
        out = io.BytesIO()
        Image.new("RGB", (400, 300), (120, 120, 60)).save(out, "JPEG")
        said: dict[str, Any] = {
            "title": "油坊开榨", "text": "老油坊修好了，今年的第一锅油出来了，香飘了半条街，大家都来看。",
            "picture": out.getvalue(), "alt_text": "油坊",
        }  # fmt: skip
        manager = actor_at(cooperative)
        version = submit_story(
            self.session, manager, save_story(self.session, manager, app.extensions["files"], **said)
        )
        case = last_case_of(self.session, ReviewKind.STORY, version.id)
        assert case is not None
        outcomes = {ReviewKind.STORY: apply_story_outcome}
        reviewer = actor_of(official_with(Role.COUNTY_REVIEWER, cooperative.county_code))
        decide_step(self.session, reviewer, case, decision=Decision.PASS, outcomes=outcomes)


class Stranger:
    """Follows every link of the site, and keeps what was answered."""

    def __init__(self, client: MarketClient) -> None:
        self.client = client
        self.texts: dict[str, str] = {}
        self.known: set[tuple[str, ...]] = set()

    def walk(self, *starts: str) -> None:
        """Open what the starts lead to: each address once, and once for what may be asked of it."""
        waiting = deque(starts)
        while waiting and len(self.texts) < MOST_PAGES:
            path = waiting.popleft()
            if _kind(path) in self.known:
                continue
            self.known.add(_kind(path))
            answer = self.client.get(path)
            if answer.mimetype not in {"text/html", "application/json"}:
                continue
            self.texts[path] = answer.text
            if answer.status_code == 200 and answer.mimetype == "text/html":
                waiting.extend(_local(path, Paper(path, answer)))

    def told(self) -> dict[str, list[int]]:
        """The numbers of households told, by address."""
        return {
            path: [
                int(count.replace(",", ""))
                for pattern in (COUNTED, HOUSEHOLD_CELL)
                for count in pattern.findall(text)
            ]
            for path, text in self.texts.items()
        }


def _kind(path: str) -> tuple[str, ...]:
    there = urlsplit(path)
    return (there.path, *sorted({part.partition("=")[0] for part in there.query.split("&")}))


def _local(path: str, page: Paper) -> Iterator[str]:
    for _words, url in page.links:
        there = urlsplit(urljoin(path, url))
        if not there.netloc and not there.path.startswith("/static/") and len(there.query) < 60:
            yield there.path + (f"?{there.query}" if there.query else "")


@pytest.mark.databases("sqlite")  # what pages say does not depend on the database
@pytest.mark.parametrize("locale", ["zh_CN", "en"])
def test_nothing_public_tells_of_fewer_than_five_households(
    client: MarketClient, session: Session, app: Flask, clock: HeldClock, locale: str
) -> None:
    country = Country(session, app)
    own = [made.cooperative.id for made in country.sales]
    assert list(acknowledged_counts(session, own).values()) == [FEW, ENOUGH, FEW]
    assert session.scalar(select(func.count(Credit.household_id.distinct()))) == FEW + ENOUGH + FEW
    client.post("/language", data={"locale": locale})
    stranger = Stranger(client)
    stranger.walk(
        "/", "/counties", "/counties.json", "/stories", "/board", "/cooperatives", "/api/v1/listings"
    )
    told = stranger.told()
    for made in country.sales:
        for path in (f"/products/{made.listing.public_no}", f"/cooperatives/{made.cooperative.public_no}"):
            assert path in told, f"nobody came by {path}"
    assert ENOUGH in {count for counts in told.values() for count in counts}, "the numbers are not read"
    small = {path: counts for path, counts in told.items() if any(0 < count < 5 for count in counts)}
    assert small == {}


@pytest.mark.databases("sqlite")
def test_the_open_data_and_the_facets_withhold_them_too(
    client: MarketClient, session: Session, app: Flask, clock: HeldClock
) -> None:
    country = Country(session, app)
    counties = client.get("/counties.json").get_json()
    shown = {one["households"] for one in counties.values()}
    assert shown <= {None, *range(5, 100)}
    totals = [one for one in shown if one]
    assert all(FEW + ENOUGH + FEW - sum(totals) >= 5 or not totals for _one in totals)
    for made in country.sales:
        text = client.get(f"/api/v1/listings/{made.listing.public_no}").text
        assert '"households"' not in text
        assert "household" not in client.get("/products").text.split("<main")[1].split("</main>")[0]
