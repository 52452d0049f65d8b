"""The shop anybody sees and the workshop of a cooperative, as pages."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from marketplace.catalog.models import (
    Category,
    Certificate,
    CertificateKind,
    CertificateState,
    Listing,
    ListingVersion,
    Product,
    ProductPicture,
)
from marketplace.catalog.rules import withdraw_listing
from marketplace.core.clock import today
from marketplace.core.files import FileStore
from marketplace.identity.models import Role
from marketplace.linkage.models import Lot
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.web.jobs import EXTENSION
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.linkage import LotFactory
from tests.factories.registry import VILLAGE, CooperativeFactory, actor_at, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import CategoryFactory, Offer, ProductFactory, new_version, offer
from tests.journeys.paper import Visitor

Index = Callable[[], None]


@pytest.fixture
def index(app: Flask, session: Session) -> Index:
    """Make the search index from what is for sale."""

    def build() -> None:
        session.commit()
        assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0

    return build


@pytest.fixture
def passer_by(client: MarketClient) -> Visitor:
    return Visitor(client)


def jpeg(width: int = 400, height: int = 300) -> io.BytesIO:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(out, "JPEG")
    out.seek(0)
    return out


def certified(session: Session, offered: Offer, *, days: int) -> Certificate:
    """The offer's listing gets a certificate that ends in so many days."""
    certificate = Certificate(
        cooperative_id=offered.cooperative.id,
        product_id=offered.listing.product_id,
        kind=CertificateKind.GREEN_FOOD,
        number=f"LB-18-23051401{offered.listing.id:02d}A",
        enterprise_no="GF361025230123",
        issued_on=today() - timedelta(days=100),
        expires_on=today() + timedelta(days=days),
        state=CertificateState.VALID,
    )
    session.add(certificate)
    session.flush()
    new_version(session, offered, certificate=certificate)
    return certificate


def is_not_found_and_logged(client: MarketClient, method: str, path: str) -> bool:
    with capture_logs() as logs:
        answer = client.open(path, method=method, data={"lot": "L-0000000000"})
    noted = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    return (answer.status_code, noted) == (404, ["not_found"])


# --- the shop ---


def test_what_is_not_for_sale_has_no_page(passer_by: Visitor, session: Session, index: Index) -> None:
    offered, suspended = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    index()
    suspended.cooperative.state = CooperativeState.SUSPENDED
    withdraw_listing(session, actor_at(offered.cooperative), offered.listing)
    for one in (offered, suspended):
        assert is_not_found_and_logged(passer_by.client, "GET", f"/products/{one.listing.public_no}")
    assert passer_by.open("/products").has("没有找到商品")
    assert passer_by.open("/").has("还没有上架的商品")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "path",
    [
        "/products/N-0000000000",
        "/products/%27%3B--",
        "/products?page=0",
        "/products?page=401",
        "/products?page=x",
        f"/pictures/{'0' * 64}.webp",
        "/pictures/abc.webp",
    ],
)
def test_a_forged_address_is_not_found_and_logged(
    client: MarketClient, session: Session, index: Index, path: str
) -> None:
    index()
    assert is_not_found_and_logged(client, "GET", path)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "query",
    [
        "q=" + "%20" * 50,
        "q=" + "油" * 300,
        "q=%22%27%3B--",
        "from=abc&to=-1",
        "from=99999999999999999",
        "county=%FF&county=x",
        "sort=nonsense",
        "category=no-such",
        "certificate=" + "x" * 500,
        "q=*:*&q=(",
        "cooperative=C-0",
    ],
)
def test_nonsense_in_the_address_is_ignored(
    passer_by: Visitor, session: Session, index: Index, query: str
) -> None:
    offer(session, CooperativeFactory())
    index()
    assert passer_by.open(f"/products?{query}").status == 200


def test_choosing_a_category_takes_the_place_of_the_one_before(
    passer_by: Visitor, session: Session, index: Index
) -> None:
    session.add_all(
        Category(code=code, parent_code=parent, name_zh=name, name_en=code, path=path, position=number)
        for number, (code, parent, name, path) in enumerate(
            [
                ("forest", None, "林产品", "forest"),
                ("oil-tea", "forest", "油茶", "forest/oil-tea"),
                ("bamboo", "forest", "竹类", "forest/bamboo"),
            ]
        )
    )
    session.flush()
    CategoryFactory(parent_code="oil-tea", path="forest/oil-tea/camellia-oil")
    offer(session, CooperativeFactory())
    index()
    page = passer_by.open("/products?q=%E6%B2%B9&page=1")
    into = page.link("油茶")
    assert into.split("?")[1].count("category=") == 1
    page = passer_by.open(into)
    deeper = page.link("山茶油1")
    assert "category=camellia-oil" in deeper
    assert deeper.count("category=") == 1
    out = passer_by.open(deeper).link("山茶油1")
    assert "category=" not in out
    assert "q=%E6%B2%B9" in out
    assert "page=" not in out


