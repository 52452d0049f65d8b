"""Those who watch the money of the main job: the operator with the bank's file, and the auditor."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.journeys import story
from tests.journeys.people import Person, fen, yuan


def import_bank_file(operator: Person, code: str) -> None:
    """Import the statement: what carries a code is matched, what does not waits for a person."""
    operator.goes_to("银行对账")
    operator.attaches("对账单文件", story.bank_file(code, story.SCHOOL_SALE.net_fen))
    operator.presses("导入并认款")
    matched = operator.row(yuan(story.SCHOOL_SALE.net_fen))
    expect(matched).to_contain_text(operator.words("已匹配"))
    unknown = operator.row("何秋云")
    expect(unknown).to_contain_text(operator.words("待人工处理"))
    expect(unknown).to_contain_text(operator.words("汇款码不存在"))
    operator.takes_up("%(count)s 笔到账待人工核对", count=1)
    operator.follows("核对这笔", within=operator.row("何秋云"))
    operator.types("处理依据", "电话核对：私人误汇，已原路退回")
    operator.presses("登记处理结果")
    operator.sees("没有待核对的银行到账")


def trace_both_ways(auditor: Person) -> None:
    """From one credit back to its line and evidence, from the line forward to every share."""
    auditor.goes_to("追踪核查")
    credit = story.SCHOOL_SALE.contract_credits_fen[story.SECOND]
    number = auditor.row(yuan(credit)).get_by_role("link")
    auditor.clicks(number)
    auditor.reads(yuan(credit), story.LOT_NO, yuan(story.SCHOOL_SALE.net_fen))
    auditor.sees("联结条款（第 %(number)s 版）", number=1)
    auditor.sees("对公转账")
    _agrees(auditor, checks=2)
    evidence = auditor.page.get_by_role("row", name=auditor.words("合计"))
    assert fen(evidence.first.inner_text()) == story.SLIPS[1].amount_fen

    line = auditor.page.locator(".fact", has_text=auditor.words("订单行")).get_by_role("link")
    auditor.clicks(line.first)
    _agrees(auditor, checks=2)
    pools, sale = story.SCHOOL_SALE.pools_fen, story.SCHOOL_SALE
    auditor.reads(yuan(sale.net_fen), yuan(sum(pools.values())))
    contract, lease = auditor.page.get_by_role("table").all()
    assert _shares(contract) == sorted(sale.contract_credits_fen.values())
    assert _shares(lease) == sorted(sale.lease_credits_fen.values())
    assert sum(_shares(contract)) + sum(_shares(lease)) == sum(pools.values())

    auditor.clicks(auditor.row(yuan(credit)).get_by_role("link"))
    auditor.reads(yuan(credit))
    auditor.clicks(auditor.page.get_by_role("table").get_by_role("link"))
    auditor.reads(yuan(story.SLIPS[1].amount_fen), story.SLIPS[1].slip_no)


def _agrees(auditor: Person, *, checks: int) -> None:
    """Every sum on the page is said to hold, and none not to."""
    badge = auditor.page.get_by_text(auditor.words("相符"), exact=True)
    expect(badge).to_have_count(checks)
    expect(auditor.page.get_by_text(auditor.words("不符"), exact=True)).to_have_count(0)


def _shares(table: Locator) -> list[int]:
    """The credited fen of each household in a table of shares, smallest first."""
    rows = [row for row in table.locator("tbody tr").all() if row.get_by_role("link").count()]
    return sorted(fen(row.locator("td").nth(2).inner_text()) for row in rows)
