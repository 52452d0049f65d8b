"""Yields by the sheet: good rows are taken, every other says what to mend, and twice charges nothing twice."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role
from marketplace.linkage import sheet_rules
from marketplace.linkage.mechanisms.production_trusteeship.models import YieldRecord
from marketplace.linkage.mechanisms.production_trusteeship.sheet import YIELDS
from marketplace.linkage.models import Charge, Entitlement
from tests.factories.linkage import LotFactory, TrusteeshipFactory
from tests.factories.registry import EnrolmentFactory, actor_at, beneficiary_policy, user_of

pytestmark = pytest.mark.usefixtures("clock")
HEADERS = ("户主姓名", "产季年份", "产季", "实际产量（千克）", "收获日期")


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def lot(session):
    first = TrusteeshipFactory(enrolment=EnrolmentFactory(household__head_name="陈大山"))
    TrusteeshipFactory(
        enrolment=EnrolmentFactory(cooperative=first.cooperative, household__head_name="李秋菊")
    )
    return LotFactory(cooperative=first.cooperative, commodity="稻谷")


def csv_of(*rows):
    text = StringIO()
    csv.writer(text).writerows([HEADERS, *rows])
    return text.getvalue().encode()


def upload(session, files, lot, *rows):
    return sheet_rules.upload_sheet(
        session,
        actor_at(lot.cooperative),
        files,
        sheet_format=YIELDS,
        lot=lot,
        content=csv_of(*rows),
        file_name="产量.csv",
    )


def told(sheet):
    return [(one["row"], one["column"], one["message"] % one["params"]) for one in sheet.findings]


def recorded(session):
    return tuple(
        session.scalar(select(func.count()).select_from(table))
        for table in (YieldRecord, Entitlement, Charge)
    )


def test_a_sheet_of_yields_is_checked_and_taken_with_its_fees(session, files, lot):
    rows = (
        ("陈大山", "2026", "上半年", "5000", "2026-05-20"),
        ("李秋菊", "2026年", "1", "0", "2026年5月20日"),
    )
    sheet = upload(session, files, lot, *rows)
    assert (sheet.rows_good, sheet.rows_bad, sheet.households, sheet.amount_fen) == (2, 0, 2, 2_688_000)
    assert recorded(session) == (0, 0, 0)
    for _ in range(2):
        sheet_rules.take_sheet(session, actor_at(lot.cooperative), files, sheet)
    assert recorded(session) == (2, 2, 2)
    assert session.scalars(select(Charge.amount_fen)).all() == [100_000, 100_000]
    assert lot.received_g == 5_000_000


def test_what_is_wrong_is_told_by_row_and_column(session, files, lot):
    sheet = upload(
        session,
        files,
        lot,
        ("陈大山", "2026", "上半年", "5000", "2026-05-20"),
        ("陈大山", "2026", "1", "10", "2026-05-21"),
        ("李秋菊", "2026", "秋天", "10", "2026-05-20"),
        ("李秋菊", "2026", "下半年", "10", "2026-05-20"),
        ("李秋菊", "2026", "上半年", "十", "2026-05-20"),
        ("王小满", "2026", "上半年", "10", "2026-05-20"),
    )
    assert sheet.rows_good == 1
    assert [(row, column) for row, column, _ in told(sheet)] == [
        (3, "户主姓名"),
        (4, "产季"),
        (5, "产季年份"),
        (6, "实际产量（千克）"),
        (7, "户主姓名"),
    ]
    assert recorded(session) == (0, 0, 0)


def test_the_page_of_yields_leads_to_the_sheet(client, session, lot):
    client.sign_in(user_of(lot.cooperative, Role.COOPERATIVE_CLERK))
    page = client.get(f"/linkage/sheets/new/yields?lot={lot.public_no}")
    assert page.status_code == 200
    assert "托管产量登记表" in page.text
    assert client.get("/linkage/sheets/template/yields.xlsx").status_code == 200