def test_two_places_may_be_chosen_together(passer_by: Visitor, session: Session, index: Index) -> None:
    offer(session, CooperativeFactory())
    index()
    page = passer_by.open("/products?county=360827")
    assert page.link("乐安县1").count("county=") == 2


def test_an_expired_certificate_loses_its_badge_the_same_day(
    client: MarketClient, passer_by: Visitor, session: Session, clock: HeldClock, index: Index
) -> None:
    offered = offer(session, CooperativeFactory())
    certificate = certified(session, offered, days=1)
    index()
    pages = ("/", "/products", f"/products/{offered.listing.public_no}")
    assert all(passer_by.open(page).has("绿色食品") for page in pages)
    assert passer_by.open(pages[2]).has(certificate.number)
    clock.advance(days=1)
    assert not any("绿色食品" in passer_by.open(page).text for page in (pages[0], pages[2]))
    assert not passer_by.open(pages[2]).has(certificate.number)


def test_goods_that_need_a_certificate_are_not_offered_without_it(
    passer_by: Visitor, session: Session, clock: HeldClock, index: Index, app: Flask
) -> None:
    CategoryFactory(needs_certificate=True)
    offered = offer(session, CooperativeFactory())
    certified(session, offered, days=1)
    index()
    assert passer_by.open("/products").has("共 1 件商品")
    clock.advance(days=1)
    session.commit()
    for job in ("drop expired badges", "index listings"):
        app.extensions[EXTENSION].run(job)
    assert passer_by.open("/products").has("没有找到商品")
    page = passer_by.open(f"/products/{offered.listing.public_no}")
    assert page.has("认证已失效，暂停销售", "续证后会重新开卖")
    passer_by.client.sign_in(UserFactory())
    page = passer_by.open(f"/products/{offered.listing.public_no}")
    assert [form for form in page.forms if "/cart/" in form.action] == []
    answer = passer_by.client.post(
        f"/cart/{offered.listing.public_no}", data={"quantity": 1}, follow_redirects=True
    )
    assert "“山茶油”的认证已失效，暂停销售" in answer.text


def test_few_households_are_not_counted_in_public(passer_by: Visitor, session: Session, index: Index) -> None:
    offered = offer(session, CooperativeFactory())
    index()
    page = passer_by.open(f"/products/{offered.listing.public_no}")
    assert page.has("每 100 元里归农户的")
    assert "这家合作社带动" not in page.text


def test_the_shop_does_not_cost_by_the_card(
    client: MarketClient, session: Session, index: Index, page_statements: Listening
) -> None:
    def cost() -> list[int]:
        index()
        found = []
        for path in ("/", "/products"):
            client.get(path)
            with page_statements() as sent:
                assert client.get(path).text.count("product-name") >= 1
            found.append(len(sent))
        return found

    offer(session, CooperativeFactory())
    few = cost()
    for _ in range(8):
        certified(session, offer(session, CooperativeFactory()), days=9)
    assert cost() == few


# --- the workshop ---


class Workshop(Visitor):
    """A cooperative's manager at work."""

    def __init__(self, client: MarketClient, session: Session) -> None:
        super().__init__(client)
        self.cooperative: Cooperative = CooperativeFactory()
        CategoryFactory()
        client.sign_in(user_of(self.cooperative))

    def product(self) -> tuple[Product, str]:
        """A product of the cooperative, and its page."""
        product = ProductFactory(cooperative_row=self.cooperative)
        return product, f"/workshop/products/{product.public_no}"


@pytest.fixture
def workshop(client: MarketClient, session: Session) -> Workshop:
    return Workshop(client, session)


