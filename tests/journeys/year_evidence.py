"""Scene one: the clerk of a cooperative has a pile of weigh slips and a list of who came to work, and a telephone."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.journeys import year
from tests.journeys.people import Person
from tests.journeys.story import half_up

WAGE_FEN, HOURS, SHORT_HOURS = 1_500, 8, "6.5"


def weigh_ten_slips(clerk: Person) -> None:
    """One slip after the other; only who and how much is typed, the rest is as on the slip before."""
    clerk.goes_to("批次与称重")
    clerk.follows_text(f"{year.COMMODITY} {year.LOT_NO}")
    clerk.follows("连续过磅")
    for place, slip in enumerate(year.SLIPS):
        clerk.picks("谁来交货", slip.household)
        if not place:
            clerk.types("过磅单号", year.FIRST_SLIP_NO)
            clerk.types("合作社签字", year.SIGNER)
        clerk.types("净重", slip.net_kg)
        clerk.presses("保存，下一张")
        clerk.sees("已保存：%(name)s，应得 %(yuan)s 元。", name=slip.household, yuan=_worth(slip.net_kg))
    clerk.sees("%(count)s 张", count=len(year.SLIPS))
    expect(clerk.field("过磅单号")).to_have_value("GB-0111")


def _worth(net_kg: str) -> str:
    """What a slip is worth in yuan: its grams at floor price and premium."""
    kilograms, tenths = net_kg.split(".")
    amount_fen = half_up(int(kilograms + tenths) * 100 * year.FLOOR_AND_PREMIUM_FEN, 1_000)
    return f"{amount_fen // 100:,}.{amount_fen % 100:02d}"


def take_attendance(clerk: Person, absent: str, early: str) -> None:
    """Everybody came but one person; another left early."""
    clerk.goes_to("考勤")
    clerk.follows("全部勾上")
    came = clerk.page.get_by_role("checkbox", checked=True)
    present = came.count() - 1
    clerk.unticks(clerk.page.get_by_role("checkbox", name=absent))
    unit = clerk.words("小时")
    hours = clerk.words("%(name)s的%(unit)s数", name=early, unit=unit)
    clerk.fills(clerk.page.get_by_label(hours, exact=True), SHORT_HOURS)
    clerk.presses("保存考勤")
    clerk.sees("已记 %(count)s 人的考勤", count=present)
    assert present >= 6
    done = clerk.page.locator("#done")
    expect(done.get_by_role("row").filter(has_text="¥120.00")).to_have_count(present - 1)
    expect(done.get_by_role("row").filter(has_text=early)).to_contain_text("¥97.50")
