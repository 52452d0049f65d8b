"""The reserved quota of the term's journey: filed by one person, confirmed by another, and how far it is in the end."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.journeys import term
from tests.journeys.people import Person, yuan


def file_quota(orderer: Person) -> None:
    """File what the canteen spends in the year, and the part of it that is reserved."""
    orderer.takes_up("%(count)s 个年度的预留份额待申报", count=1)
    orderer.types("全年食材采购总额", f"{term.BASE_FEN // 100}")
    orderer.types("预留比例", f"{term.RESERVE_BP // 100}")
    orderer.attaches("依据材料", ("去年账目.pdf", b"%PDF-1.7 the canteen's books"))
    orderer.presses("提交申报")
    orderer.sees("申报已提交，等本单位审批人确认后生效")
    orderer.reads(yuan(term.BASE_FEN), yuan(term.RESERVE_FEN))
    orderer.misses("确认申报")


def confirm_quota(approver: Person) -> None:
    """Another person confirms; nothing counts yet."""
    approver.takes_up("%(count)s 份预留份额申报待确认", count=1)
    approver.follows("核对申报")
    approver.reads(yuan(term.BASE_FEN), yuan(term.RESERVE_FEN))
    approver.presses("确认申报")
    approver.sees("申报已确认生效")
    approver.goes_to("预留份额")
    expect(_share(approver)).to_contain_text("0.00%")


def see_progress(reader: Person) -> None:
    """The purchase counts at its net, and the share is right to two decimals."""
    reader.goes_to("预留份额")
    share = _share(reader)
    expect(share).to_contain_text(term.PERCENT)
    expect(share).to_contain_text(term.DONE)
    reader.reads(yuan(term.NET_FEN), yuan(term.RESERVE_FEN - term.NET_FEN))
    reader.row(f"{term.PRODUCT} × {term.ACCEPTED}", yuan(term.NET_FEN))
    reader.sees("%(count)s 笔，¥%(amount)s", count=2, amount=yuan(2 * term.EACH_FEN)[1:])


def _share(reader: Person) -> Locator:
    return reader.page.locator(".figure", has_text=reader.words("占全年食材采购总额"))
