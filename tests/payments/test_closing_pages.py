"""The pages of closing: figures, sheets, two people, corrections."""

from __future__ import annotations

import csv
from datetime import date
from io import BytesIO, StringIO
from typing import Any

import openpyxl
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.models import Agreement, Entitlement, LinkagePeriod, PeriodState
from marketplace.payments.closing.models import ClosingState, PeriodClosing
from marketplace.registry.models import Cooperative
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.linkage import LeaseFactory, PeriodFactory, pay_rent
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, beneficiary_policy, user_of

HALF_YEAR = date(2026, 7, 1)
PNG = b"\x89PNG\r\n\x1a\n and a picture of a receipt"


@pytest.fixture
def period(client: MarketClient, clock: HeldClock) -> LinkagePeriod:
    """The first half of 2026, with the rent of one parcel."""
    beneficiary_policy()
    found: LinkagePeriod = PeriodFactory(ends_on=HALF_YEAR)
    return found


@pytest.fixture
def lease(session: Session, period: LinkagePeriod) -> Agreement:
    """刘长根 let 10 mu for 181 days: 743.84 yuan."""
    cooperative = session.get_one(Cooperative, period.cooperative_id)
    enrolment = EnrolmentFactory(cooperative=cooperative, household__head_name="刘长根")
    found: Agreement = LeaseFactory(enrolment=enrolment)
    pay_rent(session, found, ends_on=HALF_YEAR)
    return found


def people_of(lease: Agreement) -> tuple[Any, Any]:
    """A clerk and a manager of the cooperative."""
    roles = (Role.COOPERATIVE_CLERK, Role.COOPERATIVE_MANAGER)
    clerk, manager = (user_of(lease.cooperative, role) for role in roles)
    return clerk, manager


def close(client: MarketClient, lease: Agreement, period: LinkagePeriod) -> None:
    """Two people close the period on its page."""
    clerk, manager = people_of(lease)
    client.sign_in(clerk)
    assert client.post(f"/linkage/periods/{period.public_no}/prepare").status_code == 303
    client.sign_in(manager)
    assert client.post(f"/linkage/periods/{period.public_no}/confirm").status_code == 303


