"""The ranking of units for finance departments, and the yearly reports as workbooks."""

from __future__ import annotations

from datetime import date, datetime
from io import BytesIO

import openpyxl
import pytest
from sqlalchemy.orm import Session

from marketplace.core.clock import SHANGHAI
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role
from marketplace.registry.models import BuyerUnit
from marketplace.reporting.quota.ranking import (
    RankedUnit,
    Sorting,
    Standing,
    ranking_of,
    read_row,
    summary_of,
    unit_within,
)
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import actor_with, official_with
from tests.factories.quota import MILLION, confirmed, filed, purchase, quota_rule, shared_canteen
from tests.factories.registry import BuyerUnitFactory, RegionFactory, user_of

FIRST, SECOND, WAITS, LATE, NOTHING, MEMBER, HEAD = range(7)


@pytest.fixture
def units(session: Session, clock: HeldClock) -> list[BuyerUnit]:
    """Seven units of 乐安县: 8 % and 2 % bought, a filing not confirmed, a late one, none, and two that share."""
    quota_rule()
    made = [BuyerUnitFactory() for _ in range(7)]
    for unit in (made[FIRST], made[SECOND]):
        confirmed(session, unit)
    filed(session, made[WAITS])
    shared_canteen(session, made[HEAD], made[MEMBER])
    confirmed(session, made[HEAD], base_fen=2 * MILLION)
    clock.set_to(datetime(2026, 7, 1, 9, 0, tzinfo=SHANGHAI))
    confirmed(session, made[LATE])
    purchase(session, made[FIRST], 8_000_000)
    purchase(session, made[SECOND], 2_000_000)
    purchase(session, made[MEMBER], 9_000_000)
    return made


def rows(session: Session, actor: Actor, **asked: object) -> list[RankedUnit]:
    return [read_row(row, 2026) for row in session.execute(ranking_of(session, actor, 2026, **asked))]


def names(ranked: list[RankedUnit]) -> list[str]:
    return [row.name for row in ranked]


def test_units_are_ranked_by_their_share(session: Session, units: list[BuyerUnit]) -> None:
    ranked = rows(session, actor_with(Role.COUNTY_REVIEWER))
    order = [FIRST, HEAD, SECOND, LATE, WAITS, NOTHING, MEMBER]
    assert names(ranked) == [units[place].name for place in order]
    assert [row.pace.percent_bp if row.pace else None for row in ranked] == [800, 450, 200, 0] + [None] * 3
    assert [row.standing for row in ranked] == [
        Standing.FILED,
        Standing.FILED,
        Standing.FILED,
        Standing.LATE,
        Standing.WAITING,
        Standing.NOT_FILED,
        Standing.SHARED,
    ]
    assert [row.pace and row.pace.is_behind for row in ranked] == [False, True, True, True, None, None, None]
    assert ranked[-1].filer == units[HEAD].name


def test_the_ranking_is_sorted_and_narrowed(session: Session, units: list[BuyerUnit]) -> None:
    reader = actor_with(Role.COUNTY_REVIEWER)
    last = rows(session, reader, sort=Sorting.LAST)
    assert names(last)[3:] == [units[place].name for place in (LATE, SECOND, HEAD, FIRST)]
    assert names(rows(session, reader, sort=Sorting.RESERVE))[0] == units[HEAD].name
    assert names(rows(session, reader, sort=Sorting.NAME)) == sorted(unit.name for unit in units)
    assert names(rows(session, reader, standing=Standing.NOT_FILED)) == [units[NOTHING].name]
    assert rows(session, reader, county_code="360827") == []


