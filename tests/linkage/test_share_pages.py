"""The pages of share cooperation: a stake, a resolution looked at and adopted, its list, and passing a stake on."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role, StoredFile
from marketplace.linkage.mechanisms.share_cooperation.models import ShareResolution, StakeReassignment
from marketplace.linkage.models import Agreement, AgreementState, AgreementVersion, Entitlement
from tests.factories.identity import official_with
from tests.factories.linkage import ContractFactory, PeriodFactory
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    beneficiary_policy,
    user_of,
    user_of_household,
)
from tests.factories.shares import StakeFactory, share_surplus

pytestmark = pytest.mark.usefixtures("clock")
PNG = b"\x89PNG\r\n\x1a\n and a picture of the minutes"
NEW = "/linkage/resolutions/new"


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def enrolment(client, session):
    """A household of the cooperative whose clerk is signed in."""
    enrolled = EnrolmentFactory(household__head_name="刘长根")
    client.sign_in(user_of(enrolled.cooperative, Role.COOPERATIVE_CLERK))
    return enrolled


@pytest.fixture
def stake(enrolment):
    return StakeFactory(enrolment=enrolment)


@pytest.fixture
def period(enrolment):
    """The year 2025, over by now."""
    return PeriodFactory(
        cooperative=enrolment.cooperative, starts_on=date(2025, 1, 1), ends_on=date(2026, 1, 1)
    )


def minutes(period, **changed):
    return {
        "period_no": period.public_no,
        "resolution_no": "2026-01",
        "meeting_on": "2026-03-01",
        "surplus_fen": "10000",
        "patronage_bp": "60",
        "base_bp": "5",
        "capital_fen": "10000",
        "dealings_fen": "1000",
        "members_total": "10",
        "members_present": "8",
        "votes_for": "7",
        **changed,
    }


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def digest_in(page):
    mark = page.split('name="digest"')[1]
    return mark.split('value="')[1].split('"')[0]


def test_a_clerk_signs_a_stake(client, session, enrolment):
    url = f"/linkage/agreements/new/{enrolment.household.public_no}/share_cooperation"
    assert "财政资金量化到户" in client.get(url).text
    stake = {
        "certificate_no": "GQ-1",
        "stake_fen": "2100",
        "source": "land_right",
        "shares": "3",
        "valid_from": "2026-01-01",
    }
    signed = client.post(url, data=stake, follow_redirects=True)
    assert "土地经营权折价" in signed.text
    assert "转让股份" in signed.text
    terms = session.scalars(select(AgreementVersion)).one().terms
    assert terms == {"certificate_no": "GQ-1", "stake_fen": 210_000, "source": "land_right", "shares": 3}
    other = EnrolmentFactory(cooperative=enrolment.cooperative)
    again = client.post(f"/linkage/agreements/new/{other.household.public_no}/share_cooperation", data=stake)
    assert again.status_code == 422
    assert "同一张证同一天只能有一户持有" in again.text
    assert count(session, Agreement) == 1


def test_a_resolution_is_looked_at_before_it_is_adopted(client, session, stake, period):
    assert "看每户分多少" in client.get(NEW).text
    looked_at = client.post(NEW, data=minutes(period))
    assert looked_at.status_code == 200
    for shown in ("刘长根", "6,000.00", "105.00", "其他成员"):
        assert shown in looked_at.text
    assert count(session, ShareResolution) == 0
    without = client.post(NEW, data=minutes(period, adopt="1"))
    assert without.status_code == 200  # nothing was looked at yet
    assert count(session, ShareResolution) == 0
    adopted = client.post(
        NEW,
        data=minutes(period, adopt="1", digest=digest_in(looked_at.text), file=(BytesIO(PNG), "决议.png")),
        follow_redirects=True,
    )
    assert adopted.status_code == 200
    assert "决议.png" in adopted.text
    resolution = session.scalars(select(ShareResolution)).one()
    assert session.get_one(StoredFile, resolution.file_id).sealed
    entitlement = session.scalars(select(Entitlement)).one()
    assert (entitlement.inputs["base_share_fen"], entitlement.inputs["capital_share_fen"]) == (10_500, 81_795)
    assert "没有可以分的联结期" in client.get(NEW).text
    assert "2026-01" in client.get("/linkage/resolutions").text


def test_what_changed_since_the_preview_is_shown_again_before_it_is_adopted(client, session, stake, period):
    digest = digest_in(client.post(NEW, data=minutes(period)).text)
    StakeFactory(enrolment=EnrolmentFactory(cooperative=stake.cooperative))
    refused = client.post(NEW, data=minutes(period, adopt="1", digest=digest))
    assert refused.status_code == 422
    assert "请重新核对分配表" in refused.text
    assert count(session, ShareResolution) == 0


def test_a_resolution_the_law_forbids_is_refused_beside_its_field(client, session, stake, period):
    refused = client.post(NEW, data=minutes(period, patronage_bp="59.99"))
    assert refused.status_code == 422
    assert "不得低于可分配盈余的 60%，这是农民专业合作社法第四十四条的规定" in refused.text
    assert 'value="59.99"' in refused.text
    refused = client.post(NEW, data=minutes(period, capital_fen="2099.99"))
    assert "登记的股份最多的一天合计 2,100.00 元，超过了总股本" in refused.text
    refused = client.post(NEW, data=minutes(period, period_no="P-FORGED"))
    assert refused.status_code == 422
    assert count(session, ShareResolution) == 0


def test_the_list_put_up_has_no_names_and_the_household_sees_its_own(client, session, stake, period):
    resolution = share_surplus(session, period)
    url = f"/linkage/resolutions/{resolution.public_no}"
    assert "刘长根" in client.get(url).text
    listed = client.get(f"{url}/print")
    assert listed.status_code == 200
    assert "刘**" in listed.text
    for secret in ("刘长根", stake.household.registry_no):
        assert secret not in listed.text
    evidence = session.scalars(select(Entitlement)).one().evidence
    paper = client.get(f"/linkage/evidence/{evidence.public_no}/print").text
    assert "分红确认单" in paper
    client.sign_in(user_of_household(stake.household))
    own = client.get(f"/linkage/evidence/{evidence.public_no}")
    assert own.status_code == 200
    assert "决议 2026-01" in own.text
    assert client.get(url).status_code == 403


def test_a_supervisor_reads_resolutions_without_names_and_others_find_nothing(client, session, stake, period):
    resolution = share_surplus(session, period)
    url = f"/linkage/resolutions/{resolution.public_no}"
    client.sign_in(official_with(Role.SUPERVISOR))
    page = client.get(url)
    assert page.status_code == 200
    assert "刘长根" not in page.text
    assert client.get(NEW).status_code == 403
    client.sign_in(user_of(CooperativeFactory()))
    assert client.get(url).status_code == 404
    assert client.get(f"{url}/print").status_code == 404
    assert "还没有分红决议" in client.get("/linkage/resolutions").text


def test_a_stake_is_passed_on(client, session, stake):
    heir = EnrolmentFactory(cooperative=stake.cooperative, household__head_name="周兰香").household
    url = f"/linkage/agreements/{stake.public_no}/reassign"
    found = client.get(f"{url}?q=兰香").text
    assert f"?to={heir.public_no}" in found
    refused = client.post(f"{url}?to={heir.public_no}", data={"from_day": "2026-03-01", "reason": " "})
    assert refused.status_code == 422
    assert count(session, StakeReassignment) == 0
    passed = client.post(
        f"{url}?to={heir.public_no}", data={"from_day": "2026-03-01", "reason": "分户"}, follow_redirects=True
    )
    assert passed.status_code == 200
    assert "周兰香" in passed.text
    assert session.get_one(Agreement, stake.id).state is AgreementState.ENDED
    assert "已经转给了另一户" in client.get(url).text
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=stake.cooperative))
    assert client.get(f"/linkage/agreements/{contract.public_no}/reassign").status_code == 404
    client.sign_in(user_of(CooperativeFactory()))
    assert client.get(url).status_code == 404


@pytest.mark.parametrize("path", ["/linkage/resolutions", NEW])
def test_pages_take_the_same_few_statements_however_many_stakes_there_are(
    client, session, page_statements, stake, period, path
):
    def sent():
        with page_statements() as statements:
            if path == NEW:
                assert client.post(path, data=minutes(period)).status_code == 200
            else:
                assert client.get(path).status_code == 200
        return len(statements)

    sent()
    few = sent()
    for _ in range(6):
        StakeFactory(enrolment=EnrolmentFactory(cooperative=stake.cooperative), version__stake_fen=1_000)
    assert sent() == few
