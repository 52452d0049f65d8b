"""The goods of the term's journey: sent, inspected, rejected in part; evaluated and certified once they are paid."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.journeys import term
from tests.journeys.cooperative import picture
from tests.journeys.people import Person, Theatre, yuan


def send(manager: Person) -> None:
    """Confirm the order and send it off."""
    manager.takes_up("%(count)s 笔订单待确认", count=1)
    order = manager.row(term.SCHOOL)
    expect(order).to_contain_text(yuan(term.ORDERED_FEN))
    manager.clicks(order.get_by_role("link"))
    manager.presses("确认接单")
    manager.sees("已确认，请备货")
    manager.types("承运方", "县域共配")
    manager.types("运单号", "YS20260311")
    manager.presses("登记发货")
    manager.sees("已发货")


def reject_some(receiver: Person) -> None:
    """Take the goods in, and refuse the bottles that came broken, with a picture."""
    receiver.takes_up("%(count)s 笔订单在路上，收到后请确认收货", count=1)
    receiver.presses("确认收货")
    receiver.follows("有问题，逐项验收")
    receiver.types("拒收数量", term.REJECTED)
    receiver.picks("拒收原因", receiver.words("破损"))
    receiver.types("哪里不合格", "瓶口破裂，渗油")
    receiver.attaches("照片", ("破瓶.jpg", picture()))
    receiver.presses("提交验收结果")
    receiver.sees("等待合作社答复")
    receiver.reads(yuan(term.REJECTED_FEN))


def agree(manager: Person) -> None:
    """The cooperative sees the picture and the reason, and bears it."""
    manager.takes_up("%(count)s 笔拒收待答复", count=1)
    manager.clicks(manager.row(yuan(term.REJECTED_FEN)).get_by_role("link"))
    manager.reads("瓶口破裂，渗油")
    manager.confirms("同意拒收", "同意拒收")
    manager.sees("同意拒收，扣减货款")


def evaluate(receiver: Person) -> None:
    """Say how the goods and the delivery were."""
    receiver.takes_up("%(count)s 笔订单待评价，评价后才计入完成", count=1)
    receiver.follows("去评价")
    for question in ("商品质量", "送货与服务"):
        group = receiver.page.get_by_role("group", name=receiver.words(question))
        receiver.interactions += 1
        group.get_by_label(receiver.words("5 分 很好"), exact=True).check()
    receiver.types("说几句", term.REMARK)
    receiver.presses("提交评价")


def certify(payer: Person) -> str:
    """Issue the certificate of the term; returns the address that its code leads to."""
    payer.goes_to("消费帮扶凭证")
    payer.ticks("食堂采购")
    payer.types("从", term.FIRST_DAY)
    payer.types("到", term.PAID_ON)
    payer.presses("开具凭证")
    payer.reads(yuan(term.NET_FEN), yuan(term.POOL_FEN), term.SCHOOL)
    payer.sees("%(count)s 户", count=len(term.HEADS))
    payer.sees("%(count)s %(unit)s", count=term.ACCEPTED, unit=term.UNIT)
    check = payer.page.get_by_role("link", name=payer.words("看别人扫码看到什么"))
    return check.get_attribute("href") or ""


def check_certificate(theatre: Theatre, address: str) -> None:
    """Anybody with the paper finds it confirmed, without names."""
    stranger = theatre.enter("stranger")
    stranger.opens(address)
    stranger.sees("凭证有效")
    stranger.reads(yuan(term.NET_FEN), yuan(term.POOL_FEN))
    stranger.sees("%(count)s 户", count=len(term.HEADS))
    words = stranger.page.locator(".page").inner_text()
    assert [name for name in (term.SCHOOL, *term.HEADS) if name in words] == []
    stranger.leaves()
