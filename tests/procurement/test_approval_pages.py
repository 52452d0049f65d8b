"""The pages of approving: the queue with marks, decisions with a note, steps, limits, deputies and budgets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.ordering.models import Order
from marketplace.ordering.states import PartState
from marketplace.procurement.approvals.models import ApprovalChain, ApprovalDecision, Deputyship
from marketplace.procurement.approvals.rules import set_limit
from marketplace.procurement.budgets.models import BudgetLine
from marketplace.procurement.lists.models import OrderList
from tests.conftest import HeldClock, MarketClient
from tests.factories.registry import BuyerUnitFactory, user_of
from tests.factories.trade import new_version
from tests.journeys.paper import Visitor
from tests.procurement.canteen import Canteen


class Pages(Canteen):
    """A canteen whose people open pages."""

    def __init__(self, client: MarketClient, session: Session) -> None:
        super().__init__(session)
        self.client = client
        self.first = user_of(self.unit, Role.UNIT_APPROVER)
        self.second = user_of(self.unit, Role.UNIT_APPROVER)

    def visitor(self, user: User) -> Visitor:
        """Somebody signed in; one at a time."""
        self.client.sign_in(user)
        return Visitor(self.client)


@pytest.fixture
def pages(client: MarketClient, session: Session, clock: HeldClock) -> Pages:
    return Pages(client, session)


def test_steps_limits_and_notes_go_through_the_pages(pages: Pages, session: Session) -> None:
    head = pages.visitor(pages.first)
    page = head.open("/unit/approval/chain")
    gap = head.press(
        page, "保存步骤", status=422, **{"rows-0-from_fen": "100", "rows-0-approvers": pages.second.public_no}
    )
    assert gap.has("请填写这一项")
    typed = {
        "rows-0-from_fen": "0",
        "rows-0-approvers": pages.first.public_no,
        "rows-1-from_fen": "200",
        "rows-1-approvers": pages.second.public_no,
        "reason": "大额加一道",
    }
    twice = head.press(page, "保存步骤", status=422, **{**typed, "rows-1-from_fen": "0.00"})
    assert twice.has("第 2 步的起点须大于第 1 步的 0.00 元")
    assert head.press(page, "保存步骤", **typed).has("第 2 步", "¥200.00", "大额加一道")
    order = pages.ordered(session, 5, key="an-order-of-250-yuan")
    session.commit()
    queue = head.open("/approvals")
    assert queue.has("第 1 / 2 步", "待您审批", "¥250.00")
    after = head.press(queue, "批准采购", note="数量合理")
    assert after.has("已批准这一步，等待下一步审批", "您已审批过")
    set_limit(
        session, actor_of(pages.first), approver_no=pages.second.public_no, limit_fen=20_000, reason="分级"
    )
    deputy_head = pages.visitor(pages.second)
    assert deputy_head.open("/approvals").has("超过您的限额")
    shown = deputy_head.open(f"/orders/{order.public_no}")
    assert shown.has("金额超过您的审批限额", "数量合理", pages.first.display_name)
    answer = pages.client.post(f"/orders/{order.public_no}/approve", data={"note": ""})
    assert answer.status_code == 403
    session.expire_all()
    assert {part.state for part in order.parts} == {PartState.AWAITING_APPROVAL}
    assert len(session.scalars(select(ApprovalDecision)).all()) == 1


def test_a_deputy_of_the_day_finds_the_queue_and_others_do_not(pages: Pages, session: Session) -> None:
    receiver = user_of(pages.unit, Role.UNIT_RECEIVER)
    session.commit()
    pages.client.sign_in(receiver)
    assert pages.client.get("/approvals").status_code == 403
    head = pages.visitor(pages.first)
    page = head.open("/unit/approval/deputies/new")
    own = head.press(page, "确定委托", status=422, deputy=pages.first.public_no, reason="开会")
    assert own.has("不能委托自己代办")
    until = (today() + timedelta(days=1)).isoformat()
    named = head.press(page, "确定委托", deputy=receiver.public_no, until_on=until, reason="开会")
    assert named.has("代办中", receiver.display_name)
    deputy = pages.visitor(receiver)
    queue = deputy.open("/approvals")
    assert queue.has(f"您今天代 {pages.first.display_name} 审批。")
    assert deputy.press(queue, "批准采购").has("没有待审批的采购单")
    assert deputy.open(f"/orders/{pages.order.public_no}").has(
        f"{receiver.display_name} 代 {pages.first.display_name}"
    )
    ended = pages.visitor(pages.first)
    assert ended.press(ended.open("/unit/approval"), "结束委托").has("已提前结束")
    assert session.scalars(select(Deputyship)).one().ended_at is not None


def test_a_budget_is_opened_changed_and_named_by_pages(pages: Pages, session: Session) -> None:
    head = pages.visitor(pages.first)
    page = head.press(head.open("/budgets/new"), "设立科目", purpose="食堂食材", amount="400", reason="批复")
    assert page.has("¥400.00", "批复")
    low = head.press(page, "调整", amount="x", reason="压减", status=422)
    assert low.has("请填写金额")
    shown = head.open(f"/orders/{pages.order.public_no}")
    assert shown.has("未指定预算科目", "本单位设了预算")
    refused = pages.client.post(f"/orders/{pages.order.public_no}/approve", data={})
    assert refused.status_code == 303
    assert head.open(f"/orders/{pages.order.public_no}").has("请先指定再审批")
    named = head.press(shown, "指定预算科目")
    assert named.has("批准后还剩 ¥100.00")
    line = session.scalars(select(BudgetLine)).one()
    assert head.open("/budgets").has("食堂食材", "¥300.00", "¥100.00")
    assert 'href="/unit" aria-current="true"' in pages.client.get("/budgets").text
    pages.client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_APPROVER))
    assert pages.client.get(f"/budgets/{line.public_no}").status_code == 404
    assert pages.client.get("/budgets").status_code == 200


def test_a_list_is_looked_over_before_it_goes_to_the_cart(pages: Pages, session: Session) -> None:
    orderer = session.get_one(User, pages.orderer.user_id)
    visitor = pages.visitor(orderer)
    visitor.press(visitor.open("/order-lists"), "建立清单", name="每周一")
    only = session.scalars(select(OrderList)).one()
    number = pages.offers[0].listing.public_no
    page = visitor.open(f"/order-lists/{only.public_no}")
    gone = visitor.press(page, "记到清单里", product="没有的", quantity=2, ceiling="60", status=422)
    assert gone.has("没有找到，或不止一个产品叫这个名字")
    page = visitor.press(page, "记到清单里", product=number, quantity=2, ceiling="55")
    assert page.has("¥100.00")
    new_version(session, pages.offers[0], tiers=((1, 5_600),))
    page = visitor.open(f"/order-lists/{only.public_no}")
    assert page.has("超过清单里的最高价", "涨价了", "仍按现价买")
    kept = visitor.press(page, "放进购物车", pick=number, **{f"quantity-{number}": "2"})
    assert kept.has("没有放进购物车：超过清单里的最高价")
    bought = visitor.press(page, "放进购物车", pick=number, accept=number, **{f"quantity-{number}": "2"})
    assert bought.has("1 种产品已放进购物车", "¥112.00")


def test_a_sheet_a_repeat_and_a_menu_lead_to_the_basket(pages: Pages, session: Session) -> None:
    orderer = session.get_one(User, pages.orderer.user_id)
    visitor = pages.visitor(orderer)
    one, two = (offered.listing.public_no for offered in pages.offers)
    page = visitor.open("/order-sheet")
    none = visitor.press(page, "核对", pasted="产品\t数量\n没有的\t-2", status=422)
    assert none.has("第 2 行", "数量须大于 0", "没有一行可以下单")
    some = visitor.press(page, "核对", pasted=f"{one}\t4\n{two}\t100001")
    assert some.has("数量最多 100000", "¥200.00")
    assert visitor.press(some, "放进购物车", pick=one).has("1 种产品已放进购物车")
    again = visitor.open(f"/orders/{pages.order.public_no}/reorder")
    assert again.has("价格和那次一样，现货充足")
    visitor.press(visitor.open("/menus/dishes/new"), "保存", name="茶油饭", ingredients="山茶油：25克\n")
    menu = visitor.open("/menus/new")
    form, _ = menu.button("保存菜谱")
    dish = visitor.open("/menus").link("修改").rsplit("/", 1)[1]
    assert "heads-1" in form.values
    week = visitor.press(menu, "保存菜谱", name="下周", **{"heads-1": "101", "dish-1": dish})
    assert week.has("2.525", "山茶油 × 6")
    bad = visitor.press(menu, "保存菜谱", name="下下周", **{"heads-2": "多", "dish-2": dish}, status=422)
    assert bad.has("就餐人数须在 0 到 100000 之间")
    assert session.scalar(select(Order.id).order_by(Order.id.desc())) == pages.order.id
    assert session.scalars(select(ApprovalChain)).all() == []
