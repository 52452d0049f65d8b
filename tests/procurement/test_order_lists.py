"""Lists, repeats and typed rows: what is wrong is named by row and column, what has changed is said before the cart."""

from __future__ import annotations

from io import BytesIO

import pytest
import xlsxwriter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import ListingState
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role
from marketplace.ordering.models import CartLine, OrderKind
from marketplace.procurement.lists.basket import Remark, Wanted, assess
from marketplace.procurement.lists.models import OrderList, OrderListItem
from marketplace.procurement.lists.queries import list_by_no, ordered_before, wanted_of
from marketplace.procurement.lists.reading import TypedRow, check_rows, rows_of_sheet, rows_pasted
from marketplace.procurement.lists.rules import delete_list, drop_item, fill_cart, make_list, note_item
from tests.conftest import HeldClock, Listening
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import Offer, new_version, offer
from tests.procurement.canteen import Canteen, refusal


class Shop(Canteen):
    """A canteen before three products with names of their own."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.oil, self.rice, self.tea = (self.named(session, name) for name in ("茶油", "大米", "绿茶"))

    def named(self, session: Session, name: str, *, units: int = 100) -> Offer:
        made = offer(session, CooperativeFactory(), units=units)
        made.listing.product.name = name
        new_version(session, made, title=name)
        return made

    def cart(self, session: Session) -> list[tuple[str, int]]:
        lines = session.scalars(select(CartLine).order_by(CartLine.id)).unique()
        return [(line.listing.product.name, line.quantity) for line in lines]


@pytest.fixture
def shop(session: Session, clock: HeldClock) -> Shop:
    return Shop(session)


def faults(session: Session, *rows: tuple[str, str]) -> list[tuple[int, str, str]]:
    typed = [TypedRow(number, product, quantity) for number, (product, quantity) in enumerate(rows, start=1)]
    return [
        (one.row, one.column, one.message % one.params if one.params else one.message)
        for one in check_rows(session, typed).findings
    ]


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        pytest.param("", "请填写数量", id="none"),
        pytest.param("-3", "数量须大于 0", id="negative"),
        pytest.param("0", "数量须大于 0", id="zero"),
        pytest.param("1.5", "数量要写成整数，例如 12", id="a part of a unit"),
        pytest.param("三", "数量要写成整数，例如 12", id="words"),
        pytest.param("1e9", "数量要写成整数，例如 12", id="scientific"),
        pytest.param("100001", "数量最多 100000，请检查是不是多打了数字", id="absurd"),
        pytest.param("9" * 30, "数量最多 100000，请检查是不是多打了数字", id="endless"),
        pytest.param("101", "现货只有 100 瓶，请减少数量", id="more than there is"),
    ],
)
def test_a_quantity_that_cannot_be_is_named_with_its_row(
    shop: Shop, session: Session, quantity: str, message: str
) -> None:
    assert faults(session, ("茶油", "2"), ("大米", quantity)) == [(2, "数量", message)]


def test_what_says_organic_without_a_certificate_is_paused_and_not_gone(shop: Shop, session: Session) -> None:
    new_version(session, shop.oil, title="有机茶油")
    (found,) = assess(session, [Wanted(shop.oil.listing, 1)])
    assert (found.price_fen, found.remarks) == (0, (Remark.LAPSED,))


def test_a_product_that_is_unknown_gone_unclear_or_twice_is_named(shop: Shop, session: Session) -> None:
    shop.tea.listing.state = ListingState.WITHDRAWN
    second = shop.named(session, "大米")
    session.flush()
    found = faults(
        session,
        ("不存在的东西", "1"),
        ("", "1"),
        ("大米", "1"),
        (shop.tea.listing.public_no, "1"),
        ("茶油", "1"),
        (shop.oil.listing.public_no.lower(), "2"),
        (second.listing.public_no, "1,000"),
    )
    assert [(row, column) for row, column, _message in found] == [
        (1, "产品编号或名称"),
        (2, "产品编号或名称"),
        (3, "产品编号或名称"),
        (4, "产品编号或名称"),
        (6, "产品编号或名称"),
        (7, "数量"),
    ]
    messages = [message for _row, _column, message in found]
    assert messages[0] == "没有找到“不存在的东西”：请核对名称，或改填产品页上的编号"
    assert messages[2].startswith("有 2 个“大米”在售，请改填编号：")
    assert second.listing.public_no in messages[2]
    assert messages[3:5] == ["这个产品已下架，请换一个", "和第 5 行是同一个产品，请合并成一行"]


def test_good_rows_come_with_today_s_price(shop: Shop, session: Session, statements: Listening) -> None:
    typed = [
        TypedRow(1, "茶油", "3"),
        TypedRow(2, "坏", "x"),
        TypedRow(3, shop.rice.listing.product.public_no, "2.0"),
    ]
    checked = check_rows(session, typed)
    assert {number: row.wanted.quantity for number, row in checked.rows.items()} == {1: 3, 3: 2}
    assert checked.total_fen == 25_000
    with statements() as sent:
        check_rows(session, typed)
    assert len(sent) <= 7


def test_cells_pasted_from_excel_are_rows(shop: Shop) -> None:
    assert rows_pasted("产品\t数量\n茶油\t3\n\n大米\t5\n") == [
        TypedRow(2, "茶油", "3"),
        TypedRow(4, "大米", "5"),
    ]
    assert rows_pasted("数量\t品名\n3\t茶油") == [TypedRow(2, "茶油", "3")]
    assert rows_pasted("茶油 3\n大米　5") == [TypedRow(1, "茶油", "3"), TypedRow(2, "大米", "5")]
    assert rows_pasted("茶油,3") == [TypedRow(1, "茶油", "3")]


def test_a_workbook_is_read_like_a_pasted_sheet(shop: Shop) -> None:
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["某某学校采购表"])
        sheet.write_row(2, 0, ["序号", "商品名称", "单位", "采购数量"])
        sheet.write_row(3, 0, [1, "茶油", "瓶", 3])
        sheet.write_row(4, 0, [2, "大米", "袋"])
        sheet.write_formula(4, 3, "=1+1")
    assert rows_of_sheet(stream.getvalue()) == [TypedRow(4, "茶油", "3"), TypedRow(5, "大米", "=")]


@pytest.mark.parametrize(
    ("read", "code"),
    [
        pytest.param(lambda: rows_pasted("  \n "), "no_rows", id="nothing pasted"),
        pytest.param(lambda: rows_pasted("产品\t数量\n"), "no_rows", id="only a header"),
        pytest.param(lambda: rows_of_sheet(b""), "empty_file", id="an empty file"),
        pytest.param(lambda: rows_of_sheet(b"\x89PNG\x00"), "not_a_sheet", id="a picture"),
        pytest.param(lambda: rows_pasted("茶油\t1\n" * 101), "too_many_rows", id="more than an order holds"),
        pytest.param(lambda: rows_of_sheet(b"a" * (1024 * 1024 + 1)), "sheet_too_large", id="a huge file"),
    ],
)
@pytest.mark.databases("sqlite")
def test_what_holds_no_rows_is_refused(read, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read()
    assert refused.value.code == code


def test_a_list_remembers_and_says_what_changed(shop: Shop, session: Session) -> None:
    made = make_list(
        session,
        shop.orderer,
        name=" 每周一 ",
        wanted=[Wanted(one.listing, 4) for one in (shop.oil, shop.rice, shop.tea)],
    )
    note_item(session, shop.orderer, made, listing=shop.rice.listing, quantity=6, ceiling_fen=5_200)
    new_version(session, shop.oil, tiers=((1, 4_500),), title="茶油")
    new_version(session, shop.rice, tiers=((1, 5_300),), title="大米")
    shop.tea.listing.state = ListingState.WITHDRAWN
    session.flush()
    rows = assess(session, wanted_of(list_by_no(session, shop.orderer, made.public_no)))
    assert [(row.wanted.quantity, row.price_fen, row.remarks) for row in rows] == [
        (4, 4_500, (Remark.CHEAPER,)),
        (6, 5_300, (Remark.OVER_CEILING, Remark.DEARER)),
        (4, 0, (Remark.GONE,)),
    ]


def test_a_price_over_the_ceiling_is_not_ordered_silently(shop: Shop, session: Session) -> None:
    wanted = [Wanted(shop.oil.listing, 2), Wanted(shop.rice.listing, 3, ceiling_fen=4_999)]
    good, left_out = fill_cart(session, shop.orderer, kind=OrderKind.CANTEEN, wanted=wanted)
    assert (len(good), [row.remarks for row in left_out]) == (1, [(Remark.OVER_CEILING,)])
    assert shop.cart(session) == [("茶油", 2)]
    fill_cart(
        session,
        shop.orderer,
        kind=OrderKind.CANTEEN,
        wanted=wanted,
        accepted=[shop.rice.listing.public_no, shop.oil.listing.public_no],
    )
    assert shop.cart(session) == [("茶油", 2), ("大米", 3)]


def test_the_cart_is_set_and_not_added_to(shop: Shop, session: Session) -> None:
    for quantity in (5, 5, 7):
        fill_cart(session, shop.orderer, kind=OrderKind.UNION, wanted=[Wanted(shop.oil.listing, quantity)])
    assert shop.cart(session) == [("茶油", 7)]
    short = shop.named(session, "笋干", units=1)
    _good, left_out = fill_cart(
        session,
        shop.orderer,
        kind=OrderKind.UNION,
        wanted=[Wanted(short.listing, 2)],
        accepted=[short.listing.public_no],
    )
    assert [row.remarks for row in left_out] == [(Remark.SHORT,)]
    for quantity in (0, -1, 100_001):
        refused = refusal(
            session,
            lambda q=quantity: fill_cart(
                session, shop.orderer, kind=OrderKind.UNION, wanted=[Wanted(shop.oil.listing, q)]
            ),
        )
        assert refused.code == "quantity"
    assert shop.cart(session) == [("茶油", 7)]
    assert isinstance(
        refusal(
            session,
            lambda: fill_cart(
                session, shop.approver, kind=OrderKind.CANTEEN, wanted=[Wanted(shop.oil.listing, 1)]
            ),
        ),
        Forbidden,
    )


def test_an_old_order_is_wanted_again_at_the_prices_of_then(shop: Shop, session: Session) -> None:
    new_version(session, shop.offers[0], tiers=((1, 6_000),))
    rows = assess(session, ordered_before(session, shop.order))
    assert [(row.wanted.quantity, row.wanted.was_fen, row.price_fen, row.remarks) for row in rows] == [
        (3, 5_000, 6_000, (Remark.DEARER,)),
        (3, 5_000, 5_000, ()),
    ]


def test_lists_are_the_unit_s_own_with_names_of_their_own(shop: Shop, session: Session) -> None:
    made = make_list(session, shop.orderer, name="每周一")
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    for act, kind in (
        (lambda: list_by_no(session, stranger, made.public_no), NotFound),
        (lambda: note_item(session, stranger, made, listing=shop.oil.listing, quantity=1), NotFound),
        (lambda: delete_list(session, stranger, made), NotFound),
        (lambda: make_list(session, shop.approver, name="别的"), Forbidden),
        (lambda: make_list(session, shop.orderer, name="每周一"), Refused),
        (lambda: make_list(session, shop.orderer, name="  "), Refused),
        (lambda: make_list(session, shop.orderer, name="长" * 41), Refused),
        (lambda: note_item(session, shop.orderer, made, listing=shop.oil.listing, quantity=0), Refused),
        (
            lambda: note_item(
                session, shop.orderer, made, listing=shop.oil.listing, quantity=1, ceiling_fen=0
            ),
            Refused,
        ),
        (lambda: drop_item(session, shop.orderer, made, listing_no=shop.oil.listing.public_no), NotFound),
    ):
        assert isinstance(refusal(session, act), kind)
    shop.tea.listing.state = ListingState.WITHDRAWN
    session.flush()
    gone = refusal(
        session, lambda: note_item(session, shop.orderer, made, listing=shop.tea.listing, quantity=1)
    )
    assert isinstance(gone, Conflict)
    assert session.scalar(select(func.count()).select_from(OrderListItem)) == 0
    make_list(session, stranger, name="每周一")
    delete_list(session, shop.orderer, made)
    assert [one.unit_id for one in session.scalars(select(OrderList))] == [stranger.buyer_unit_id]
