"""The money of the term's journey: the transfer that comes late, and what the delay costs to the fen."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.journeys import term
from tests.journeys.people import File, Person, yuan


def read_slip(payer: Person) -> str:
    """The transfer to make; returns the code that goes into its remark."""
    payer.takes_up("%(count)s 笔货款待转账", count=1)
    payer.follows("查看付款单", within=payer.row(yuan(term.NET_FEN)))
    payer.reads(yuan(term.NET_FEN))
    figure = payer.page.locator(".figure", has_text=payer.words("汇款码（填入附言）"))
    return figure.locator(".code > span").inner_text()


def import_transfer(operator: Person, code: str) -> None:
    """The bank's statement finds the bill by its code."""
    operator.goes_to("银行对账")
    operator.attaches("对账单文件", _statement(code, term.NET_FEN))
    operator.presses("导入并认款")
    expect(operator.row(yuan(term.NET_FEN))).to_contain_text(operator.words("已匹配"))


def _statement(code: str, amount_fen: int) -> File:
    lines = (
        "交易流水号,交易日期,收入金额,对方户名,附言",
        f"L20260420,{term.PAID_ON},{amount_fen // 100}.{amount_fen % 100:02d},乐安县第二小学,货款 {code}",
    )
    return ("四月流水.csv", "\r\n".join(lines).encode("gbk"))
