"""Scene four: a sale is partly given back, and what households have is brought to the bank by two people."""

from __future__ import annotations

import csv
import io

from playwright.sync_api import expect

from marketplace.payments.payouts.account_numbers import make_account_number
from tests.journeys import year
from tests.journeys.buyers import pay_on_the_hosted_page
from tests.journeys.people import File, Person, fen, yuan
from tests.journeys.story import half_up

PAID_FEN = year.BOUGHT * year.PRICE_FEN
BACK_FEN = year.RETURNED * year.PRICE_FEN


def buy(cadre: Person) -> None:
    """A cadre buys with a card."""
    cadre.goes_to("选购")
    cadre.follows_text(year.PRODUCT)
    cadre.types("数量", year.BOUGHT)
    cadre.presses("放进购物车")
    cadre.follows("填写收货信息")
    cadre.types("联系电话", "13800000000")
    cadre.picks("收货地区", cadre.words("江西省以外"))
    cadre.types("收货地址", "迎宾路 1 号")
    cadre.presses("提交订单")
    cadre.presses("去付款 ¥%(amount)s", amount=yuan(PAID_FEN)[1:])
    pay_on_the_hosted_page(cadre, PAID_FEN)
    cadre.sees("付款成功")


def ask_some_back(cadre: Person) -> None:
    """Three bottles came broken."""
    cadre.goes_to("订单")
    cadre.clicks(cadre.page.locator("main").get_by_role("table").get_by_role("link").first)
    cadre.follows("申请退款")
    cadre.fills(cadre.page.get_by_label(year.PRODUCT, exact=True), year.RETURNED)
    cadre.types("退款原因", "到货 3 瓶破损")
    cadre.presses("提交退款申请")
    cadre.sees("退款申请已提交，等待合作社处理")
    cadre.reads(yuan(BACK_FEN))


def agree(manager: Person) -> None:
    """The cooperative agrees, and the money goes back the way it came."""
    manager.takes_up("%(count)s 笔退款申请待处理", count=1)
    manager.clicks(manager.row(yuan(BACK_FEN)).get_by_role("link").first)
    manager.reads("到货 3 瓶破损")
    manager.confirms("同意退款", "同意退款")
    manager.sees("已同意退款")
    manager.waits_for("已退回")


def see_reversal(household: Person) -> None:
    """Income shows what came and, apart from it, what was taken back."""
    household.goes_to("我的收入")
    came, back = _shares(_credited(year.BOUGHT)), _reversed()
    rows = household.page.get_by_role("row").filter(has_text=year.PRODUCT)
    for mechanism in ("contract", "lease"):
        expect(rows.filter(has_text=yuan(came[mechanism])).first).to_be_visible()
    changes = household.page.locator("#changes").get_by_role("row").filter(has_text=year.PRODUCT)
    taken = sorted(fen(row.inner_text().replace("−", "").replace("-", "")) for row in changes.all())
    assert taken == sorted(back.values())


def _credited(units: int) -> dict[str, dict[str, int]]:
    """Each mechanism's pool of a line, by household."""
    pools = year.pools_fen(units)
    halves = year.half_rents_fen()
    return {
        "contract": year.largest_remainder(pools["contract"], year.deliveries_fen()),
        "lease": year.largest_remainder(pools["lease"], halves),
    }


def _shares(credited: dict[str, dict[str, int]]) -> dict[str, int]:
    return {mechanism: shares[year.FIRST] for mechanism, shares in credited.items()}


def _reversed() -> dict[str, int]:
    """What the refund takes from the first household: the pool in the measure of the money, shared by Webster."""
    found = {}
    for mechanism, shares in _credited(year.BOUGHT).items():
        target = half_up(sum(shares.values()) * BACK_FEN, PAID_FEN)
        found[mechanism] = webster(target, shares)[year.FIRST]
    return found


def webster(seats: int, votes: dict[str, int]) -> dict[str, int]:
    """One fen after the other to whoever has the most votes for each fen and a half it has; ties as listed."""
    given = dict.fromkeys(votes, 0)
    for _ in range(seats):
        best, most = next(iter(votes.items()))
        for who, own in votes.items():
            if own * (2 * given[best] + 1) > most * (2 * given[who] + 1):
                best, most = who, own
        given[best] += 1
    return given


# --- to the bank ---


def prepare_batch(clerk: Person, *, households: int) -> None:
    """See what a batch would hold, and prepare it."""
    clerk.goes_to("发放")
    clerk.follows("新制一批")
    clerk.sees("可发放")
    clerk.sees("%(count)s 笔", count=households)
    clerk.presses("制单，交复核")
    clerk.sees("已制单，请另一位有复核权限的人复核")
    clerk.sees("要由另一位有复核权限的人复核，制单人不能复核自己的单子。")


def approve_batch(manager: Person) -> File:
    """Another person approves; the bank's file is written and downloaded."""
    manager.takes_up("%(count)s 批发放待复核", count=1)
    manager.follows("查看这一批", nth=0)
    manager.confirms("复核通过", "确认复核通过")
    manager.waits_for("下载银行文件")
    with manager.page.expect_download() as download:
        manager.page.get_by_role("button", name=manager.words("下载银行文件"), exact=True).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def answer_of(bank_file: File, *, refused: str) -> File:
    """What the bank makes of the file: paid, but for one account that was closed."""
    rows = csv.DictReader(io.StringIO(bank_file[1].decode("utf-8-sig")))
    lines = ["发放编号,金额,结果,原因"]
    for row in rows:
        failed = row["户名"] == refused
        result = "失败,账号已销户" if failed else "成功,"
        lines.append(f"{row['发放编号']},{row['金额（元）']},{result}")
    return "回盘.csv", "\r\n".join(lines).encode("gbk")


def import_answer(clerk: Person, answer: File, *, refused: str) -> None:
    """Bring the bank's answer, look at what it says, take it."""
    clerk.page.reload()
    clerk.attaches("银行回盘文件", answer)
    clerk.presses("上传并核对")
    clerk.confirms("按这份结果入账", "确认入账")
    clerk.sees("已办理：到账 %(paid)s 笔，失败 %(failed)s 笔", paid=1, failed=1)
    clerk.clicks(clerk.page.locator("main").get_by_role("link", name=clerk.words("发放批次")).first)
    expect(clerk.row(refused)).to_contain_text("账号已销户")  # the words of the bank


def correct_account(clerk: Person, head: str) -> None:
    """The household brings its new account."""
    clerk.takes_up("%(count)s 笔发放失败待更正", count=1)
    clerk.follows("更正账号", within=clerk.row(head).first)
    clerk.types("银行账号", make_account_number(9))
    clerk.types("开户人", head)
    clerk.types("开户银行", year.BANK)
    clerk.presses("登记")
    clerk.sees("收款账号已登记")
    clerk.reads(make_account_number(9)[-4:])
