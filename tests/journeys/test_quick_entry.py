"""Forty lines ordered with the keyboard alone, and the same table without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role
from marketplace.ordering.models import Order, OrderLine
from tests.factories.identity import PASSWORD
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, user_of
from tests.factories.trade import PRICE_FEN, Offer, new_version, offer
from tests.journeys.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.databases("sqlite"), pytest.mark.timeout(400)]
LINES = 40


def goods(session: Session, count: int) -> list[Offer]:
    """Products with names of their own, from four cooperatives."""
    cooperatives = [CooperativeFactory() for _ in range(4)]
    made = [offer(session, cooperatives[n % 4]) for n in range(count)]
    for n, one in enumerate(made):
        one.listing.product.name = f"食材{n + 1:02d}号"
        new_version(session, one, title=f"食材{n + 1:02d}号")
    return made


def signed_in(page: Page, login_name: str) -> Page:
    """Sign in by the keyboard: the fields come in the order in which they are filled."""
    page.goto("/sign-in")
    page.locator("input[name=login_name]").focus()
    page.keyboard.type(login_name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).not_to_have_url("/sign-in")
    return page


def reach(page: Page, words: str) -> None:
    """Go on with Tab until the button with these words has the focus."""
    for _ in range(60):
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {words!r}")


def test_forty_lines_are_ordered_by_the_keyboard_alone(session: Session, open_page: OpenPage) -> None:
    unit, made = BuyerUnitFactory(), goods(session, LINES)
    orderer = user_of(unit, Role.UNIT_ORDERER)
    user_of(unit, Role.UNIT_APPROVER)
    session.commit()
    page = signed_in(open_page(), orderer.login_name)
    page.goto("/quick-order")
    for n, one in enumerate(made):  # numbers and names in turn; Enter goes on, and brings further rows
        page.keyboard.type(one.listing.public_no if n % 2 else one.listing.product.name)
        page.keyboard.press("Enter")
        page.keyboard.type(str(n % 5 + 1))
        if n < LINES - 1:
            page.keyboard.press("Enter")
    expect(page.locator(".entry-row")).to_have_count(LINES)
    reach(page, "放进购物车，去结算")
    page.keyboard.press("Enter")
    page.wait_for_url("**/unit-checkout**")
    expect(page.locator(".order-brief li")).to_have_count(LINES)
    reach(page, "提交审批")
    page.keyboard.press("Enter")
    expect(page.get_by_text("提交成功")).to_be_visible()
    session.expire_all()
    order = session.scalars(select(Order)).unique().one()
    units = session.scalars(select(OrderLine.quantity).where(OrderLine.order_id == order.id)).all()
    assert (len(units), sum(units), len(order.parts)) == (LINES, 120, 4)
    assert order.total_fen == 120 * PRICE_FEN


def test_the_table_totals_as_one_types_and_works_without_scripts(
    session: Session, open_page: OpenPage
) -> None:
    unit, made = BuyerUnitFactory(), goods(session, 2)
    orderer = user_of(unit, Role.UNIT_ORDERER)
    session.commit()
    page = signed_in(open_page(), orderer.login_name)
    page.goto("/quick-order")
    page.keyboard.type(made[0].listing.product.name)
    page.keyboard.press("Enter")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(page.locator("#totals")).to_contain_text("150.00")
    page.keyboard.type("没有的东西")
    page.keyboard.press("Enter")
    page.keyboard.type("-1")
    page.keyboard.press("Enter")
    expect(page.locator("#totals")).to_contain_text("没有找到“没有的东西”")

    plain = signed_in(open_page(scripts=False), orderer.login_name)
    plain.goto("/quick-order")
    plain.locator("#product-1").fill(made[1].listing.public_no)
    plain.locator("#quantity-1").fill("2")
    plain.locator("#product-2").fill("没有的东西")
    plain.get_by_role("button", name="放进购物车，去结算").click()
    expect(plain.locator("#faults-2")).to_contain_text("没有找到“没有的东西”")
    expect(plain.locator("#quantity-1")).to_have_value("2")
    expect(plain.locator("#totals")).to_contain_text("100.00")
    plain.locator("#product-2").fill("")
    plain.get_by_role("button", name="再加 10 行").click()
    expect(plain.locator(".entry-row")).to_have_count(20)
    plain.get_by_role("button", name="放进购物车，去结算").click()
    expect(plain).to_have_url("/unit-checkout?for=canteen")
