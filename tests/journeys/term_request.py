"""The request of the term's journey: what the school asks for, two sealed offers, the award and its approval."""

from __future__ import annotations

from tests.journeys import term
from tests.journeys.people import Person, yuan


def ask(orderer: Person) -> None:
    """Write down what is wanted and let the cooperatives offer. The form knows the days and the payment terms."""
    orderer.goes_to("求购比价")
    orderer.follows("写一条需求", nth=0)
    orderer.types("需要什么", term.TITLE)
    orderer.picks("商品类别", term.PRODUCT)
    orderer.types("规格要求", "500 克瓶装，冷榨")
    orderer.types("数量", term.WANTED_KG)
    orderer.types("最高单价（每千克）", term.CEILING_YUAN)
    orderer.types("归农户比例不低于", term.LINKAGE_BP // 100)
    orderer.presses("保存草稿")
    orderer.sees("需求已保存为草稿，核对无误后请发布")
    orderer.presses("发布需求")
    orderer.sees("需求已发布，合作社可以报价了；截止前您只能看到有几家报价")


def make_offer(seller: Person, price_fen: int) -> None:
    """Find the request on the board, and offer."""
    seller.goes_to("供求大厅")
    seller.follows("查看需求", within=seller.row(term.TITLE))
    seller.follows("我要报价")
    seller.picks("用哪个商品报价", term.PRODUCT)
    seller.types("数量", term.ASKED)
    seller.types("单价（每件）", yuan(price_fen)[1:])
    seller.presses("提交报价")
    seller.sees("报价已提交；截止前可以修改或撤回，其他合作社看不到")
    seller.reads(yuan(term.ASKED * price_fen))


def see_nothing_but_a_number(orderer: Person) -> None:
    """Until the deadline only how many offered is told."""
    orderer.goes_to("求购比价")
    orderer.follows("查看需求", within=orderer.row(term.TITLE))
    orderer.sees("截止前只显示数量；内容在截止后同时打开")
    for secret in (term.SELLER, yuan(term.PRICE_FEN)):
        assert secret not in orderer.page.locator(".page").inner_text()


def award(orderer: Person) -> str:
    """Compare by the kilogram and take the cheapest; returns the number of the order that comes of it."""
    orderer.takes_up("%(count)s 条需求已截止，请比价定标", count=1)
    orderer.follows("比价定标", within=orderer.row(term.TITLE))
    cheapest = orderer.row(term.SELLER, orderer.words("最低"))
    orderer.row(term.RIVAL, yuan(term.ASKED * term.RIVAL_PRICE_FEN))
    orderer.follows("选这家", within=cheapest)
    orderer.reads(term.SELLER, yuan(term.ORDERED_FEN))
    orderer.presses("定标并提交审批")
    orderer.sees("已定标，采购单已提交审批；其他报价的合作社会收到通知")
    orderer.misses("批准采购")
    return orderer.page.url.split("?")[0].rsplit("/", 1)[1]


def approve(approver: Person, order_no: str) -> None:
    """Another person approves what the award ordered."""
    approver.takes_up("%(count)s 张采购单待审批", count=1)
    approver.follows("审核采购单", within=approver.row(order_no))
    approver.reads(yuan(term.ORDERED_FEN), f"{term.ASKED} {term.UNIT}")
    approver.confirms("批准采购", "批准采购")
    approver.sees("待合作社确认")


def hear_of_the_outcome(rival: Person) -> None:
    """Who lost is told so, and not who won or at which price."""
    rival.takes_up("%(count)s 个报价有了结果", count=1)
    rival.sees("未中选")
    assert yuan(term.PRICE_FEN) not in rival.page.locator(".page").inner_text()
    rival.presses("知道了")