def test_a_period_is_closed_on_its_page_by_two_people(
    client: MarketClient, session: Session, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    clerk, manager = people_of(lease)
    page = f"/linkage/periods/{period.public_no}"
    client.sign_in(clerk)
    shown = client.get(page).text
    assert "刘长根" in shown
    assert shown.count("743.84") >= 4  # due and missing: of the household, the mechanism, the whole
    client.post(f"{page}/prepare")
    assert "确认关账" not in client.get(page).text
    refused = client.post(f"{page}/confirm", follow_redirects=True).text
    assert "准备关账的人不能自己确认" in refused
    assert session.get_one(LinkagePeriod, period.id).state is PeriodState.OPEN

    client.sign_in(manager)
    assert "确认关账" in client.get(page).text
    done = client.post(f"{page}/confirm", follow_redirects=True).text
    assert "联结期已关账，不足应得的都已补足" in done
    assert session.get_one(LinkagePeriod, period.id).state is PeriodState.CLOSED
    assert "已关账，不能再补记凭据" in client.get(page).text


def test_a_period_that_is_not_over_says_when_it_can_be_closed(
    client: MarketClient, session: Session, period: LinkagePeriod, lease: Agreement
) -> None:
    client.sign_in(people_of(lease)[0])
    page = f"/linkage/periods/{period.public_no}"
    assert "2026年7月1日起才能关账" in client.get(page).text
    assert "2026年7月1日 才结束" in client.post(f"{page}/prepare", follow_redirects=True).text
    assert session.scalars(select(PeriodClosing)).all() == []


def test_what_was_prepared_can_be_withdrawn(
    client: MarketClient, session: Session, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    client.sign_in(people_of(lease)[0])
    page = f"/linkage/periods/{period.public_no}"
    client.post(f"{page}/prepare")
    assert "关账准备已撤回" in client.post(f"{page}/withdraw", follow_redirects=True).text
    assert session.scalars(select(PeriodClosing.state)).all() == [ClosingState.CANCELLED]


def test_the_figures_open_in_a_spreadsheet(
    client: MarketClient, period: LinkagePeriod, lease: Agreement
) -> None:
    client.sign_in(people_of(lease)[0])
    page = f"/linkage/periods/{period.public_no}"
    book = openpyxl.load_workbook(BytesIO(client.get(f"{page}/figures.xlsx").data))
    rows = list(book.active.iter_rows(values_only=True))
    assert rows[1][:4] == ("联结方式", "农户编号", "户主", "村")
    assert rows[2] == ("土地流转", lease.household.public_no, "刘长根", "鳌溪村委会", 743.84, 0, 0, 743.84)
    content = client.get(f"{page}/figures.csv").data
    assert content.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(StringIO(content.decode("utf-8-sig"))))
    assert table[1][4:] == ["743.84", "0.00", "0.00", "743.84"]
    assert client.get(f"{page}/figures.pdf").status_code == 404
    book.close()


def test_the_figures_are_printed_with_places_to_sign(
    client: MarketClient, period: LinkagePeriod, lease: Agreement
) -> None:
    client.sign_in(people_of(lease)[0])
    paper = client.get(f"/linkage/periods/{period.public_no}/print").text
    assert "确认人签字" in paper
    assert "743.84" in paper


def test_a_supervisor_reads_a_period_with_masked_names_and_closes_nothing(
    client: MarketClient, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    client.sign_in(official_with(Role.SUPERVISOR, "361025"))
    page = f"/linkage/periods/{period.public_no}"
    shown = client.get(page)
    assert shown.status_code == 200
    assert "刘长根" not in shown.text
    assert "刘**" in shown.text
    assert "刘长根" not in client.get(f"{page}/figures.csv").data.decode()
    assert client.post(f"{page}/prepare").status_code == 403


def test_another_cooperative_finds_no_such_period(
    client: MarketClient, session: Session, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    client.sign_in(user_of(CooperativeFactory(), Role.COOPERATIVE_MANAGER))
    page = f"/linkage/periods/{period.public_no}"
    assert client.get(page).status_code == 404
    assert client.post(f"{page}/prepare").status_code == 404
    assert session.scalars(select(PeriodClosing)).all() == []


def test_the_page_of_a_period_asks_a_fixed_number_of_questions(
    client: MarketClient, session: Session, period: LinkagePeriod, lease: Agreement, page_statements: Any
) -> None:
    client.sign_in(people_of(lease)[0])
    page = f"/linkage/periods/{period.public_no}"
    client.get(page)
    with page_statements() as few:
        client.get(page)
    for _ in range(8):
        pay_rent(
            session,
            LeaseFactory(enrolment=EnrolmentFactory(cooperative=lease.cooperative)),
            ends_on=HALF_YEAR,
        )
    with page_statements() as many:
        assert client.get(page).status_code == 200
    assert len(many) <= len(few), "\n".join(s[:120].replace("\n", " ") for s in many)


def test_what_was_short_is_corrected_from_the_evidence_into_the_open_period(
    client: MarketClient, session: Session, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    close(client, lease, period)
    following = PeriodFactory(
        cooperative=lease.cooperative,
        starts_on=HALF_YEAR,
        ends_on=date(2027, 1, 1),
        previous_ends_on=HALF_YEAR,
    )
    rent = session.scalars(select(Entitlement)).one().evidence
    link = f"/linkage/periods/{period.public_no}/correct?evidence={rent.public_no}"
    assert link in client.get(f"/linkage/evidence/{rent.public_no}").text.replace("&amp;", "&")
    typed = {"number": "1", "way": "short", "amount_fen": "12.50", "reason": "面积少算了"}
    refused = client.post(link, data=typed)
    assert refused.status_code == 422
    assert "请上传证明少记的单据" in refused.text
    assert session.scalars(select(LateCorrection)).all() == []

    upload = {"file": (BytesIO(PNG), "receipt.png")}
    done = client.post(link, data=typed | upload, follow_redirects=True)
    assert "更正已记录" in done.text
    correction = session.scalars(select(LateCorrection)).one()
    assert correction.entitlement is not None
    assert (correction.entitlement.period_id, correction.entitlement.amount_fen) == (following.id, 1_250)
    assert correction.key == f"late_correction:{rent.public_no}:1"

    again = client.post(link, data=typed | {"file": (BytesIO(PNG), "receipt.png")})
    assert again.status_code == 422
    assert "这笔更正已经记过" in again.text
    assert session.scalar(select(func.count(LateCorrection.id))) == 1
    assert correction.evidence is not None
    own = client.get(f"/linkage/evidence/{correction.evidence.public_no}")
    assert own.status_code == 200
    assert "面积少算了" in own.text
    assert client.get(f"/linkage/evidence/{correction.evidence.public_no}/print").status_code == 200
    assert client.get(f"/linkage/agreements/{lease.public_no}").status_code == 200
    assert client.get(f"/linkage/periods/{following.public_no}").status_code == 200


def test_what_was_too_much_is_noted_from_the_page_of_the_period(
    client: MarketClient, session: Session, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clock.advance(days=31)
    close(client, lease, period)
    choose = client.get(f"/linkage/periods/{period.public_no}/correct?q=刘长根")
    assert lease.public_no in choose.text
    link = f"/linkage/periods/{period.public_no}/correct?agreement={lease.public_no}"
    typed = {"number": "1", "way": "over", "amount_fen": "3", "reason": "天数多算了"}
    done = client.post(link, data=typed, follow_redirects=True)
    assert "天数多算了" in done.text
    correction = session.scalars(select(LateCorrection)).one()
    assert (correction.amount_fen, correction.entitlement_id) == (-300, None)
    assert session.scalar(select(func.count(Entitlement.id))) == 1


def test_the_desk_says_what_is_to_be_closed(
    client: MarketClient, period: LinkagePeriod, lease: Agreement, clock: HeldClock
) -> None:
    clerk, manager = people_of(lease)
    client.sign_in(clerk)
    assert "可以准备关账" not in client.get("/desk").text
    clock.advance(days=31)
    assert "1 个联结期已到期，可以准备关账" in client.get("/desk").text
    client.post(f"/linkage/periods/{period.public_no}/prepare")
    assert "等您确认" not in client.get("/desk").text
    client.sign_in(manager)
    assert "1 个联结期的关账等您确认" in client.get("/desk").text