def test_goods_are_described_pictured_stocked_priced_and_sold(
    workshop: Workshop, session: Session, app: Flask
) -> None:
    lot: Lot = LotFactory(cooperative=workshop.cooperative, received_g=9_000)
    page = workshop.open(workshop.open("/workshop/products").link("新建产品"))
    typed = {
        "name": "山茶油",
        "category_code": "camellia-oil",
        "village_code": VILLAGE,
        "specification": "460 克",
        "unit_name": "瓶",
    }
    page = workshop.press(page, "保存产品", status=422, **typed, net_mass_g="半斤", gross_mass_g="0.9")
    assert page.has("请填写千克数，最多三位小数")
    page = workshop.press(page, "保存产品", status=422, net_mass_g="0.46", gross_mass_g="0.4")
    assert page.has("毛重不能小于净重")
    page = workshop.press(page, "保存产品", gross_mass_g="0.9")
    assert page.has("产品已建好")
    page = workshop.press(page, "上传图片", picture=(jpeg(), "茶油.jpg"), alt_text="一瓶茶油")
    page = workshop.press(page, "归入这个产品", lot=lot.public_no)
    assert page.has("已归入这个产品", "现在可卖 19 瓶")

    page = workshop.open(page.link("定价上架"))
    offer_typed = {
        "tier-0-quantity": "1",
        "tier-0-price": "50",
        "term-contract_farming": "10",
        "description": "冷榨",
    }
    page = workshop.press(
        page, "上架销售", status=422, **{**offer_typed, "tier-1-quantity": "10", "tier-1-price": "60"}
    )
    assert page.has("数量多的一档，单价不能更高")
    assert page.button("上架销售")[0].values["tier-1-price"] == "60"
    page = workshop.press(page, "上架销售", **{"tier-1-price": "45"})
    assert page.has("已上架，买家马上就能看到", "¥50.00", "10 瓶起")
    listing = session.scalars(select(Listing)).unique().one()
    assert [(tier.min_quantity, tier.unit_price_fen) for tier in listing.current_version.tiers] == [
        (1, 5_000),
        (10, 4_500),
    ]
    session.commit()
    app.extensions[EXTENSION].run("index listings")
    assert Visitor(workshop.client).open("/products?q=chayou").has("共 1 件商品")

    page = workshop.press(workshop.open(f"/workshop/products/{listing.product.public_no}"), "下架")
    assert page.has("已下架，已下的订单不受影响")
    again = workshop.client.post(f"/workshop/products/{listing.product.public_no}/withdraw")
    assert (again.status_code, "这件商品现在不在售" in again.text) == (409, True)


def test_a_cooperative_that_is_suspended_sells_nothing_over_the_api(
    client: MarketClient, session: Session
) -> None:
    sold, stopped = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    stopped.cooperative.state = CooperativeState.SUSPENDED
    session.flush()
    listed = client.get("/api/v1/listings/").get_json()["items"]
    assert [one["no"] for one in listed] == [sold.listing.public_no]
    assert client.get(f"/api/v1/listings/{stopped.listing.public_no}").status_code == 404


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "图片"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "JPEG"),
        (b"\xff\xd8\xff\xe0broken", "损坏"),
    ],
)
def test_a_bad_picture_is_explained_at_its_field(
    workshop: Workshop, session: Session, files: FileStore, content: bytes, message: str
) -> None:
    _product, path = workshop.product()
    data = {"picture": (io.BytesIO(content), "图.jpg"), "alt_text": "一瓶茶油"}
    answer = workshop.client.post(f"{path}/pictures", data=data, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert message in answer.text
    assert "一瓶茶油" in answer.text
    assert session.scalar(select(func.count()).select_from(ProductPicture)) == 0
    assert not list(files.root.rglob("*"))


def test_the_same_picture_twice_and_a_ninth_are_refused(workshop: Workshop, session: Session) -> None:
    _product, path = workshop.product()

    def send(width: int) -> tuple[int, str]:
        data = {"picture": (jpeg(width), "图.jpg")}
        answer = workshop.client.post(f"{path}/pictures", data=data, content_type="multipart/form-data")
        return answer.status_code, answer.text

    assert [send(300 + 10 * n)[0] for n in range(8)] == [303] * 8
    assert "每个产品最多 8 张图片" in send(700)[1]
    session.execute(ProductPicture.__table__.delete().where(ProductPicture.position > 0))
    assert "这张图片已经上传过了" in send(300)[1]
    assert session.scalar(select(func.count()).select_from(ProductPicture)) == 1


def test_a_picture_is_served_to_everybody_and_kept_by_browsers(workshop: Workshop, session: Session) -> None:
    _product, path = workshop.product()
    workshop.client.post(
        f"{path}/pictures", data={"picture": (jpeg(), "图.jpg")}, content_type="multipart/form-data"
    )
    picture = session.scalars(select(ProductPicture)).one()
    for address in (picture.large_address, picture.small_address):
        with workshop.client.get(f"/pictures/{address}.webp") as answer:
            assert (answer.status_code, answer.mimetype) == (200, "image/webp")
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_certificate_s_faults_are_said_at_their_fields(workshop: Workshop, session: Session) -> None:
    default_steps()
    _product, path = workshop.product()
    page = workshop.open(path)
    wish = {
        "number": "LB-18-2305140123A",
        "enterprise_no": "GF361025230123",
        "issued_on": "2025-06-01",
        "expires_on": "2028-06-01",
    }
    for changes, message in (
        ({"number": "LB-1"}, "LB-"),
        ({"enterprise_no": "36"}, "GF"),
        ({"expires_on": "2025-06-01"}, "到期日须晚于发证日"),
        ({"expires_on": ""}, "请填写日期"),
    ):
        refused = workshop.press(page, "提交审核", status=422, **{**wish, **changes})
        assert refused.has(message), refused.text
        assert refused.button("提交审核")[0].values["issued_on"] == "2025-06-01"
    assert session.scalar(select(func.count()).select_from(Certificate)) == 0
    assert workshop.press(page, "提交审核", **wish).has("证书已提交县级审核", "审核中")
    refused = workshop.press(page, "提交审核", status=422, **wish)
    assert refused.has("编号 LB-18-2305140123A 已登记，不能重复使用")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", "/pictures"),
        ("POST", "/lots"),
        ("POST", "/certificates"),
        ("GET", "/offer"),
        ("POST", "/offer"),
        ("POST", "/withdraw"),
    ],
)
def test_another_cooperative_s_product_is_not_found_and_logged(
    workshop: Workshop, session: Session, method: str, path: str
) -> None:
    other = offer(session, CooperativeFactory())
    for number in (other.listing.product.public_no, "D-0000000000", "%27"):
        assert is_not_found_and_logged(workshop.client, method, f"/workshop/products/{number}{path}")
    assert session.scalar(select(func.count()).select_from(ListingVersion)) == 1