def test_sums_leave_out_who_another_files_for(session: Session, units: list[BuyerUnit]) -> None:
    reader = actor_with(Role.COUNTY_REVIEWER)
    found = summary_of(session, ranking_of(session, reader, 2026), 2026)
    assert found.units == {
        Standing.FILED: 3,
        Standing.LATE: 1,
        Standing.WAITING: 1,
        Standing.NOT_FILED: 1,
        Standing.SHARED: 1,
    }
    assert (found.base_fen, found.reserve_fen, found.counted_fen) == (5 * MILLION, MILLION // 2, 19_000_000)
    assert (found.pace.percent_bp, found.behind) == (380, 3)


@pytest.mark.parametrize(
    ("role", "region", "count"),
    [
        (Role.COUNTY_REVIEWER, "361025", 7),
        (Role.COUNTY_REVIEWER, "360827", 0),
        (Role.SUPERVISOR, "36", 7),
        (Role.AUDITOR, "3610", 7),
        (Role.AUDITOR, "3608", 0),
    ],
)
def test_a_department_ranks_its_own_place(
    session: Session, units: list[BuyerUnit], role: Role, region: str, count: int
) -> None:
    reader = actor_of(official_with(role, region))
    assert len(rows(session, reader)) == count
    if not count:
        with pytest.raises(NotFound):
            unit_within(session, reader, units[0].public_no)


def test_what_counts_of_a_unit_without_a_filing_is_what_the_rule_of_its_place_counts(
    session: Session, clock: HeldClock
) -> None:
    """The country counts everything, the county tea alone: oil of a unit there does not count, filed or not."""
    RegionFactory(code="360827")
    reader = actor_of(official_with(Role.SUPERVISOR, "36"))
    quota_rule()
    here, waits = BuyerUnitFactory(), BuyerUnitFactory()
    elsewhere = BuyerUnitFactory(county_code="360827")
    for unit, fen in ((here, 8_000), (waits, 4_000), (elsewhere, 2_000)):
        purchase(session, unit, fen)
    counted = {row.unit_no: row.counted_fen for row in rows(session, reader)}
    assert [counted[unit.public_no] for unit in (here, waits, elsewhere)] == [8_000, 4_000, 2_000]
    quota_rule("361025", category_codes=["tea"])
    filed(session, waits)
    counted = {row.unit_no: row.counted_fen for row in rows(session, reader)}
    assert [counted[unit.public_no] for unit in (here, waits, elsewhere)] == [0, 0, 2_000]


def test_nobody_without_an_office_ranks(session: Session, units: list[BuyerUnit]) -> None:
    assert rows(session, Actor(roles=frozenset({Role.SUPERVISOR}))) == []


# --- pages ---


def test_the_ranking_is_paged_and_does_not_cost_by_the_unit(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    quota_rule()
    client.sign_in(official_with(Role.COUNTY_REVIEWER))

    def cost() -> int:
        client.get("/quotas")
        with page_statements() as sent:
            assert client.get("/quotas").status_code == 200
        return len(sent)

    confirmed(session, BuyerUnitFactory())
    few = cost()
    for _ in range(24):
        unit = BuyerUnitFactory()
        confirmed(session, unit)
    purchase(session, unit, 500)
    assert cost() == few
    assert "共 25 条，第 1 / 2 页" in client.get("/quotas").text
    assert client.get("/quotas?page=2").status_code == 200


def test_the_report_of_a_county_opens_in_a_spreadsheet(
    client: MarketClient, session: Session, units: list[BuyerUnit]
) -> None:
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    answer = client.get("/quotas.xlsx?year=2026")
    sheet = openpyxl.load_workbook(BytesIO(answer.data)).active
    lines = list(sheet.iter_rows(values_only=True))
    assert lines[0][0] == "2026 年预留份额完成情况"
    assert lines[1][:4] == ("单位", "所在县", "申报情况", "食材采购总额（元）")
    assert lines[2][0] == units[FIRST].name
    assert lines[2][3:] == (1_000_000, 0.1, 100_000, 80_000, 0.08, 0.8, 20_000, "跟上进度")
    assert lines[-1][0] == "合计"
    assert lines[-1][3:8] == (5_000_000, None, 500_000, 190_000, 0.038)
    assert (sheet["D3"].number_format, sheet["H3"].number_format) == ("#,##0.00", "0.00%")
    assert sheet.column_dimensions["A"].width == pytest.approx(28, abs=1)


def test_the_report_of_a_unit_lists_every_purchase(
    client: MarketClient, session: Session, units: list[BuyerUnit]
) -> None:
    purchase(session, units[FIRST], 1_234, lacks=("paid", "evaluated"))
    client.sign_in(user_of(units[FIRST], Role.UNIT_PAYER))
    book = openpyxl.load_workbook(BytesIO(client.get("/quota.xlsx").data))
    assert book.sheetnames == ["汇总", "已计入", "尚未计入"]
    figures = dict(book["汇总"].iter_rows(min_row=3, max_col=2, values_only=True))
    assert (figures["占食材采购总额"], figures["已计入（元）"], figures["待付款"]) == (0.08, 80_000, 12.34)
    counted = list(book["已计入"].iter_rows(min_row=3, values_only=True))
    assert counted[0][0].date() == date(2026, 7, 1)
    assert counted[0][3:] == ("山茶油", 1, 80_000, None, 80_000)
    assert (counted[1][0], counted[1][-1]) == ("合计", 80_000)
    pending = list(book["尚未计入"].iter_rows(min_row=3, values_only=True))
    assert [(row[0] == "合计", row[-1]) for row in pending] == [(False, 12.34), (True, 12.34)]


def test_only_finance_departments_rank(
    client: MarketClient, session: Session, units: list[BuyerUnit]
) -> None:
    client.sign_in(user_of(units[FIRST]))
    for path in ("/quotas", "/quotas.xlsx", f"/quotas/{units[SECOND].public_no}"):
        assert client.get(path).status_code == 403
    RegionFactory(code="360827")
    client.sign_in(official_with(Role.COUNTY_REVIEWER, "360827"))
    for path in (f"/quotas/{units[FIRST].public_no}", f"/quotas/{units[FIRST].public_no}.xlsx"):
        assert client.get(path).status_code == 404
    client.sign_in(official_with(Role.AUDITOR))
    assert "8.00%" in client.get(f"/quotas/{units[FIRST].public_no}").text


@pytest.mark.parametrize("year", ["2020", "2027", "nonsense", "-1", "²"])
def test_a_year_without_filings_is_not_found(
    client: MarketClient, session: Session, clock: HeldClock, year: str
) -> None:
    client.sign_in(official_with(Role.AUDITOR))
    assert client.get("/quotas", query_string={"year": year}).status_code == 404
