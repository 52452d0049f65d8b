"""What the buyers do in the main job: a cadre who pays by card, and the four people of a school's canteen."""

from __future__ import annotations

from playwright.sync_api import expect

from marketplace.payments.stripe_emulator.texts import TEXTS
from tests.journeys import story
from tests.journeys.people import Person, fen, yuan


def find_product(buyer: Person) -> None:
    """Search by name, by pinyin and by initials, and open the product."""
    buyer.opens("/")
    for text in (story.PRODUCT, "qicheng", "gnqc"):
        search(buyer, text)
        expect(buyer.page.get_by_role("link", name=story.PRODUCT, exact=True)).to_be_visible()
    buyer.follows_text(story.PRODUCT)
    buyer.sees("每 100 元里归农户的")
    buyer.reads(yuan(story.CONTRACT_BP + story.LEASE_BP), yuan(story.PRICE_FEN))


def search(person: Person, text: str) -> None:
    """Use the search box at the top."""
    box = person.page.get_by_role("combobox", name=person.words("找产品、产地或合作社")).first
    box.fill(text)
    with person.page.expect_navigation():
        box.press("Enter")


def buy_by_card(cadre: Person) -> None:
    """Into the cart, to the checkout, and to the provider's page."""
    cadre.types("数量", story.CADRE_UNITS)
    cadre.presses("放进购物车")
    cadre.reads(yuan(story.CADRE_SALE.net_fen))
    cadre.follows("填写收货信息")
    cadre.types("联系电话", "13800000000")
    cadre.picks("收货地区", cadre.words("江西省以外"))
    cadre.types("收货地址", "迎宾路 1 号")
    cadre.presses("提交订单")
    cadre.sees("请完成付款")
    cadre.presses("去付款 ¥%(amount)s", amount=yuan(story.CADRE_SALE.net_fen)[1:])
    pay_on_the_hosted_page(cadre, story.CADRE_SALE.net_fen)
    cadre.sees("付款成功")
    cadre.reads(yuan(story.CADRE_SALE.net_fen))


def pay_on_the_hosted_page(cadre: Person, amount_fen: int) -> None:
    """The page belongs to the provider and has its own words."""
    words = TEXTS["zh" if cadre.words.language == "zh_CN" else "en"]
    amount = yuan(amount_fen)
    page = cadre.page
    expect(page.locator(".amount")).to_have_text(amount)
    page.get_by_label(words["number"], exact=True).fill("4242 4242 4242 4242")
    page.get_by_label(words["expiry"], exact=True).fill("12/34")
    page.get_by_label(words["cvc"], exact=True).fill("123")
    cadre.clicks(page.get_by_role("button", name=words["pay"] % {"amount": amount}, exact=True))


def receive_and_accept(receiver: Person) -> None:
    """Say that the goods came, look at them, accept them."""
    receiver.takes_up("%(count)s 笔订单在路上，收到后请确认收货", count=1)
    receiver.presses("确认收货")
    receiver.sees("待验收")
    receiver.confirms("验收合格", "验收合格")
    receiver.sees("已验收，谢谢。货款会按约定记到每一户名下")


# --- the school ---


def order_for_the_canteen(orderer: Person) -> str:
    """Order enough for the lower price. Who ordered may not approve; returns the order's number."""
    orderer.goes_to("选购")
    orderer.follows_text(story.PRODUCT)
    orderer.types("数量", story.SCHOOL_UNITS)
    orderer.presses("加入食堂采购单")
    orderer.reads(yuan(story.TIER_FEN), yuan(story.SCHOOL_SALE.net_fen))
    orderer.follows("填写收货信息")
    orderer.presses("提交审批")
    orderer.sees("采购单已提交，等待本单位审批人办理。商品已为您留好。")
    orderer.sees("等待本单位另一位同事审批。下单人不能审批自己的采购单。")
    orderer.misses("批准采购")
    return orderer.page.url.split("?")[0].rsplit("/", 1)[1]


def approve(approver: Person, order_no: str) -> None:
    """Another person looks at the order and approves it."""
    approver.takes_up("%(count)s 张采购单待审批", count=1)
    approver.follows("审核采购单", within=approver.row(order_no))
    approver.reads(yuan(story.SCHOOL_SALE.net_fen), f"{story.SCHOOL_UNITS} {story.UNIT}")
    approver.confirms("批准采购", "批准采购")
    approver.sees("待合作社确认")


def read_remittance_code(payer: Person) -> str:
    """The transfer to make, with the code that goes into its remark."""
    payer.opens("/desk")
    payer.waits_for("%(count)s 笔货款待转账", count=1)
    payer.takes_up("%(count)s 笔货款待转账", count=1)
    row = payer.row(yuan(story.SCHOOL_SALE.net_fen))
    payer.follows("查看付款单", within=row)
    payer.sees("请在转账附言里原样填写汇款码，系统凭它自动认款；金额须与应付金额完全一致。")
    payer.reads(yuan(story.SCHOOL_SALE.net_fen))
    return code_on_slip(payer)


def code_on_slip(payer: Person) -> str:
    """What goes into the remark of the transfer, as the open slip says it."""
    figure = payer.page.locator(".figure", has_text=payer.words("汇款码（填入附言）"))
    return figure.locator(".code > span").inner_text()


def see_it_paid(payer: Person) -> None:
    """Nothing is left to pay; what was paid is kept."""
    payer.goes_to("应付货款")
    payer.sees("没有待付的货款")
    payer.follows("已付清")
    row = payer.row(yuan(story.SCHOOL_SALE.net_fen))
    assert fen(row.inner_text()) == story.SCHOOL_SALE.net_fen
    payer.follows("查看付款单", within=row)
    payer.sees("这笔货款已到账，谢谢。")
