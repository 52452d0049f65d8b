"""A day's attendance on one page, and the totals of a month."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role, StoredFile
from marketplace.linkage.mechanisms.employment.models import Attendance, LabourDay
from marketplace.linkage.models import Agreement, AgreementVersion, Entitlement, Evidence
from tests.factories.identity import official_with
from tests.factories.linkage import EmploymentFactory, LotFactory, PeriodFactory, attend, work_terms
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    HouseholdMemberFactory,
    beneficiary_policy,
    user_of,
    user_of_household,
)

pytestmark = pytest.mark.usefixtures("clock")
PNG = b"\x89PNG\r\n\x1a\n and a picture of a sheet"
URL = "/linkage/attendance"
PICKING = "采摘（斤）"


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def enrolment(client, session):
    """A household of the cooperative whose clerk is signed in; the cooperative has a linkage period."""
    enrolled = EnrolmentFactory(household__head_name="刘长根")
    PeriodFactory(cooperative=enrolled.cooperative)
    client.sign_in(user_of(enrolled.cooperative, Role.COOPERATIVE_CLERK))
    return enrolled


@pytest.fixture
def agreement(enrolment):
    return EmploymentFactory(enrolment=enrolment)


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def sheet(*persons, worked_on="2026-05-20", amounts=(), **fields):
    typed = {f"amount-{person.public_no}": amount for person, amount in zip(persons, amounts, strict=False)}
    ticked = {"present": [person.public_no for person in persons]}
    return {"worked_on": worked_on, "lot": "", "starts": "", "ends": "", **ticked, **typed, **fields}


def sign_url(signer):
    return f"/linkage/agreements/new/{signer.household.public_no}/employment"


def test_a_clerk_signs_an_agreement_naming_who_may_work(client, session, enrolment):
    head, second = enrolment.household.members
    page = client.get(sign_url(enrolment)).text
    assert head.name in page
    assert f'value="{second.public_no}"' in page
    typed = {
        "persons": [second.public_no],
        "rate_fen_per_hour": "15",
        "piece_rates-0-kind": PICKING,
        "piece_rates-0-rate_fen": "0.80",
        "piece_rates-1-kind": "",
        "payment_days": "30",
        "valid_from": "2026-01-01",
    }
    grown = client.post(sign_url(enrolment), data={**typed, "more_kinds": "1"})
    assert grown.status_code == 200
    assert 'name="piece_rates-2-kind"' in grown.text
    refused = client.post(sign_url(enrolment), data={**typed, "persons": []})
    assert refused.status_code == 422
    assert "请至少选一名来务工的家庭成员" in refused.text
    stranger = HouseholdFactory().members[0].public_no
    refused = client.post(sign_url(enrolment), data={**typed, "persons": [stranger]})
    assert refused.status_code == 422
    assert "务工的人须是这一户的家庭成员" in refused.text
    assert count(session, Agreement) == 0
    signed = client.post(sign_url(enrolment), data=typed, follow_redirects=True)
    assert "采摘（斤），每件 0.80 元" in signed.text
    assert f'href="{URL}"' in signed.text
    assert session.scalars(select(AgreementVersion)).one().terms == work_terms(second)
    amend = client.get(
        f"/linkage/agreements/{session.scalars(select(Agreement)).unique().one().public_no}/amend"
    )
    assert f'value="{second.public_no}" checked' in amend.text


def test_a_day_of_many_people_is_recorded_at_once_with_one_photo(client, session, agreement):
    head, second = agreement.household.members
    lot = LotFactory(cooperative=agreement.cooperative)
    page = client.get(f"{URL}?day=2026-05-20&lot={lot.public_no}").text
    assert f'name="amount-{head.public_no}" value="8"' in page
    assert f'<option selected value="{lot.public_no}">' in page
    answer = client.post(
        URL,
        data={
            **sheet(head, second, amounts=("8", "7:30"), lot=lot.public_no),
            "file": (BytesIO(PNG), "考勤.png"),
        },
        follow_redirects=True,
    )
    assert "已记 2 人的考勤" in answer.text
    assert "7 小时 30 分" in answer.text
    assert "232.50" in answer.text  # 120.00 and 112.50
    assert session.scalars(select(Entitlement.amount_fen).order_by(Entitlement.id)).all() == [12_000, 11_250]
    assert session.scalars(select(Entitlement.lot_id)).all() == [lot.id, lot.id]
    assert count(session, StoredFile) == 1
    assert len(set(session.scalars(select(Evidence.file_id)))) == 1
    evidence = session.scalars(select(Evidence)).first()
    printed = client.get(f"/linkage/evidence/{evidence.public_no}/print").text
    assert "务工确认单" in printed
    assert head.name in printed
    assert "15.00 元/小时" in printed


def test_everybody_is_ticked_in_one_press(client, agreement):
    assert " checked>" not in client.get(URL).text
    assert client.get(f"{URL}?all=1").text.count('name="present"') == 2
    assert client.get(f"{URL}?all=1").text.count(" checked>") == 2


def test_pieces_are_recorded_by_kind(client, session, agreement):
    head = agreement.household.members[0]
    page = client.get(f"{URL}?kind={PICKING}").text
    assert f'name="amount-{head.public_no}" value=""' in page
    client.post(f"{URL}?kind={PICKING}", data=sheet(head, amounts=("120",)))
    assert session.scalars(select(Entitlement.amount_fen)).all() == [9_600]
    refused = client.post(f"{URL}?kind={PICKING}", data=sheet(head, amounts=("1.5",), worked_on="2026-05-21"))
    assert refused.status_code == 422
    assert "请填写件数，例如 120" in refused.text
    assert "没有人按“除草”计件" in client.get(f"{URL}?kind=除草").text


def test_what_is_wrong_is_told_beside_the_person_and_nothing_is_saved(client, session, agreement):
    head, second = agreement.household.members
    attend(session, agreement, person=second, minutes=600)
    lot = LotFactory(cooperative=agreement.cooperative)
    answer = client.post(URL, data=sheet(head, second, amounts=("8", "7"), lot=lot.public_no))
    assert answer.status_code == 422
    assert "这个人当天在各合作社已记 10 小时 0 分，一天合计不能超过 16 小时" in answer.text
    assert "有 1 人的考勤有问题，整张表还没有保存" in answer.text
    assert f'name="amount-{second.public_no}" value="7"' in answer.text
    assert answer.text.count(" checked>") == 2
    assert (count(session, Attendance), count(session, LabourDay)) == (1, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amounts": ("八",)}, "请填写小时数，例如 8、7.5 或 7:30"),
        ({"amounts": ("-8",)}, "请填写小时数，例如 8、7.5 或 7:30"),
        ({"amounts": ("0",)}, "一天的工时须大于零，最多 16 小时"),
        ({"amounts": ("17",)}, "一天的工时须大于零，最多 16 小时"),
        ({"worked_on": "2026-06-02"}, "日期不能晚于今天"),
        ({"worked_on": "2025-12-31"}, "协议从 2026年1月1日 起生效，不能记更早的日期"),
        ({"starts": "08:00", "ends": "12:00"}, "工时比上工到收工的时间还长"),
        ({"starts": "08:00"}, "上工和收工时间要么都填，要么都不填"),
    ],
)
def test_a_sheet_that_cannot_be_changes_nothing(client, session, agreement, fields, message):
    head = agreement.household.members[0]
    answer = client.post(URL, data=sheet(head, **{"amounts": ("8",), **fields}))
    assert answer.status_code == 422
    assert message in answer.text
    assert count(session, Evidence) == 0


def test_a_sheet_with_nobody_on_it_is_refused(client, session, agreement):
    answer = client.post(URL, data=sheet())
    assert answer.status_code == 422
    assert "请勾选这天出工的人" in answer.text


def test_work_until_midnight_ends_the_day(client, session, agreement):
    head = agreement.household.members[0]
    client.post(URL, data=sheet(head, amounts=("4",), starts="20:00", ends="00:00"))
    attendance = session.scalars(select(Attendance)).one()
    assert (attendance.starts_minute, attendance.ends_minute) == (1200, 1440)


def test_the_totals_of_a_month_are_seen_and_printed(client, session, agreement):
    head = agreement.household.members[0]
    for day in (18, 19):
        attend(session, agreement, worked_on=date(2026, 5, day))
    attend(session, agreement, worked_on=date(2026, 4, 30))
    assert "本月 2 天" in client.get(f"{URL}?day=2026-05-20").text
    page = client.get(f"{URL}/months/2026-05").text
    assert head.name in page
    assert "240.00" in page
    assert "这个月还没有考勤" in client.get(f"{URL}/months/2026-03").text
    for nonsense in ("2026-13", "x", "2026-5-1"):
        assert client.get(f"{URL}/months/{nonsense}").status_code == 404


def test_people_of_other_cooperatives_are_neither_shown_nor_recorded(client, session, agreement):
    stranger = EmploymentFactory().household.members[0]
    lot = LotFactory()
    assert stranger.public_no not in client.get(URL).text
    answer = client.post(URL, data=sheet(stranger, amounts=("8",)))
    assert answer.status_code == 422
    head = agreement.household.members[0]
    assert client.post(URL, data=sheet(head, amounts=("8",), lot=lot.public_no)).status_code == 422
    assert count(session, Evidence) == 0


def test_only_a_cooperative_takes_attendance_and_a_household_sees_its_own(client, session, agreement):
    evidence = attend(session, agreement)
    client.sign_in(user_of_household(agreement.household))
    assert "120.00" in client.get(f"/linkage/evidence/{evidence.public_no}").text
    assert client.get(URL).status_code == 403
    client.sign_in(official_with(Role.AUDITOR))
    assert client.get(URL).status_code == 403
    assert client.get(f"{URL}/months/2026-05").status_code == 403
    assert "120.00" in client.get(f"/linkage/agreements/{agreement.public_no}").text
    client.sign_in(user_of(CooperativeFactory()))
    assert client.get(f"/linkage/evidence/{evidence.public_no}").status_code == 404


def test_a_supervisor_does_not_see_who_worked(client, session, agreement):
    person = HouseholdMemberFactory(household=agreement.household, name="刘小满")
    session.expire(agreement.household)
    other = EmploymentFactory(
        enrolment=EnrolmentFactory(household=agreement.household, cooperative=CooperativeFactory())
    )
    PeriodFactory(cooperative=other.cooperative)
    evidence = attend(session, other, person=person)
    client.sign_in(official_with(Role.SUPERVISOR))
    for path in (f"/linkage/evidence/{evidence.public_no}", f"/linkage/agreements/{other.public_no}"):
        page = client.get(path)
        assert page.status_code == 200
        assert "刘小满" not in page.text


def test_a_long_sheet_takes_the_same_few_statements(client, session, agreement, page_statements):
    client.get(URL)
    with page_statements() as short:
        client.get(URL)
    for _ in range(5):
        EmploymentFactory(enrolment=EnrolmentFactory(cooperative=agreement.cooperative))
    with page_statements() as long:
        assert client.get(URL).text.count('name="present"') == 12
    assert len(long) == len(short)
