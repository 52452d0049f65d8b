"""Attendance by the sheet: a month of many people at once, and what is wrong told by row and column."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role
from marketplace.linkage import sheet_rules
from marketplace.linkage.mechanisms.employment.models import Attendance, LabourDay
from marketplace.linkage.mechanisms.employment.sheet import ATTENDANCE
from marketplace.linkage.models import Entitlement, Evidence
from marketplace.linkage.sheet_models import EvidenceSheet
from tests.factories.linkage import EmploymentFactory, LotFactory, PeriodFactory
from tests.factories.registry import EnrolmentFactory, actor_at, beneficiary_policy, user_of

pytestmark = pytest.mark.usefixtures("clock")
HEADERS = ("出工人姓名", "人员编号", "日期", "工时（小时）", "活计", "件数", "批次号", "上工", "收工")


@pytest.fixture
def agreement(session):
    """A cooperative's agreement with a linkage period and the lot CZ-1."""
    beneficiary_policy()
    made = EmploymentFactory(enrolment=EnrolmentFactory(household__head_name="刘长根"))
    PeriodFactory(cooperative=made.cooperative)
    LotFactory(cooperative=made.cooperative, lot_no="CZ-1")
    return made


def row(name: str = "刘长根", **fields: str) -> list[str]:
    values = dict.fromkeys(HEADERS, "") | {"出工人姓名": name, "日期": "2026-05-20", "工时（小时）": "8"}
    return list((values | fields).values())


def csv_of(*rows: Sequence[str]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows([HEADERS, *rows])
    return text.getvalue().encode()


def upload(session, files, agreement, *rows) -> EvidenceSheet:
    return sheet_rules.upload_sheet(
        session,
        actor_at(agreement.cooperative),
        files,
        sheet_format=ATTENDANCE,
        lot=None,
        content=csv_of(*rows),
        file_name="五月考勤.csv",
    )


def told(sheet: EvidenceSheet) -> list[tuple[int, str, str]]:
    return [(one["row"], one["column"], one["message"] % one["params"]) for one in sheet.findings]


def recorded(session) -> tuple[int | None, ...]:
    tables = (Evidence, Attendance, LabourDay, Entitlement)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def test_a_month_of_several_people_is_checked_and_then_taken(session, files, agreement):
    second = agreement.household.members[1].name
    sheet = upload(
        session,
        files,
        agreement,
        row(),
        row(日期="2026年5月21日", 批次号="CZ-1", 上工="7:30", 收工="17:30"),
        row(second, **{"工时（小时）": "7:30"}),
        row(second, **{"工时（小时）": "", "活计": "采摘（斤）", "件数": "120"}),
    )
    assert told(sheet) == []
    assert (sheet.rows_good, sheet.households, sheet.amount_fen) == (4, 1, 12_000 * 2 + 11_250 + 9_600)
    assert recorded(session) == (0, 0, 0, 0)
    for _ in range(2):  # taking it again changes nothing
        sheet_rules.take_sheet(session, actor_at(agreement.cooperative), files, sheet)
        assert recorded(session) == (4, 4, 3, 4)


def test_what_is_wrong_is_told_by_row_and_column(session, files, agreement):
    EmploymentFactory(enrolment=EnrolmentFactory(household__head_name="王有财"))  # of another cooperative
    sheet = upload(
        session,
        files,
        agreement,
        row("王有财"),
        row("无名氏"),
        row(人员编号="360000000000"),
        row(日期="2025-12-31"),
        row(日期="2026-05-01", **{"工时（小时）": "17"}),
        row(日期="2026-05-02", **{"工时（小时）": "-8"}),
        row(日期="2026-05-03", 件数="5"),
        row(日期="2026-05-04", 批次号="CZ-9"),
        row(日期="2026-05-05", 上工="8:00", 收工="12:00"),
        row(日期="2026-05-06", **{"工时（小时）": "10"}),
        row(日期="2026-05-06", 批次号="CZ-1", **{"工时（小时）": "7"}),
        row(日期="2026-05-06", **{"工时（小时）": "10"}),
    )
    assert told(sheet) == [
        (2, "出工人姓名", "没有找到这个人：须是务工协议里那一户的家庭成员，请核对姓名"),
        (3, "出工人姓名", "没有找到这个人：须是务工协议里那一户的家庭成员，请核对姓名"),
        (4, "人员编号", "编号和姓名不是同一个人，请核对"),
        (5, "日期", "协议从 2026-01-01 起生效，不能记更早的日期"),
        (6, "工时（小时）", "一天的工时须大于零，最多 16 小时"),
        (7, "工时（小时）", "请填写小时数，例如 8、7.5 或 7:30"),
        (8, "件数", "工时和件数只能填一样，两样都有请分成两行"),
        (9, "批次号", "没有这个批次号的批次，请核对"),
        (10, "工时（小时）", "工时比上工到收工的时间还长，请核对"),
        (
            12,
            "工时（小时）",
            "这个人当天在各合作社已记 10 小时 0 分，一天合计不能超过 16 小时",
        ),
        (13, "出工人姓名", "和第 11 行重复，同一笔只能登记一次，请删去一行"),
    ]
    assert (sheet.rows_good, recorded(session)) == (1, (0, 0, 0, 0))
    sheet_rules.take_sheet(session, actor_at(agreement.cooperative), files, sheet)
    assert recorded(session) == (1, 1, 1, 1)


def test_people_of_one_name_are_told_apart_by_their_number(session, files, agreement):
    other = EmploymentFactory(
        enrolment=EnrolmentFactory(cooperative=agreement.cooperative, household__head_name="刘长根")
    )
    number = other.household.members[0].person_no
    sheet = upload(session, files, agreement, row(), row(人员编号=number))
    assert told(sheet) == [(2, "人员编号", "有几个人同名，请填人员编号")]
    sheet_rules.take_sheet(session, actor_at(agreement.cooperative), files, sheet)
    assert session.scalars(select(Entitlement.household_id)).all() == [other.household_id]


def test_the_sheet_is_uploaded_from_the_page_of_attendance(client, session, agreement):
    client.sign_in(user_of(agreement.cooperative, Role.COOPERATIVE_CLERK))
    url = "/linkage/sheets/new/attendance"
    page = client.get("/linkage/attendance").text
    start = page.index(url)
    address = page[start : page.index('"', start)]
    assert "考勤登记表" in client.get(address).text
    sent = {"file": (BytesIO(csv_of(row())), "五月考勤.csv")}
    checked = client.post(address, data=sent, follow_redirects=True)
    assert checked.status_code == 200
    assert "120.00" in checked.text
    assert recorded(session) == (0, 0, 0, 0)
