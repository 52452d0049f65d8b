"""Rents by the sheet: good rows are taken, every other says what to mend, and twice pays nothing twice."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role
from marketplace.linkage import sheet_rules
from marketplace.linkage.mechanisms.land_transfer.models import ParcelYear, RentedSpan
from marketplace.linkage.mechanisms.land_transfer.sheet import RENTS
from marketplace.linkage.models import Entitlement
from tests.factories.linkage import LeaseFactory, PeriodFactory, lease_terms, parcel_no
from tests.factories.registry import EnrolmentFactory, actor_at, beneficiary_policy, user_of

pytestmark = pytest.mark.usefixtures("clock")
HEADERS = ("户主姓名", "地块编码", "租金起始日", "租金截止日（含当天）")
YEAR = ("2026-01-01", "2026-12-31")


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def cooperative(session):
    """Two households that lease: the first one parcel, the second two."""
    first = LeaseFactory(enrolment=EnrolmentFactory(household__head_name="陈大山"))
    LeaseFactory(
        enrolment=EnrolmentFactory(cooperative=first.cooperative, household__head_name="李秋菊"),
        version__terms=lease_terms(71, 72),
    )
    PeriodFactory(cooperative=first.cooperative)
    return first.cooperative


def upload(session, files, cooperative, *rows):
    text = StringIO()
    csv.writer(text).writerows([HEADERS, *rows])
    return sheet_rules.upload_sheet(
        session,
        actor_at(cooperative),
        files,
        sheet_format=RENTS,
        lot=None,
        content=text.getvalue().encode(),
        file_name="租金.csv",
    )


def recorded(session):
    return tuple(
        session.scalar(select(func.count()).select_from(table))
        for table in (ParcelYear, RentedSpan, Entitlement)
    )


def test_the_rents_of_a_year_are_checked_and_taken_once(session, files, cooperative):
    rows = (
        ("陈大山", "", *YEAR),
        ("李秋菊", parcel_no(71), "2026年1月1日", "2026/12/31"),
        ("李秋菊", parcel_no(72), "2026-01-01", "2026-06-30"),
    )
    sheet = upload(session, files, cooperative, *rows)
    assert (sheet.rows_good, sheet.rows_bad, sheet.households) == (3, 0, 2)
    assert sheet.amount_fen == 150_000 + 150_000 + 74_384  # 150,000 x 181 / 365 = 74,383.56
    assert recorded(session) == (0, 0, 0)
    for _ in range(2):
        sheet_rules.take_sheet(session, actor_at(cooperative), files, sheet)
    assert recorded(session) == (3, 3, 3)
    assert sorted(session.scalars(select(Entitlement.amount_fen))) == [74_384, 150_000, 150_000]


def test_what_is_wrong_is_told_by_row_and_column(session, files, cooperative):
    sheet = upload(
        session,
        files,
        cooperative,
        ("陈大山", "", *YEAR),
        ("陈大山", "", "2026-06-01", "2026-06-30"),
        ("李秋菊", "", *YEAR),
        ("李秋菊", parcel_no(99), *YEAR),
        ("李秋菊", parcel_no(71), "2026-03-01", "2026-02-01"),
        ("李秋菊", parcel_no(71), "2026-05-01", "2027-01-31"),
        ("李秋菊", parcel_no(71), "明年", "9999-12-31"),
        ("王小满", "", *YEAR),
    )
    assert sheet.rows_good == 1
    assert [(one["row"], one["column"]) for one in sheet.findings] == [
        (3, "租金起始日"),
        (4, "地块编码"),
        (5, "地块编码"),
        (6, "租金截止日（含当天）"),
        (7, "租金截止日（含当天）"),
        (8, "租金起始日"),
        (8, "租金截止日（含当天）"),
        (9, "户主姓名"),
    ]
    assert recorded(session) == (0, 0, 0)


def test_the_page_of_a_rent_leads_to_the_sheet(client, session, cooperative):
    client.sign_in(user_of(cooperative, Role.COOPERATIVE_CLERK))
    page = client.get("/linkage/sheets/new/rents")
    assert (page.status_code, "土地租金登记表" in page.text) == (200, True)
    assert client.get("/linkage/sheets/template/rents.xlsx").data.startswith(b"PK")
