"""Stories of the demo's cooperatives: three are shown, one of them in its second version; one waits for the county.

Cooperatives and people in them are made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial

from sqlalchemy import select

from marketplace.catalog.stories.models import StoryVersion, VersionState
from marketplace.catalog.stories.rules import save_story, submit_story
from marketplace.demo.entry import Seller
from marketplace.demo.goods import Good
from marketplace.demo.pictures.draw import draw_picture
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.registry.reviews.models import Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step

WAITS = 0  # days before the end on which the story is handed in that nobody has looked at yet
REVIEW_DAYS = 2
_picture = lru_cache(maxsize=8)(draw_picture)  # drawn once, however many demos a test loads


@dataclass(frozen=True)
class DemoStory:
    """A story of the cooperative `key`, handed in so many days before the end; `drawing` is its picture."""

    key: str
    days: int
    title: str
    text: str
    drawing: str
    alt_text: str


STORIES = (
    DemoStory(
        "shexi",
        150,
        "二十户人家的橙园",
        "社溪的坡地朝南，昼夜温差大，脐橙挂果到十一月底才摘。\n\n"
        "合作社和农户签的是保底收购协议：市价低的年份按保底价收，市价高的年份随行就市。"
        "每一筐过磅都打单子，农户一份，合作社一份，谁交了多少一查便知。\n\n"
        "去年修了一条进园的水泥路，果子下山不再靠肩挑。",
        "orange-crate",
        "一箱刚摘下的脐橙",
    ),
    DemoStory(
        "tanghu",
        95,
        "清明前的十五天",
        "汤湖的茶，一年里最要紧的是清明前的十五天。天不亮上山，露水干了就收手。\n\n"
        "采茶的大多是村里的妇女，按天记工，工钱月底结清，考勤表贴在茶厂门口。"
        "炒茶的师傅说，手上的温度比锅上的温度更难学。",
        "leaf-tea",
        "一碟新炒的绿茶",
    ),
    DemoStory(
        "jinzhu",
        40,
        "竹林里的两季笋",
        "金竹的毛竹山，冬天挖冬笋，春天挖春笋，挖多少、留多少有讲究：每亩留足新竹，来年才有得挖。\n\n"
        "去年起，合作社把笋壳和竹梢也收来做手工编筐，农闲的时候多了一份活计。",
        "spring-shoots",
        "带壳的春笋",
    ),
    DemoStory(
        "huxi",
        WAITS,
        "剥莲子的夏天",
        "七月的湖溪，清早下塘采莲蓬，中午坐在祠堂的穿堂风里剥莲子。\n\n"
        "一斤干莲要剥四斤鲜莲，手快的一天能剥二十斤。今年合作社添了烘干机，下雨天也不愁了。",
        "lotus-seed",
        "一盘剥好的白莲",
    ),
)
SECOND = ("shexi", 30, "\n\n今年又添了分级线，大果小果分开装，食堂按规格订，一箱不差。")


class Stories:
    """Plans the stories of the sellers there are."""

    def __init__(self, world: World, sellers: Sequence[Seller], goods: Sequence[Good]) -> None:
        self.world = world
        self.sellers = {seller.key: seller for seller in sellers}
        self.goods = goods

    def plan(self) -> None:
        """Plan writing, review and the second version."""
        for story in STORIES:
            if story.key in self.sellers:
                self._plan_one(story.key, story.days, partial(self.write, story))
        key, days, more = SECOND
        if key in self.sellers:
            self._plan_one(key, days, partial(self.add_to, key, more))

    def _plan_one(self, key: str, days: int, write: partial[None]) -> None:
        on = self.world.last_on - timedelta(days=days)
        self.world.timeline.at(at_hour(on, 15), write)
        if days != WAITS:
            self.world.timeline.at(at_hour(on + timedelta(days=REVIEW_DAYS), 10), partial(self.pass_on, key))

    def write(self, story: DemoStory) -> None:
        """The cooperative writes a story about its first goods and hands it in."""
        seller = self.sellers[story.key]
        own = [good for good in self.goods if good.seller is seller]
        pictured = [good for good in own if good.content.drawing == story.drawing]
        version = save_story(
            self.world.session,
            seller.acting,
            self.world.tools.files,
            title=story.title,
            text=story.text,
            products=[good.made for good in (pictured or own)[:2]],
            picture=_picture(story.drawing, seed=len(story.title), words=""),
            alt_text=story.alt_text,
        )
        submit_story(self.world.session, seller.acting, version)

    def add_to(self, key: str, more: str) -> None:
        """The cooperative adds to what it has published."""
        seller = self.sellers[key]
        before = self._last(seller)
        version = save_story(
            self.world.session,
            seller.acting,
            self.world.tools.files,
            story=before.story,
            title=before.title,
            text=before.text + more,
            products=before.products,
            alt_text=before.alt_text,
        )
        submit_story(self.world.session, seller.acting, version)

    def pass_on(self, key: str) -> None:
        """The county passes what waits."""
        seller = self.sellers[key]
        decide_step(
            self.world.session,
            actor_of(self.world.officials[seller.county_code]),
            self._case(self._last(seller)),
            decision=Decision.PASS,
            comment="内容属实，没有个人信息。",
            outcomes=self.world.tools.outcomes,
        )

    def _last(self, seller: Seller) -> StoryVersion:
        query = select(StoryVersion).where(
            StoryVersion.state.in_((VersionState.WAITING, VersionState.PUBLISHED)),
            StoryVersion.story.has(cooperative_id=seller.cooperative.id),
        )
        return self.world.session.scalars(query.order_by(StoryVersion.id.desc()).limit(1)).one()

    def _case(self, version: StoryVersion) -> ReviewCase:
        case = last_case_of(self.world.session, ReviewKind.STORY, version.id)
        assert case is not None
        return case
