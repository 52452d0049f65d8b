"""The packing table: many orders confirmed, picked, labelled and shipped at once; what is refused keeps none back."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import openpyxl
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.errors import DomainError, Refused
from marketplace.identity.actors import Actor
from marketplace.identity.models import User
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import confirm_part
from marketplace.ordering.states import PartState
from marketplace.procurement.packing.queries import chosen_parts, pick_list
from marketplace.procurement.packing.rules import Waybill, confirm_parts, ship_parts
from marketplace.procurement.packing.sheets import read_waybills, write_waybills
from tests.conftest import Listening, MarketClient
from tests.factories.registry import CooperativeFactory, RegionFactory, actor_at, user_of
from tests.factories.trade import Offer, buy, lot_for, offer, pay_by_card, staff_buyer
from tests.journeys.paper import Visitor


@pytest.fixture
def goods(session: Session) -> Offer:
    return offer(session, CooperativeFactory(), units=10)


def placed(session: Session, goods: Offer, count: int, *, units: int = 2) -> list[OrderPart]:
    """Paid parts that wait for the cooperative."""
    parts = []
    for number in range(count):
        cadre = staff_buyer()
        order = buy(session, cadre, (goods, units), key=f"order-to-pack-{number}")
        pay_by_card(session, cadre, order)
        parts.append(order.parts[0])
    return parts


def confirmed(session: Session, goods: Offer, count: int, *, units: int = 2) -> list[OrderPart]:
    parts = placed(session, goods, count, units=units)
    for part in parts:
        confirm_part(session, actor_at(goods.cooperative), part)
    return parts


def states(session: Session) -> list[PartState]:
    session.expire_all()
    return [part.state for part in session.scalars(select(OrderPart).order_by(OrderPart.id)).unique()]


def seller(goods: Offer) -> Actor:
    return actor_at(goods.cooperative)


def test_the_address_names_the_county_once(session: Session, goods: Offer) -> None:
    order = placed(session, goods, 1)[0].order
    county = RegionFactory(code="360724", name="上犹县", full_name="赣州市上犹县")
    order.address, order.deliver_region_code = "演示路 1 号", county.code
    session.flush()
    session.refresh(order)
    assert order.full_address == "赣州市上犹县 演示路 1 号"
    order.address = "上犹县城区演示路 1 号"
    assert order.full_address == order.address


def test_many_are_confirmed_and_one_that_cannot_be_keeps_none_back(session: Session, goods: Offer) -> None:
    first, second, third = placed(session, goods, 3)
    confirm_part(session, seller(goods), second)
    outcome = confirm_parts(
        session, seller(goods), [first.public_no, second.public_no, "Q-NOBODY", third.public_no]
    )
    assert (outcome.done, outcome.before) == ([first.public_no, third.public_no], [second.public_no])
    assert {row: error.code for row, error in outcome.refused.items()} == {3: "no_such_order"}
    assert states(session) == [PartState.CONFIRMED] * 3


def test_another_cooperative_s_order_does_not_exist(session: Session, goods: Offer) -> None:
    (part,) = confirmed(session, goods, 1)
    other = actor_at(CooperativeFactory())
    outcome = ship_parts(session, other, [Waybill(1, part.public_no, "邮政", "1")])
    assert outcome.refused[1].code == "no_such_order"
    assert states(session) == [PartState.CONFIRMED]


@pytest.mark.parametrize("count", [0, 201])
def test_none_and_too_many_are_refused(session: Session, goods: Offer, count: int) -> None:
    rows = [Waybill(row, f"Q-{row}", "邮政") for row in range(count)]
    for rule, given in ((ship_parts, rows), (confirm_parts, [row.part_no for row in rows])):
        with pytest.raises(Refused):
            rule(session, seller(goods), given)


def test_the_same_sheet_twice_ships_once(session: Session, goods: Offer) -> None:
    first, second = confirmed(session, goods, 2)
    rows = [Waybill(3, first.public_no, "邮政", "EMS1"), Waybill(4, second.public_no, "自送")]
    assert ship_parts(session, seller(goods), rows).done == [first.public_no, second.public_no]
    again = ship_parts(session, seller(goods), rows)
    assert (again.done, again.before, again.refused) == ([], [first.public_no, second.public_no], {})
    changed = ship_parts(session, seller(goods), [Waybill(3, first.public_no, "邮政", "EMS2")])
    assert changed.refused[3].code == "state_refuses"
    session.refresh(first)
    assert (first.carrier, first.waybill_no) == ("邮政", "EMS1")


def test_an_order_named_twice_and_a_row_without_a_carrier_are_refused(session: Session, goods: Offer) -> None:
    first, second = confirmed(session, goods, 2)
    outcome = ship_parts(
        session,
        seller(goods),
        [
            Waybill(3, first.public_no, "邮政", "1"),
            Waybill(4, first.public_no, "邮政", "2"),
            Waybill(5, second.public_no, "", "3"),
        ],
    )
    assert outcome.done == [first.public_no]
    assert {row: error.code for row, error in outcome.refused.items()} == {
        4: "order_twice",
        5: "carrier_missing",
    }
    assert states(session) == [PartState.SHIPPED, PartState.CONFIRMED]


def test_the_pick_list_says_what_to_fetch_from_which_lot(session: Session, goods: Offer) -> None:
    later = lot_for(session, goods, units=10, harvested_on=date(2026, 5, 20))
    parts = confirmed(session, goods, 3, units=4)
    picked = pick_list(session, parts)
    assert [(pick.lot, pick.mass_g, pick.orders) for pick in picked.picks] == [
        (goods.lot, 5_000, 3),
        (later, 1_000, 1),
    ]
    assert picked.units == [("山茶油", "瓶", 12)]
    assert chosen_parts(session, seller(goods), [parts[1].public_no]) == [parts[1]]
    assert chosen_parts(session, seller(goods), []) == parts


def filled(content: bytes, *rows: tuple[str, str]) -> bytes:
    """The workbook with carrier and waybill filled in, row by row."""
    book = openpyxl.load_workbook(BytesIO(content))
    sheet = book.active
    for line, (carrier, waybill_no) in enumerate(rows, start=3):
        sheet.cell(line, 7).value, sheet.cell(line, 8).value = carrier, waybill_no
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def test_the_sheet_goes_out_and_comes_back(session: Session, goods: Offer) -> None:
    first, second, third = confirmed(session, goods, 3)
    content = write_waybills([first, second, third], lambda text: text)
    rows = read_waybills(filled(content, ("邮政", "750001"), ("", ""), ("自送", "")))
    assert rows == [Waybill(3, first.public_no, "邮政", "750001"), Waybill(5, third.public_no, "自送")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x00\x01\x02", None),
        ("订单编号,承运方,运单号\nQ-1,,\n".encode(), "no_rows"),
        ("编码,快递,单号\nQ-1,邮政,1\n".encode(), "no_header"),
        ("订单编号,承运方\n".encode() + b"Q-1,EMS\n" * 201, "too_many_rows"),
        (b"x" * (1024 * 1024 + 1), "sheet_too_large"),
    ],
)
def test_what_is_no_such_sheet_is_refused(content: bytes, code: str | None) -> None:
    with pytest.raises(DomainError) as refused:
        read_waybills(content)
    assert code is None or refused.value.code == code


def test_a_formula_is_no_waybill(session: Session, goods: Offer) -> None:
    first, second = confirmed(session, goods, 2)
    content = filled(write_waybills([first, second], lambda text: text), ("=A1", "1"), ("邮政", "=B2&3"))
    outcome = ship_parts(session, seller(goods), read_waybills(content))
    assert {row: error.code for row, error in outcome.refused.items()} == {
        3: "formula_cell",
        4: "formula_cell",
    }
    assert states(session) == [PartState.CONFIRMED] * 2


@pytest.fixture
def clerk(client: MarketClient, session: Session, goods: Offer) -> User:
    user = user_of(goods.cooperative)
    session.commit()
    client.sign_in(user)
    return user


def test_a_day_at_the_packing_table(
    client: MarketClient, session: Session, goods: Offer, clerk: User
) -> None:
    first, second = placed(session, goods, 2)
    session.commit()
    visitor = Visitor(client)
    assert visitor.open("/packing").has("没有待发货的订单")
    page = visitor.press(visitor.open("/packing?state=placed"), "确认选中的订单")
    assert page.has("已确认 1 张订单")  # a form holds one tick of a name; the other waits on
    client.post("/packing/confirm", data={"part": [first.public_no, second.public_no]})
    page = visitor.open("/packing")
    assert page.has(first.public_no, second.public_no)
    assert visitor.open("/packing/pick-list").has("共需", "4 瓶", "2 张订单")
    labels = visitor.open(f"/packing/labels?part={first.public_no}")
    assert labels.has("周小梅", "13800000000", "山茶油 × 2 瓶")
    assert not labels.has(second.public_no)

    typed = {f"waybill-{first.public_no}": "EMS1", f"carrier-{second.public_no}": "自送"}
    answer = client.post("/packing/ship", data={"row": [first.public_no, second.public_no], **typed})
    assert answer.status_code == 422
    assert "第 1 行：请填写承运方，自送请填“自送”" in answer.text
    assert 'value="EMS1"' in answer.text
    assert states(session) == [PartState.CONFIRMED, PartState.SHIPPED]

    content = filled(client.get("/packing/waybills.xlsx").data, ("邮政", "EMS1"))
    for words in ("已发货 1 张订单", "1 张此前已发货，没有重复登记"):
        answer = client.post(
            "/packing/waybills", data={"file": (BytesIO(content), "待发货.xlsx")}, follow_redirects=True
        )
        assert words in answer.text
    assert states(session) == [PartState.SHIPPED, PartState.SHIPPED]


def test_a_list_of_orders_costs_the_same_however_long(
    client: MarketClient, session: Session, goods: Offer, clerk: User, page_statements: Listening
) -> None:
    confirmed(session, goods, 1, units=1)
    session.commit()
    paths = ("/packing", "/packing/pick-list", "/packing/labels")
    few = []
    for path in paths:
        with page_statements() as statements:
            assert client.get(path).status_code == 200
        few.append(len(statements))
    for number in range(3):
        cadre = staff_buyer()
        order = buy(session, cadre, (goods, 1), key=f"one-more-order-{number}")
        pay_by_card(session, cadre, order)
        confirm_part(session, seller(goods), order.parts[0])
    session.commit()
    for path, count in zip(paths, few, strict=True):
        with page_statements() as statements:
            assert client.get(path).status_code == 200
        assert len(statements) <= count
