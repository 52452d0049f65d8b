"""The standing order of the term's journey: four deliveries agreed on once, two of them skipped, two ordered."""

from __future__ import annotations

from datetime import date

from playwright.sync_api import expect

from tests.journeys import term
from tests.journeys.people import Person, yuan


def plan(orderer: Person) -> None:
    """Tuesdays and Thursdays of two weeks, at a fixed price, decided some days before."""
    orderer.goes_to("长期订单")
    orderer.follows("新建长期订单", nth=0)
    orderer.follows("选这一家", within=orderer.row(term.SELLER))
    orderer.types("名称", term.STANDING)
    orderer.types("%(name)s的数量", term.EACH, name=term.PRODUCT)
    orderer.picks("%(name)s的价格约定", orderer.words("固定价"), name=term.PRODUCT)
    orderer.types("%(name)s的固定价或上限", yuan(term.PRICE_FEN)[1:], name=term.PRODUCT)
    for weekday in ("周二", "周四"):
        orderer.ticks(weekday)
    orderer.types("从", term.PLANNED[0])
    orderer.types("到", term.PLANNED[-1])
    orderer.types("提前几天截止", term.CUTOFF_DAYS)
    orderer.presses("下一步：核对")
    orderer.reads(yuan(term.EACH_FEN), yuan(term.EACH_FEN * len(term.PLANNED)))
    orderer.presses("提交审批")
    orderer.sees("长期订单已提交，等待本单位审批人办理")
    orderer.misses("批准长期订单")


def approve(approver: Person) -> None:
    """Approved once, up to an amount, so that no delivery waits for an approval of its own."""
    approver.takes_up("%(count)s 张长期订单待审批", count=1)
    approver.follows_text(term.STANDING)
    approver.types("合计不超过（元）", yuan(term.EACH_FEN * len(term.PLANNED))[1:].replace(",", ""))
    approver.types("次数不超过", len(term.PLANNED))
    approver.presses("批准长期订单")
    approver.sees("已批准，长期订单已送达合作社")


def confirm(manager: Person) -> None:
    """The cooperative says what it can deliver on a day."""
    manager.takes_up("%(count)s 张长期订单待确认供货", count=1)
    manager.follows("核对并确认供货")
    manager.types("%(name)s：每天最多（%(unit)s）", term.EACH, name=term.PRODUCT, unit=term.UNIT)
    manager.presses("确认供货")
    manager.sees("已确认供货，各次送货已计入供货计划")


def skip_two(orderer: Person) -> None:
    """One delivery is called off by itself, another by the days on which the school examines."""
    orderer.goes_to("长期订单")
    orderer.follows("全部长期订单")
    orderer.follows_text(term.STANDING)
    orderer.clicks(orderer.row(_day(term.EXCURSION)).get_by_role("link").first)
    orderer.confirms("跳过这一次", "跳过这一次", reason="春游")
    orderer.sees("已跳过这一次，其余各次不变")
    orderer.goes_to("长期订单")
    orderer.follows("学期与假期")
    orderer.picks("类型", orderer.words("放假"))
    orderer.types("名称", "期中考试")
    orderer.types("从", term.EXAMS)
    orderer.types("到", term.EXAMS)
    orderer.presses("登记")
    orderer.sees("已登记，跳过 %(count)s 次送货", count=1)


def see_two_ordered(orderer: Person) -> None:
    """The other two have become orders, and no third."""
    orderer.goes_to("长期订单")
    orderer.follows("全部长期订单")
    orderer.follows_text(term.STANDING)
    for day in term.PLANNED:
        is_skipped = day in (term.EXCURSION, term.EXAMS)
        state = orderer.words("已跳过" if is_skipped else "已下单")
        expect(orderer.row(_day(day), term.PRODUCT, state)).to_be_visible()
    expect(orderer.page.get_by_role("link", name=orderer.words("查看订单"))).to_have_count(2)
    orderer.follows("查看订单", nth=0)
    orderer.reads(yuan(term.EACH_FEN))


def _day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"
