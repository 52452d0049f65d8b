"""The pages of production trusteeship: signing, recording a season, and what the household is shown."""

from __future__ import annotations

from io import BytesIO

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role
from marketplace.linkage.models import AgreementVersion, Charge, Entitlement, Lot
from tests.factories.linkage import (
    TRUSTEESHIP_TERMS,
    ContractFactory,
    LotFactory,
    TrusteeshipFactory,
    reap,
)
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    beneficiary_policy,
    user_of,
    user_of_household,
)

pytestmark = pytest.mark.usefixtures("clock")
PNG = b"\x89PNG\r\n\x1a\n and a picture of a yield record"
TERMS = {
    "commodity": "稻谷",
    "area_cmu": "10",
    "fee_fen_per_mu": "120",
    "subsidy_fen_per_mu": "20",
    "guaranteed_g_per_mu": "450",
    "price_fen_per_kg": "2.8",
    "bonus_share_bp": "20",
    "due_days": "30",
    "valid_from": "2026-01-01",
}


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
def trusteeship(enrolment):
    return TrusteeshipFactory(enrolment=enrolment)


@pytest.fixture
def lot(trusteeship):
    return LotFactory(cooperative=trusteeship.cooperative, commodity="稻谷")


def typed(lot, **changed):
    season = {"actual_g": "5000", "year": "2026", "half": "1", "recorded_on": "2026-05-20"}
    return {**season, "lot_no": lot.public_no, **changed}


def url_of(agreement):
    return f"/linkage/agreements/{agreement.public_no}/yields/new"


def test_a_clerk_signs_a_trusteeship(client, session, enrolment):
    url = f"/linkage/agreements/new/{enrolment.household.public_no}/production_trusteeship"
    assert "每季服务费" in client.get(url).text
    refused = client.post(url, data={**TERMS, "subsidy_fen_per_mu": "121"})
    assert refused.status_code == 422
    assert "补贴不能超过服务费" in refused.text
    signed = client.post(url, data=TERMS, follow_redirects=True)
    assert "每亩 450 千克" in signed.text
    assert "按价款的 20% 另加" in signed.text
    assert session.scalars(select(AgreementVersion)).one().terms == TRUSTEESHIP_TERMS


def test_a_season_is_recorded_and_gross_fee_and_net_are_shown(client, session, trusteeship, lot):
    page = client.get(url_of(trusteeship)).text
    assert "12,600.00" in page  # the guarantee
    assert 'value="2026"' in page
    saved = client.post(
        url_of(trusteeship),
        data=typed(lot, file=(BytesIO(PNG), "产量.png")),
        follow_redirects=True,
    )
    assert saved.status_code == 200
    for shown in ("14,280.00", "1,000.00", "13,280.00", "超产 500 千克"):
        assert shown in saved.text
    assert session.get_one(Lot, lot.id).received_g == 5_000_000
    assert "5,000" in client.get(url_of(trusteeship)).text
    again = client.post(url_of(trusteeship), data=typed(lot))
    assert again.status_code == 422
    assert "服务费一季只收一次" in again.text
    assert session.scalar(select(func.count(Charge.id))) == 1


def test_a_negative_net_is_shown_with_its_sign_on_page_and_paper(client, session, enrolment):
    bare = TrusteeshipFactory(
        enrolment=enrolment, version__terms={**TRUSTEESHIP_TERMS, "guaranteed_g_per_mu": 0}
    )
    lot = LotFactory(cooperative=bare.cooperative, commodity="稻谷")
    evidence = reap(session, bare, lot, actual_g=0)
    for path in ("", "/print"):
        page = client.get(f"/linkage/evidence/{evidence.public_no}{path}")
        assert page.status_code == 200
        assert "-1,000.00 元" in page.text
        assert "money-minus" in page.text
        assert "服务费比应得多 1,000.00 元" in page.text
    client.sign_in(user_of_household(bare.household))
    assert "刘长根" in client.get(f"/linkage/evidence/{evidence.public_no}/print").text


def test_wrong_input_stays_beside_its_field(client, session, trusteeship, lot):
    wrong = client.post(url_of(trusteeship), data=typed(lot, actual_g="五千"))
    assert wrong.status_code == 422
    assert 'value="五千"' in wrong.text
    late = client.post(url_of(trusteeship), data=typed(lot, half="2"))
    assert late.status_code == 422
    assert "2026年7月1日 到 2027年4月2日 之间记录" in late.text
    forged = client.post(url_of(trusteeship), data=typed(lot, lot_no=LotFactory().public_no))
    assert forged.status_code == 422
    assert session.scalar(select(func.count(Entitlement.id))) == 0


def test_without_a_lot_of_the_crop_the_page_leads_to_one(client, trusteeship):
    page = client.get(url_of(trusteeship)).text
    assert "还没有稻谷的批次" in page
    assert "/linkage/lots/new" in page


def test_other_agreements_and_other_cooperatives_find_nothing(client, session, trusteeship):
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=trusteeship.cooperative))
    assert client.get(url_of(contract)).status_code == 404
    client.sign_in(user_of(CooperativeFactory()))
    assert client.get(url_of(trusteeship)).status_code == 404
