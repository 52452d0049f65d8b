"""The price guard as pages: the list of references, bringing in a sheet, explaining a price and answering it."""

from __future__ import annotations

from io import BytesIO

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.catalog.prices.models import ExplanationState, PriceExplanation, ReferencePrice
from marketplace.catalog.sheets.models import CatalogSheet
from marketplace.identity.models import Role, User
from marketplace.linkage.sheet_work import SheetState
from marketplace.registry.models import Cooperative
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import COUNTY, CooperativeFactory, RegionFactory, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import CategoryFactory, ProductFactory
from tests.journeys.paper import Visitor

HEAD = "品类,规格等级,每千克价格（元）,采价日期,来源\n"
GOOD = HEAD + "山茶油,,100.00,2026-05-30,县城农贸市场\n山茶油,一级压榨,120.5,2026-05-30,县发改局\n"
BAD = HEAD + (
    "山茶油,,100.00,2026-05-30,县城农贸市场\n"
    "茶油皂,,10,2026-05-30,市场\n"
    "山茶油,一级,贵,2026-05-30,市场\n"
    "山茶油,二级,10,2026-06-30,市场\n"
    "山茶油,三级,10,昨天,\n"
    "山茶油,,99,2026-05-30,市场\n"
)


@pytest.fixture
def county(clock: HeldClock) -> User:
    default_steps()
    RegionFactory(code=COUNTY)
    CategoryFactory()
    return official_with(Role.COUNTY_REVIEWER)


def upload(client: MarketClient, text: str, *, kind: str = "references") -> str:
    """The page of an uploaded sheet."""
    data = {"file": (BytesIO(text.encode()), "价格.csv")}
    answer = client.post(f"/catalog-sheets/new/{kind}", data=data, content_type="multipart/form-data")
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def test_a_sheet_of_references_is_looked_at_then_taken(
    client: MarketClient, session: Session, county: User
) -> None:
    client.sign_in(county)
    page = upload(client, GOOD)
    assert session.scalar(select(func.count()).select_from(ReferencePrice)) == 0
    visitor = Visitor(client)
    shown = visitor.open(page)
    assert shown.has("没有问题的 2 行可以录入")
    assert visitor.press(shown, "确认录入").has("已录入")
    rows = session.scalars(select(ReferencePrice).order_by(ReferencePrice.id)).all()
    assert [(row.per_kg_fen, row.spec_key, row.region_code, row.source_name) for row in rows] == [
        (10_000, "", "361025", "县城农贸市场"),
        (12_050, "一级压榨", "361025", "县发改局"),
    ]
    client.post(f"{page}/take")
    assert session.scalar(select(func.count()).select_from(ReferencePrice)) == 2
    listed = visitor.open("/prices?category=camellia-oil")
    assert listed.has("120.50", "一级压榨", "全部规格", "县城农贸市场", "乐安县")


def test_each_bad_row_says_what_to_mend(client: MarketClient, session: Session, county: User) -> None:
    client.sign_in(county)
    visitor = Visitor(client)
    page = upload(client, BAD)
    assert visitor.open(page).has(
        "第 3 行", "没有这个品类",
        "第 4 行", "请填写金额，最多两位小数，例如 8.50",
        "第 5 行", "采价日期不能晚于今天",
        "第 6 行", "看不懂这个日期", "这一格没有填",
        "第 7 行", "和第 2 行重复",
    )  # fmt: skip
    sheet = session.scalars(select(CatalogSheet)).one()
    assert (sheet.rows_good, sheet.rows_bad, sheet.state) == (1, 5, SheetState.CHECKED)
    marked = load_workbook(BytesIO(client.get(f"{page}/marked.xlsx").data)).active
    assert "采价日期不能晚于今天" in str(marked.cell(5, marked.max_column).value)
    assert upload(client, BAD) == page
    client.post(f"{page}/take")
    assert session.scalars(select(ReferencePrice.per_kg_fen)).all() == [10_000]


@pytest.mark.databases("sqlite")
def test_what_is_no_sheet_is_refused_and_leaves_nothing(
    client: MarketClient, session: Session, county: User
) -> None:
    client.sign_in(county)
    for text in ("", "随便写的\n几行字\n", HEAD):
        data = {"file": (BytesIO(text.encode()), "价格.csv")}
        answer = client.post("/catalog-sheets/new/references", data=data, content_type="multipart/form-data")
        assert answer.status_code == 422
    assert session.scalar(select(func.count()).select_from(CatalogSheet)) == 0
    assert client.get("/catalog-sheets/new/nonsense").status_code == 404


