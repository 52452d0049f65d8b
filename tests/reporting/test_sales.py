"""A cooperative's statistics: months that begin in China, products, buyers, and nothing of anybody else."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.identity.models import Role
from marketplace.ordering.models import OrderKind, OrderLine
from marketplace.payments.models import Settlement
from marketplace.payments.rules import apply_payment
from marketplace.payments.settlement import settle_lines
from marketplace.reporting.sales.queries import months_until, sales_of
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, user_of
from tests.factories.trade import bill, offer, sell
from tests.journeys.paper import Visitor


def test_twelve_months_end_with_this_one() -> None:
    assert months_until(date(2026, 2, 28)) == [
        *(date(2025, month, 1) for month in range(3, 13)),
        date(2026, 1, 1),
        date(2026, 2, 1),
    ]


def test_a_month_begins_in_china(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    for key, at in (
        ("the-last-of-may", datetime(2026, 5, 31, 15, 59, tzinfo=UTC)),
        ("first-of-june-in-china", datetime(2026, 5, 31, 16, 1, tzinfo=UTC)),
    ):
        clock.set_to(at)
        sell(session, offered, 2, key=key)
        settle_lines(session)
    sales = sales_of(session, Settlement.cooperative_id == cooperative.id, until=today())
    assert [(month.first_on, month.net_fen, month.pool_fen) for month in sales.months[-2:]] == [
        (date(2026, 5, 1), 10_000, 1_000),
        (date(2026, 6, 1), 10_000, 1_000),
    ]
    assert len(sales.months) == 12
    assert (sales.net_fen, sales.pool_fen) == (20_000, 2_000)
    assert [(one.name, one.units, one.net_fen) for one in sales.products] == [("山茶油", 4, 20_000)]
    assert [(one.name, one.net_fen, one.pool_fen) for one in sales.sellers] == [
        (cooperative.name, 20_000, 2_000)
    ]
    assert sales.buyers == ((OrderKind.PERSONAL, 2, 20_000),)


def test_another_cooperative_s_sales_are_not_among_them(session: Session) -> None:
    sell(session, offer(session, CooperativeFactory()), 1)
    settle_lines(session)
    assert session.scalars(select(Settlement.net_fen)).all() == [5_000]
    other = CooperativeFactory()
    assert sales_of(session, Settlement.cooperative_id == other.id, until=today()).net_fen == 0


def test_the_chart_has_a_table_beside_it(client: MarketClient, session: Session) -> None:
    cooperative = CooperativeFactory()
    client.sign_in(user_of(cooperative))
    visitor = Visitor(client)
    assert visitor.open("/workshop/sales").has("还没有结算的销售")
    sell(session, offer(session, cooperative), 2)
    settle_lines(session)
    session.commit()
    page = visitor.open("/workshop/sales")
    assert page.has("每月结算货款与归农户的部分", "100.00", "10.00", "谁在买", "个人订单")
    assert page.has(f"2 {session.scalars(select(OrderLine.unit_name)).one()}")
    assert "data-chart" in client.get("/workshop/sales").text


def test_a_unit_sees_its_own_purchases_and_an_official_the_jurisdiction(
    client: MarketClient, session: Session
) -> None:
    cooperative, unit = CooperativeFactory(), BuyerUnitFactory()
    payment = bill(session, offer(session, cooperative), 3, unit=unit)
    apply_payment(session, payment, paid_at=now())
    sell(session, offer(session, cooperative), 1, key="a-personal-order")
    settle_lines(session)
    session.commit()
    visitor = Visitor(client)
    client.sign_in(user_of(unit, Role.UNIT_PAYER))
    page = visitor.open("/unit-purchases")
    assert page.has("采购统计", "150.00", cooperative.name)
    assert not page.has("200.00")
    client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_PAYER))
    assert visitor.open("/unit-purchases").has("还没有验收并付款的采购")
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    assert visitor.open("/region-sales").has("辖区销售", "200.00", cooperative.name, "食堂采购", "个人订单")
