"""The pages of asset leases: a household's place in the roster, a rent receipt, and how it was shared."""

from __future__ import annotations

from io import BytesIO

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt
from marketplace.linkage.models import AgreementVersion, Entitlement, Evidence
from tests.factories.identity import official_with
from tests.factories.linkage import ASSET_TERMS, AssetLeaseFactory, LeaseFactory, PeriodFactory, receive_rent
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    beneficiary_policy,
    user_of,
    user_of_household,
)

pytestmark = pytest.mark.usefixtures("clock")
PNG = b"\x89PNG\r\n\x1a\n and a picture of a receipt"
RENT = {"receipt_no": "SJ-001", "rent_fen": "10000", "received_on": "2026-05-20"}


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def lease(client, session):
    """A place in a roster, of the cooperative whose clerk is signed in."""
    made = AssetLeaseFactory(enrolment=EnrolmentFactory(household__head_name="刘长根"))
    client.sign_in(user_of(made.cooperative, Role.COOPERATIVE_CLERK))
    return made


def another(lease, weight=3):
    return AssetLeaseFactory(
        enrolment=EnrolmentFactory(cooperative=lease.cooperative, household__head_name="周兰香"),
        version__terms={**ASSET_TERMS, "plan_weight": weight},
    )


def rent_url(lease):
    return f"/linkage/agreements/{lease.public_no}/asset-rent"


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def test_a_clerk_signs_a_household_into_the_roster(client, session, lease):
    enrolment = EnrolmentFactory(cooperative=lease.cooperative)
    url = f"/linkage/agreements/new/{enrolment.household.public_no}/asset_lease"
    typed = {
        "asset_no": "zc-2026-001",
        "lease_no": ASSET_TERMS["lease_no"],
        "resolution_no": ASSET_TERMS["resolution_no"],
        "plan_weight": "1",
        "retain_bp": "30%",
        "valid_from": "2026-01-01",
    }
    refused = client.post(url, data={**typed, "retain_bp": "25"})
    assert refused.status_code == 422
    assert f"在协议 {lease.public_no} 里写的留存比例是 30%，同一决议只能有一个比例" in refused.text
    assert 'value="25"' in refused.text
    signed = client.post(url, data=typed, follow_redirects=True)
    assert "ZC-2026-001" in signed.text
    assert "30%" in signed.text
    assert (
        session.scalars(select(AgreementVersion).order_by(AgreementVersion.id)).all()[-1].terms == ASSET_TERMS
    )


def test_a_rent_is_recorded_once_for_the_whole_roster(client, session, lease):
    other = another(lease)
    assert "先开设联结期" in client.get(rent_url(lease)).text
    PeriodFactory(cooperative=lease.cooperative)
    page = client.get(rent_url(lease)).text
    assert "2 户，共 4 份" in page
    assert "周兰香" in page
    answer = client.post(
        rent_url(lease), data={**RENT, "file": (BytesIO(PNG), "收据.png")}, follow_redirects=True
    )
    receipt = session.scalars(select(AssetRentReceipt)).one()
    assert answer.request.path == f"/linkage/asset-rents/{receipt.public_no}"
    for amount in ("10,000.00", "3,000.00", "7,000.00", "1,750.00", "5,250.00"):
        assert amount in answer.text
    again = client.post(rent_url(other), data={**RENT, "rent_fen": "99"})
    assert again.status_code == 422
    assert "的收据 SJ-001 已按 2026年5月20日 收到记过，没有重复记录" in again.text
    assert 'value="99"' in again.text
    assert (count(session, Evidence), count(session, Entitlement)) == (2, 2)
    assert "SJ-001" in client.get(rent_url(lease)).text
    evidence = session.scalars(select(Evidence).order_by(Evidence.id)).first()
    printed = client.get(f"/linkage/evidence/{evidence.public_no}/print").text
    assert "资产租金确认单" in printed
    assert "1 份，名册里 2 户共 4 份" in printed


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("rent_fen", "0", "租金须大于零"),
        ("rent_fen", "-5", "请填写金额"),
        ("receipt_no", "第一号", "收据号由数字、字母和横线组成"),
        ("received_on", "2026-06-02", "日期不能晚于今天"),
        ("received_on", "2025-12-31", "没有有效的协议"),
    ],
)
def test_a_rent_that_cannot_be_changes_nothing(client, session, lease, field, typed, message):
    PeriodFactory(cooperative=lease.cooperative)
    answer = client.post(rent_url(lease), data={**RENT, field: typed})
    assert answer.status_code == 422
    assert message in answer.text
    assert count(session, AssetRentReceipt) == 0


def test_who_sees_a_receipt(client, session, lease):
    PeriodFactory(cooperative=lease.cooperative)
    receipt = receive_rent(session, lease.cooperative, rent_fen=1_000_000)
    url = f"/linkage/asset-rents/{receipt.public_no}"
    evidence = session.scalars(select(Evidence)).one()
    client.sign_in(official_with(Role.AUDITOR))
    assert "7,000.00" in client.get(url).text
    client.sign_in(official_with(Role.SUPERVISOR))
    assert "刘长根" not in client.get(f"/linkage/evidence/{evidence.public_no}").text
    client.sign_in(user_of_household(lease.household))
    assert client.get(url).status_code == 403
    assert "7,000.00" in client.get(f"/linkage/evidence/{evidence.public_no}").text
    client.sign_in(user_of(CooperativeFactory()))
    assert client.get(url).status_code == 404
    assert client.get(rent_url(lease)).status_code == 404
    assert client.get("/linkage/asset-rents/N-FORGED0000").status_code == 404


def test_other_agreements_have_no_asset(client, session, lease):
    transfer = LeaseFactory(enrolment=EnrolmentFactory(cooperative=lease.cooperative))
    assert client.get(rent_url(transfer)).status_code == 404


def test_a_long_roster_takes_the_same_few_statements(client, session, lease, page_statements):
    client.get(rent_url(lease))
    with page_statements() as short:
        client.get(rent_url(lease))
    for _ in range(5):
        another(lease)
    with page_statements() as long:
        assert "6 户" in client.get(rent_url(lease)).text
    assert len(long) == len(short)
