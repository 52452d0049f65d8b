"""The money of the term's journey: the invoice, the transfer that comes late, and what the delay costs to the fen."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.journeys import term
from tests.journeys.buyers import code_on_slip
from tests.journeys.people import File, Person, yuan

TOGETHER_FEN = term.NET_FEN + term.INTEREST_FEN


def hand_in_invoice(manager: Person) -> None:
    """Over what was accepted, to the fen; the sum is there already."""
    manager.takes_up("%(count)s 笔已验收的货待开发票", count=1)
    manager.ticks("开这一笔")
    manager.presses("填写发票")
    expect(manager.field("价税合计")).to_have_value(yuan(term.NET_FEN)[1:].replace(",", ""))
    manager.types("发票号码", term.INVOICE_NO)
    manager.attaches("发票文件", ("发票.pdf", b"%PDF-1.7 the invoice"))
    manager.presses("上传发票")
    manager.sees("发票已上传，等待付款单位核对")


def check_invoice(payer: Person) -> None:
    """The payer compares and finds it right."""
    payer.goes_to("工作台")
    accepted = payer.page.locator(".figure", has_text=payer.words("已验收货款"))
    expect(accepted).to_contain_text(yuan(term.NET_FEN))
    payer.takes_up("%(count)s 张发票待核对", count=1)
    payer.follows_text(term.INVOICE_NO)
    payer.reads(yuan(term.NET_FEN), term.INVOICE_NO)
    payer.presses("核对无误")
    payer.sees("发票已核对")


def read_slip(payer: Person) -> str:
    """Ten days too late the slip says what has run up; returns the code that goes into the transfer's remark."""
    payer.takes_up("%(count)s 笔货款已逾期，正在计息", count=1)
    row = payer.row(yuan(term.NET_FEN))
    expect(row).to_contain_text(payer.words("逾期 %(count)s 天", count=term.DAYS_LATE))
    expect(row).to_contain_text(yuan(term.INTEREST_FEN))
    payer.follows("查看付款单", within=row)
    payer.reads(yuan(term.NET_FEN), yuan(TOGETHER_FEN), "2026年4月10日")
    return code_on_slip(payer)


def import_transfer(operator: Person, code: str) -> None:
    """The bank's statement finds the bill by its code; the sum pays the goods and the interest of the day."""
    operator.goes_to("银行对账")
    operator.attaches("对账单文件", _statement(code, TOGETHER_FEN))
    operator.presses("导入并认款")
    expect(operator.row(yuan(TOGETHER_FEN))).to_contain_text(operator.words("已匹配"))


def see_interest(payer: Person) -> None:
    """Nothing is left to pay, and the interest says how it came about."""
    payer.goes_to("应付货款")
    payer.sees("没有待付的货款")
    payer.follows("逾期利息")
    payer.follows("全部", within=payer.page.get_by_role("navigation", name=payer.words("利息状态")))
    row = payer.row(yuan(term.INTEREST_FEN))
    payer.clicks(row.get_by_role("link"))
    payer.sees("利息已到账。")
    payer.row(str(term.DAYS_LATE), yuan(term.NET_FEN))
    payer.reads(yuan(term.INTEREST_FEN))


def _statement(code: str, amount_fen: int) -> File:
    lines = (
        "交易流水号,交易日期,收入金额,对方户名,附言",
        f"L20260420,{term.PAID_ON},{amount_fen // 100}.{amount_fen % 100:02d},乐安县第二小学,货款 {code}",
    )
    return ("四月流水.csv", "\r\n".join(lines).encode("gbk"))