def test_another_cooperative_s_lot_or_certificate_is_not_found(workshop: Workshop, session: Session) -> None:
    _product, path = workshop.product()
    other = offer(session, CooperativeFactory())
    certificate = certified(session, other, days=9)
    for number in (other.lot.public_no, "L-0000000000"):
        assert workshop.client.post(f"{path}/lots", data={"lot": number}).status_code == 404
    LotFactory(cooperative=workshop.cooperative)
    refused = workshop.client.post(f"{path}/lots", data={"lot": ""})
    assert (refused.status_code, "请填写这一项" in refused.text) == (422, True)
    data = {
        "title": "茶油",
        "description": "冷榨",
        "tier-0-quantity": "1",
        "tier-0-price": "50",
        "term-contract_farming": "10",
        "certificate": certificate.public_no,
    }
    assert workshop.client.post(f"{path}/offer", data=data).status_code == 404
    assert session.scalar(select(func.count()).select_from(Listing)) == 1


def test_a_cooperative_under_review_is_told_why_it_cannot_sell(workshop: Workshop, session: Session) -> None:
    _product, path = workshop.product()
    workshop.cooperative.state = CooperativeState.UNDER_REVIEW
    page = workshop.open(f"{path}/offer")
    typed = {"tier-0-price": "50", "term-contract_farming": "10", "description": "冷榨"}
    assert workshop.press(page, "上架销售", status=422, **typed).has("合作社通过准入审核后才能上架商品")
    assert session.scalar(select(func.count()).select_from(Listing)) == 0


def test_the_workshop_is_nobody_else_s(client: MarketClient, session: Session) -> None:
    for user in (UserFactory(), official_with(Role.OPERATOR), official_with(Role.AUDITOR)):
        client.sign_in(user)
        assert client.get("/workshop/products").status_code == 403


def test_the_list_of_products_does_not_cost_by_the_row(
    workshop: Workshop, session: Session, page_statements: Listening
) -> None:
    def cost() -> int:
        workshop.client.get("/workshop/products")
        with page_statements() as sent:
            assert workshop.client.get("/workshop/products").status_code == 200
        return len(sent)

    offer(session, workshop.cooperative)
    few = cost()
    for _ in range(7):
        certified(session, offer(session, workshop.cooperative), days=9)
    assert cost() == few
