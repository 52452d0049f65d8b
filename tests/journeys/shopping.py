"""What a cadre does in the shop on a phone: find, order from two cooperatives, pay with Alipay, ask some back."""

from __future__ import annotations

from playwright.sync_api import expect

from marketplace.payments.stripe_emulator.texts import TEXTS
from tests.journeys.buyers import search
from tests.journeys.people import Person, fen, yuan

OIL, TEA = "山茶油", "云雾茶"
OIL_FEN, TEA_FEN, FREIGHT_FEN = 5_000, 3_650, 900
PASSWORD = "shan-cha-you-duo-mai-dian"


def find(buyer: Person, words: str, title: str) -> None:
    """Search, and open what was found."""
    search(buyer, words)
    buyer.follows_text(title)
    buyer.sees("每 100 元里归农户的")


def put_in(buyer: Person, units: int) -> None:
    """So many units into the cart."""
    buyer.types("数量", units)
    buyer.presses("放进购物车")


def open_an_account(stranger: Person, login_name: str) -> None:
    """From the cart to an account of one's own, and back to the cart."""
    stranger.follows("登录后结算")
    stranger.follows("开通个人账号")
    stranger.types("姓名", "周小梅")
    stranger.types("登录名", login_name)
    stranger.types("密码", PASSWORD)
    stranger.types("再输入一次密码", PASSWORD)
    stranger.presses("开通账号")
    expect(stranger.page).to_have_url("/cart")


def give_an_address(buyer: Person) -> None:
    """Where it goes; with scripts the freight follows the region at once."""
    buyer.follows("填写收货信息")
    buyer.types("收货人", "周小梅")
    buyer.types("联系电话", "13800000000")
    buyer.picks("收货地区", "乐安县")
    buyer.types("收货地址", "鳌溪镇迎宾路 1 号")
    buyer.reads(yuan(FREIGHT_FEN))


def pay_with_alipay(buyer: Person, amount_fen: int) -> None:
    """From the order to the wallet's own page and back."""
    buyer.presses("去付款 ¥%(amount)s", amount=yuan(amount_fen)[1:])
    buyer.ticks("支付宝")
    buyer.presses("继续付款")
    expect(buyer.page.locator(".amount")).to_have_text(yuan(amount_fen))
    buyer.clicks(buyer.page.get_by_role("button", name=TEXTS["zh"]["agree"], exact=True))
    buyer.waits_for("付款成功")


def total_of_the_cart(buyer: Person) -> int:
    """What the cart page says the goods cost."""
    return fen(buyer.page.locator("aside").inner_text())


def ask_one_back(buyer: Person, title: str, photo: bytes) -> None:
    """One bottle came broken: with a reason and a photo."""
    buyer.follows("申请退款")
    buyer.fills(buyer.page.get_by_label(title, exact=True), 1)
    buyer.types("退款原因", "一瓶漏油，见照片")
    buyer.attaches("照片", ("漏油.png", photo))
    buyer.presses("提交退款申请")
    buyer.sees("退款申请已提交，等待合作社处理")
    expect(buyer.page.locator(".statement .thumbs img")).to_have_count(1)
