"""Listings by the sheet: good rows become drafts, bad ones say what to mend, and nothing goes on sale by a sheet."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.listings.models import EditState, ListingEdit
from marketplace.catalog.models import Listing, Product, ProductPicture
from marketplace.catalog.sheets import rules
from marketplace.catalog.sheets.models import CatalogSheet
from marketplace.linkage.sheet_work import SheetState
from marketplace.registry.models import Cooperative
from tests.catalog.test_price_pages import upload
from tests.conftest import HeldClock, MarketClient
from tests.factories.registry import CooperativeFactory, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import CategoryFactory, offer
from tests.journeys.paper import Visitor

HEAD = (
    "产品编号,产品名称,品类,产地（村）,规格,销售单位,每件净重（千克）,每件毛重（千克）,商品介绍,"
    "单价（元）,第二档,订单生产比例\n"
)
GOOD = HEAD + (
    ",山茶籽油,山茶油,,一级压榨 500毫升,瓶,0.46,0.8,冷榨,50,10:45.00,10\n"
    ",山茶油礼盒,山茶油,鳌溪村委会,两瓶,盒,0.92,1.6,送礼,108.8,,8.5\n"
)
BAD = HEAD + (
    ",山茶籽油,山茶油,,一级压榨,瓶,0.46,0.8,冷榨,50,10:45.00,10\n"
    ",皂,茶油皂,,冷制,块,0.1,0.2,皂,10,,10\n"
    ",油一,山茶油,火星村,一级,瓶,0.46,0.8,油,10,,10\n"
    ",油二,山茶油,,一级,瓶,0.46,0.3,油,10,,10\n"
    ",油三,山茶油,,一级,瓶,一斤,0.8,油,10,,10\n"
    ",油四,山茶油,,一级,瓶,0.46,0.8,油,10,5:11,10\n"
    ",油五,山茶油,,一级,瓶,0.46,0.8,油,10,,120\n"
    "D-0000000000,油六,山茶油,,一级,瓶,0.46,0.8,油,10,,10\n"
    ",油七,山茶油,,一级,瓶,0.46,0.8,油,10,十件八折,10\n"
)


@pytest.fixture
def cooperative(client: MarketClient, session: Session, clock: HeldClock) -> Cooperative:
    default_steps()
    CategoryFactory()
    made: Cooperative = CooperativeFactory()
    client.sign_in(user_of(made))
    return made


def counts(session: Session) -> list[int | None]:
    return [
        session.scalar(select(func.count()).select_from(table))
        for table in (Product, Listing, ListingEdit, ProductPicture)
    ]


def test_good_rows_become_drafts(client: MarketClient, session: Session, cooperative: Cooperative) -> None:
    page, visitor = upload(client, GOOD, kind="listings"), Visitor(client)
    assert counts(session) == [0, 0, 0, 0]
    shown = visitor.open(page)
    assert shown.has("没有问题的 2 行可以录入")
    assert visitor.press(shown, "确认录入").has("已录入")
    client.post(f"{page}/take")
    assert counts(session) == [2, 0, 2, 0]
    first, second = session.scalars(select(ListingEdit).order_by(ListingEdit.id))
    assert (first.state, first.title, first.tiers) == (EditState.DRAFT, "山茶籽油", [[1, 5_000], [10, 4_500]])
    assert (second.tiers, second.terms) == ([[1, 10_880]], {"contract_farming": 850})
    assert first.product.net_mass_g == 460
    listed = visitor.open("/workshop/products")
    assert listed.has("山茶籽油", "草稿")
    drafted = visitor.open(f"/workshop/products/{first.product.public_no}/offer")
    published = visitor.press(drafted, "上架销售")
    assert published.has("山茶籽油", "50.00", "10 瓶起")


def test_each_bad_row_says_what_to_mend(
    client: MarketClient, session: Session, cooperative: Cooperative
) -> None:
    page = upload(client, BAD, kind="listings")
    assert (
        Visitor(client)
        .open(page)
        .has(
            "第 3 行", "没有这个品类",
            "第 4 行", "本县没有这个村",
            "第 5 行", "毛重不能小于净重",
            "第 6 行", "请填写千克数",
            "第 7 行", "数量多的一档，单价不能更高",
            "第 8 行", "比例",
            "第 9 行", "本社没有这个编号的产品",
            "第 10 行", "请照“10:45.00”填写",
        )
    )  # fmt: skip
    sheet = session.scalars(select(CatalogSheet)).one()
    assert (sheet.rows_good, sheet.rows_bad) == (1, 8)
    assert counts(session) == [0, 0, 0, 0]
    client.post(f"{page}/take")
    assert counts(session) == [1, 0, 1, 0]


def test_what_was_exported_comes_back_as_drafts_of_the_same_products(
    client: MarketClient, session: Session, cooperative: Cooperative
) -> None:
    offered = offer(session, cooperative, tiers=((1, 5_000), (10, 4_500)))
    book = load_workbook(BytesIO(client.get("/workshop/products.xlsx").data))
    sheet = book.active
    head = [cell.value for cell in sheet[1]]
    row = dict(zip(head, [cell.value for cell in sheet[2]], strict=True))
    assert (row["产品编号"], row["单价（元）"], row["第二档"], row["订单生产比例"]) == (
        offered.listing.product.public_no, "50.00", "10:45.00", "10.00",
    )  # fmt: skip
    sheet.cell(2, head.index("单价（元）") + 1).value = "48"
    changed = BytesIO()
    book.save(changed)
    data = {"file": (BytesIO(changed.getvalue()), "商品表.xlsx")}
    answer = client.post("/catalog-sheets/new/listings", data=data, content_type="multipart/form-data")
    client.post(f"{answer.location}/take")
    edit = session.scalars(select(ListingEdit)).one()
    assert (edit.product_id, edit.tiers) == (offered.listing.product_id, [[1, 4_800], [10, 4_500]])
    assert offered.listing.current_version.tiers[0].unit_price_fen == 5_000
    assert session.scalar(select(func.count()).select_from(Product)) == 1


@pytest.mark.databases("sqlite")
def test_a_sheet_names_no_product_of_another_cooperative(
    client: MarketClient, session: Session, cooperative: Cooperative
) -> None:
    theirs = offer(session, CooperativeFactory()).listing.product
    row = f"{theirs.public_no},油,山茶油,,一级,瓶,0.46,0.8,油,10,,10\n"
    page = upload(client, HEAD + row, kind="listings")
    assert Visitor(client).open(page).has("本社没有这个编号的产品")
    client.post(f"{page}/take")
    assert session.scalar(select(func.count()).select_from(ListingEdit)) == 0


def test_a_long_sheet_is_checked_and_taken_pass_by_pass(
    client: MarketClient,
    session: Session,
    cooperative: Cooperative,
    work: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "ROWS_A_PASS", 2)
    rows = "".join(
        f",山茶籽油{number},山茶油,,{number} 毫升,瓶,0.46,0.8,冷榨,50,10:45.00,10\n" for number in range(5)
    )
    text = HEAD + rows + ",皂,茶油皂,,冷制,块,0.1,0.2,皂,10,,10\n"
    address = upload(client, text, kind="listings")
    sheet = session.scalars(select(CatalogSheet)).one()
    assert "正在逐行检查" in client.get(address).text
    assert upload(client, text, kind="listings") == address
    client.post(f"{address}/stop")
    assert "停在第 0 行，共 6 行" in client.get(address).text
    client.post(f"{address}/resume")
    work("work on catalogue sheets")
    assert (sheet.state, sheet.rows_good, sheet.rows_bad) == (SheetState.CHECKED, 5, 1)
    assert counts(session) == [0, 0, 0, 0]
    client.post(f"{address}/take")
    assert client.get(f"{address}/progress").status_code == 200
    assert sheet.state is SheetState.TAKING
    work("work on catalogue sheets")
    assert (sheet.state, sheet.rows_good, sheet.rows_bad) == (SheetState.TAKEN, 5, 1)
    assert counts(session) == [5, 0, 5, 0]
    assert client.get(f"{address}/progress").headers["HX-Refresh"] == "true"
