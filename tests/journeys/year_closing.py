"""Scenes two and three: last year is closed by two people, and a household shows its slip to somebody."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Locator, expect

from marketplace.registry.models import Household
from tests.journeys import year
from tests.journeys.people import Person, Theatre, fen, yuan


def prepare(clerk: Person) -> None:
    """Look at what closing would add, prepare it, and be refused the second signature."""
    _open_period(clerk)
    top_ups, rents = year.top_ups_fen(), year.rents_fen()
    for head, amount_fen in top_ups.items():
        expect(clerk.row(head)).to_contain_text(yuan(rents[head]))
        expect(clerk.row(head)).to_contain_text(yuan(amount_fen))
    clerk.reads(yuan(sum(rents.values())), yuan(sum(top_ups.values())))
    clerk.presses("准备关账")
    clerk.sees("关账已准备好，请另一位同事核对后确认")
    clerk.sees("您已准备关账，要由另一位同事确认。数字变了可以重新准备。")
    expect(clerk.page.locator("summary", has_text=clerk.words("确认关账"))).to_have_count(0)
    forged = clerk.page.request.post(
        f"{urlsplit(clerk.page.url).path}/confirm",
        form={"csrf_token": clerk.page.locator("meta[name=csrf-token]").get_attribute("content") or ""},
    )
    assert clerk.words("准备关账的人不能自己确认，请另一位同事确认") in forged.text()
    clerk.opens(urlsplit(clerk.page.url).path)
    clerk.sees("待另一人确认")


def confirm(manager: Person) -> None:
    """The other person compares and confirms."""
    manager.takes_up("%(count)s 个联结期的关账等您确认", count=1)
    manager.clicks(_last_period(manager))
    manager.reads(year.SIGNER, yuan(sum(year.top_ups_fen().values())))
    manager.confirms("确认关账", "确认关账")
    manager.sees("联结期已关账，不足应得的都已补足")
    manager.sees("已关账，不能再补记凭据；发现少记了，请记一笔更正。")
    manager.reads(yuan(0))


def _open_period(person: Person) -> None:
    person.goes_to("联结期与关账")
    person.clicks(_last_period(person))


def _last_period(person: Person) -> Locator:
    first_day = person.page.locator(f"time[datetime='{year.LAST_YEAR.isoformat()}']")
    return person.page.get_by_role("link").filter(has=first_day)


# --- what the household finds ---


def see_top_up(household: Person) -> None:
    """What the cooperative added stands with the income, to the fen."""
    household.goes_to("我的收入")
    top_up = year.top_ups_fen()[year.FIRST]
    first_day = household.page.locator(f"time[datetime='{year.LAST_YEAR.isoformat()}']")
    row = household.page.locator("#guarantees").get_by_role("row").filter(has=first_day)
    assert fen(row.inner_text()) == top_up


def issue_slip(household: Person) -> str:
    """Issue a slip since last year, open it on paper; returns the address behind its QR code."""
    household.follows("收入凭条")
    household.types("从", year.LAST_YEAR)
    household.presses("出具凭条")
    income = year.income_fen()
    household.reads(yuan(sum(income.values())), *(yuan(amount_fen) for amount_fen in income.values()))
    paper = household.page.get_by_role("link", name=household.words("打开凭条（PDF）"))
    answer = household.page.request.get(paper.get_attribute("href") or "")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF-")
    check = household.page.get_by_role("link", name=household.words("看别人扫码看到什么"))
    return check.get_attribute("href") or ""


def check_slip(theatre: Theatre, address: str, of: Household) -> None:
    """Anybody with the paper sees that it is true, and of nobody in particular."""
    passer_by = theatre.enter("passer-by")
    passer_by.opens(address)
    passer_by.sees("核验收入凭条")
    passer_by.sees("与账本相符")
    income = year.income_fen()
    passer_by.reads(yuan(sum(income.values())), *(yuan(amount_fen) for amount_fen in income.values()))
    said = passer_by.page.content()
    for personal in (of.head_name, of.head_name[0] + "*", of.public_no, of.registry_no, of.village.name):
        assert personal not in said
    passer_by.leaves()