@pytest.mark.databases("sqlite")
def test_references_are_brought_by_those_who_may_and_sheets_are_their_own(
    client: MarketClient, session: Session, county: User
) -> None:
    client.sign_in(county)
    page = upload(client, GOOD)
    assert 'href="/prices/watch" aria-current="true"' in client.get("/prices").text
    client.sign_in(user_of(CooperativeFactory()))
    assert client.get("/catalog-sheets/new/references").status_code == 403
    assert client.get(page).status_code == 404
    assert client.post(f"{page}/take").status_code == 404
    client.sign_in(UserFactory())
    assert client.get(page).status_code == 403
    assert client.get("/prices").status_code == 200
    assert session.scalar(select(func.count()).select_from(ReferencePrice)) == 0


OFFER = {
    "title": "高山茶油",
    "description": "冷榨",
    "tier-0-quantity": "1",
    "tier-0-price": "80",
    "term-contract_farming": "10",
}


def test_a_blocked_price_is_explained_answered_and_then_published(
    client: MarketClient, session: Session, county: User
) -> None:
    cooperative: Cooperative = CooperativeFactory()
    product = ProductFactory(cooperative_row=cooperative)
    client.sign_in(county)
    client.post(f"{upload(client, GOOD)}/take")
    manager, visitor = user_of(cooperative), Visitor(client)
    client.sign_in(manager)
    page = client.post(f"/workshop/products/{product.public_no}/offer", data=OFFER)
    assert page.status_code == 422
    assert "比参考价 100.00 元高 60.00%，超过允许的 20.00%" in page.text
    assert "高山茶油" in page.text
    assert session.scalar(select(func.count()).select_from(Listing)) == 0

    explained = visitor.open(f"/workshop/products/{product.public_no}/price?price=80")
    assert explained.has("不用说明的最高单价", "60.00")
    assert visitor.press(explained, "提交价格说明", reason="百年老茶林，产量低").has("正在县里核定")
    client.sign_in(county)
    queue = visitor.open("/prices/watch")
    case = visitor.open(queue.link("核定"))
    assert case.has("百年老茶林，产量低", "高 60%", "160.00")
    answered = client.post(queue.link("核定"), data={"decision": "pass", "position": "1", "comment": ""})
    assert answered.status_code == 302
    assert session.scalars(select(PriceExplanation.state)).one() is ExplanationState.ACCEPTED
    client.sign_in(manager)
    assert client.post(f"/workshop/products/{product.public_no}/offer", data=OFFER).status_code == 303
    assert visitor.open("/prices/watch").has("已认可")


def test_a_low_price_waits_on_the_desk_and_in_the_county_s_list(
    client: MarketClient, session: Session, county: User
) -> None:
    cooperative: Cooperative = CooperativeFactory()
    product = ProductFactory(cooperative_row=cooperative)
    client.sign_in(county)
    client.post(f"{upload(client, GOOD)}/take")
    client.sign_in(user_of(cooperative))
    client.post(f"/workshop/products/{product.public_no}/offer", data={**OFFER, "tier-0-price": "20"})
    visitor = Visitor(client)
    assert visitor.open("/desk").has("1 件商品的价格明显偏低")
    flagged = visitor.open("/prices/watch?show=flags")
    assert flagged.has("明显偏低", "40.00")
    explain = visitor.open(flagged.link("说明原因"))
    visitor.press(explain, "提交价格说明", reason="临期清仓")
    assert not visitor.open("/desk").has("价格明显偏低")
    client.sign_in(county)
    assert visitor.open("/prices/watch?show=flags").has("山茶油", "明显偏低")
    client.sign_in(official_with(Role.COUNTY_REVIEWER, "360827"))
    assert not visitor.open("/prices/watch?show=flags").has("山茶油")
    assert not visitor.open("/prices/watch").has("山茶油")


@pytest.mark.databases("sqlite")
def test_lists_ask_the_database_as_often_for_many_rows_as_for_few(
    client: MarketClient, session: Session, county: User, page_statements: Listening
) -> None:
    client.sign_in(county)
    counts = []
    for days in (1, 12):
        rows = "".join(f"山茶油,,10{n}.00,2026-05-{n + days:02d},市场\n" for n in range(days))
        client.post(f"{upload(client, HEAD + rows)}/take")
        with page_statements() as sent:
            client.get("/prices")
        counts.append(len(sent))
    assert counts[0] == counts[1]
