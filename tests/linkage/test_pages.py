"""The pages of the linkage room: what people do on them, in the order of a day."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from sqlalchemy import event, func, select

from marketplace.identity.models import Role, StoredFile
from marketplace.linkage.models import (
    Agreement,
    AgreementState,
    AgreementVersion,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Lot,
)
from marketplace.registry.models import EnrolmentState
from marketplace.web.transaction import EXTENSION
from tests.factories.identity import official_with
from tests.factories.linkage import (
    CONTRACT_TERMS,
    ContractFactory,
    LeaseFactory,
    LotFactory,
    PeriodFactory,
    parcel_no,
    pay_rent,
    weigh,
)
from tests.factories.registry import (
    NEXT_VILLAGE,
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    beneficiary_policy,
    user_of,
    user_of_household,
)

pytestmark = pytest.mark.usefixtures("clock")
PNG = b"\x89PNG\r\n\x1a\n and a picture of a slip"
CONTRACT = {
    "commodity": "油茶籽",
    "floor_price_fen_per_kg": "8",
    "premium_fen_per_kg": "0.50",
    "guarantee_days": "30",
    "valid_from": "2026-01-01",
    "last_day": "2026-12-31",
}
SLIP = {
    "slip_no": "GB-17",
    "net_g": "12.5",
    "grade": "一级",
    "market_price_fen_per_kg": "9.60",
    "weighed_on": "2026-05-20",
    "household_signer": "陈大山",
    "cooperative_signer": "罗春生",
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
def contract(enrolment):
    return ContractFactory(enrolment=enrolment)


@pytest.fixture
def lot(contract):
    return LotFactory(cooperative=contract.cooperative)


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def sign_url(signer, mechanism="contract_farming"):
    return f"/linkage/agreements/new/{signer.household.public_no}/{mechanism}"


def test_a_clerk_finds_a_household_and_signs_a_contract(client, session, enrolment):
    found = client.get("/linkage/agreements/new?q=长根").text
    assert "刘长根" in found
    assert sign_url(enrolment) in found
    assert sign_url(enrolment, "land_transfer") not in found
    assert (
        sign_url(enrolment, "land_transfer")
        in client.get("/linkage/agreements/new?mechanism=land_transfer").text
    )
    answer = client.post(
        sign_url(enrolment), data={**CONTRACT, "file": (BytesIO(PNG), "协议.png")}, follow_redirects=True
    )
    assert answer.status_code == 200
    assert "8.00 元/千克" in answer.text
    agreement = session.scalars(select(Agreement)).unique().one()
    version = agreement.versions[0]
    assert (version.valid_from, version.valid_to) == (date(2026, 1, 1), date(2027, 1, 1))
    assert version.terms["premium_fen_per_kg"] == 50
    file = session.get_one(StoredFile, version.file_id)
    assert (file.sealed, file.media_type, file.address) == (True, "image/png", version.file_hash)
    assert client.get(f"/files/{file.public_no}").data == PNG


def test_a_household_is_found_by_number_and_only_when_it_acknowledged(client, session, enrolment):
    EnrolmentFactory(
        cooperative=enrolment.cooperative, state=EnrolmentState.PROPOSED, household__head_name="王有财"
    )
    listed = client.get("/linkage/agreements/new").text
    assert "刘长根" in listed
    assert "王有财" not in listed
    assert "刘长根" in client.get(f"/linkage/agreements/new?q={enrolment.household.registry_no}").text
    assert "刘长根" not in client.get("/linkage/agreements/new?q=100%25").text


def test_a_wrong_term_is_shown_beside_its_field_and_what_was_typed_stays(client, session, enrolment):
    answer = client.post(
        sign_url(enrolment), data={**CONTRACT, "floor_price_fen_per_kg": "八块", "last_day": "2025-01-01"}
    )
    assert answer.status_code == 422
    assert "请填写金额，最多两位小数" in answer.text
    assert 'value="八块"' in answer.text
    answer = client.post(sign_url(enrolment), data={**CONTRACT, "last_day": "2025-01-01"})
    assert answer.status_code == 422
    assert "到期日期须晚于生效日期" in answer.text
    answer = client.post(sign_url(enrolment), data={**CONTRACT, "file": (BytesIO(b"MZ"), "协议.exe")})
    assert answer.status_code == 422
    assert "只能上传 PDF、JPG 或 PNG 文件" in answer.text
    assert count(session, Agreement) == 0
    assert count(session, StoredFile) == 0


def test_a_lease_is_signed_with_as_many_parcels_as_there_are(client, session, enrolment):
    lease = {
        "right_certificate_no": "361025100200010001J",
        "rate_fen_per_mu": "150",
        "days_in_year": "365",
        "valid_from": "2026-01-01",
        "parcels-0-parcel_no": parcel_no(1),
        "parcels-0-area_cmu": "10",
    }
    url = sign_url(enrolment, "land_transfer")
    grown = client.post(url, data={**lease, "parcels-1-parcel_no": "", "more_parcels": "1"})
    assert grown.status_code == 200
    assert 'name="parcels-2-parcel_no"' in grown.text
    assert f'value="{parcel_no(1)}"' in grown.text
    assert count(session, Agreement) == 0
    refused = client.post(url, data={**lease, "parcels-1-parcel_no": "1号地", "parcels-1-area_cmu": "2"})
    assert refused.status_code == 422
    assert "地块代码是 19 位数字" in refused.text
    signed = client.post(
        url,
        data={**lease, "parcels-1-parcel_no": parcel_no(2), "parcels-1-area_cmu": "2.5"},
        follow_redirects=True,
    )
    assert f"{parcel_no(2)}，2.5 亩" in signed.text
    version = session.scalars(select(AgreementVersion)).one()
    assert version.terms["parcels"][1] == {"parcel_no": parcel_no(2), "area_cmu": 250}
    again = client.post(url, data=lease)
    assert again.status_code == 422
    assert "已在另一份有效的流转协议中" in again.text
    assert count(session, Agreement) == 1


def test_the_agreements_are_listed_and_filtered(client, session, contract):
    LeaseFactory(enrolment=EnrolmentFactory(cooperative=contract.cooperative, household__head_name="周兰香"))
    everything = client.get("/linkage/agreements").text
    assert "刘长根" in everything
    assert "周兰香" in everything
    leases = client.get("/linkage/agreements?mechanism=land_transfer&state=active").text
    assert "刘长根" not in leases
    assert "周兰香" in leases
    assert "周兰香" not in client.get("/linkage/agreements?q=长根").text
    assert "没有符合条件的协议" in client.get("/linkage/agreements?state=ended").text


def test_an_agreement_is_amended_and_ended(client, session, contract):
    url = f"/linkage/agreements/{contract.public_no}"
    assert 'value="8.00"' in client.get(f"{url}/amend").text
    refused = client.post(f"{url}/amend", data=CONTRACT)
    assert refused.status_code == 422
    assert "变更须从 2026年1月1日 之后开始" in refused.text
    amended = client.post(
        f"{url}/amend",
        data={**CONTRACT, "floor_price_fen_per_kg": "9", "valid_from": "2026-06-01"},
        follow_redirects=True,
    )
    assert "第 2 版" in amended.text
    assert "9.00 元/千克" in amended.text
    refused = client.post(f"{url}/end", data={"ended_on": "2026-06-02"})
    assert refused.status_code == 422
    assert "日期不能晚于今天" in refused.text
    ended = client.post(f"{url}/end", data={"ended_on": "2026-06-01"}, follow_redirects=True)
    assert "协议已终止" in ended.text
    agreement = session.get_one(Agreement, contract.id)
    assert (agreement.state, agreement.ended_on) == (AgreementState.ENDED, date(2026, 6, 2))


def test_a_slip_is_weighed_in_and_its_amount_is_seen_at_once(client, session, contract, lot):
    url = f"/linkage/lots/{lot.public_no}/slips/new"
    found = client.get(f"{url}?q=长根").text
    assert f"?agreement={contract.public_no}" in found
    slip_url = f"{url}?agreement={contract.public_no}"
    assert 'value="刘长根"' in client.get(slip_url).text
    saved = client.post(slip_url, data={**SLIP, "file": (BytesIO(PNG), "磅单.png")}, follow_redirects=True)
    assert saved.status_code == 200
    assert "126.25" in saved.text
    assert "10.10 元/千克" in saved.text
    assert session.get_one(Lot, lot.id).received_g == 12_500
    evidence = session.scalars(select(Evidence)).one()
    assert session.get_one(StoredFile, evidence.file_id).sealed
    following = client.get(slip_url).text
    assert 'value="一级"' in following
    assert 'value="罗春生"' in following
    assert "12.5" in client.get(f"/linkage/lots/{lot.public_no}").text


def test_only_agreements_over_the_produce_of_the_lot_are_offered(client, session, contract, lot):
    oranges = LotFactory(cooperative=contract.cooperative, commodity="脐橙")
    grower = ContractFactory(
        enrolment=EnrolmentFactory(cooperative=contract.cooperative, household__head_name="周兰香"),
        version__terms={**CONTRACT_TERMS, "commodity": "脐橙"},
    )
    page = client.get(f"/linkage/lots/{oranges.public_no}/slips/new").text
    assert f"?agreement={grower.public_no}" in page
    assert contract.public_no not in page
    assert "没有找到有效的收购协议" in client.get(f"/linkage/lots/{oranges.public_no}/slips/new?q=长根").text


def test_a_slip_used_twice_is_told_beside_its_number(client, session, contract, lot):
    url = f"/linkage/lots/{lot.public_no}/slips/new?agreement={contract.public_no}"
    client.post(url, data=SLIP)
    again = client.post(url, data={**SLIP, "net_g": "99"})
    assert again.status_code == 422
    assert f"过磅单 GB-17 已在 2026年5月20日 记入批次 {lot.lot_no}，没有重复记录" in again.text
    assert 'value="99"' in again.text
    assert (count(session, Evidence), session.get_one(Lot, lot.id).received_g) == (1, 12_500)


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("net_g", "0", "净重须大于零"),
        ("net_g", "-3", "请填写千克数"),
        ("net_g", "60000", "一张过磅单不能超过 50 吨，请核对单位是否为千克"),
        ("weighed_on", "2025-12-31", "协议从 2026年1月1日 起生效，不能记更早的日期"),
        ("weighed_on", "2026-06-02", "日期不能晚于今天"),
        ("cooperative_signer", "陈大山", "双方签字不能是同一个人"),
        ("market_price_fen_per_kg", "9.999", "请填写金额，最多两位小数"),
    ],
)
def test_a_slip_that_cannot_be_changes_nothing(client, session, contract, lot, field, typed, message):
    url = f"/linkage/lots/{lot.public_no}/slips/new?agreement={contract.public_no}"
    answer = client.post(url, data={**SLIP, field: typed})
    assert answer.status_code == 422
    assert message in answer.text
    assert (count(session, Evidence), session.get_one(Lot, lot.id).received_g) == (0, 0)


def test_a_lot_is_opened_listed_and_printed(client, session, contract):
    new = client.get("/linkage/lots/new").text
    assert "鳌溪村委会" in new
    refused = client.post(
        "/linkage/lots/new", data={"lot_no": "2026-09", "commodity": "油茶籽", "yield_bp": "101"}
    )
    assert refused.status_code == 422
    opened = client.post(
        "/linkage/lots/new",
        data={
            "lot_no": "2026-09",
            "commodity": "油茶籽",
            "village_code": "361025100200",
            "harvested_on": "2026-05-01",
            "yield_bp": "25%",
        },
    )
    lot = session.scalars(select(Lot)).one()
    assert opened.location.endswith(f"/linkage/lots/{lot.public_no}")
    assert (lot.lot_no, lot.yield_bp) == ("2026-09", 2500)
    assert "2026-09" in client.get("/linkage/lots?show=empty").text
    weigh(session, contract, lot, slip_no="8", net_g=40_000)
    assert "每个批次都过磅了" in client.get("/linkage/lots?show=empty").text
    page = client.get(f"/linkage/lots/{lot.public_no}").text
    assert "过磅单" in page
    assert "340.00" in page
    sheet = client.get(f"/linkage/lots/{lot.public_no}/sheet").text
    assert "8，统货 40 千克" in sheet
    assert "340.00" in sheet


def test_rent_is_recorded_in_a_linkage_period(client, session, enrolment):
    lease = LeaseFactory(enrolment=enrolment)
    url = f"/linkage/agreements/{lease.public_no}/rent"
    assert "先开设联结期" in client.get(url).text
    assert (
        client.post("/linkage/periods", data={"starts_on": "2026-01-01", "ends_on": "2026-12-31"}).status_code
        == 302
    )
    overlapping = client.post("/linkage/periods", data={"starts_on": "2026-06-01", "ends_on": "2027-05-31"})
    assert overlapping.status_code == 422
    assert "与 2026年1月1日 到 2026年12月31日 的联结期重叠" in overlapping.text
    rent = {"parcel_no": parcel_no(lease.id), "starts_on": "2026-01-01", "ends_on": "2026-12-31"}
    saved = client.post(url, data=rent, follow_redirects=True)
    assert "1,500.00" in saved.text
    assert "365 天（一年按 365 天）" in saved.text
    again = client.post(url, data=rent)
    assert again.status_code == 422
    assert "的租金已记录，日期不能重叠" in again.text
    assert (count(session, Evidence), count(session, LinkagePeriod)) == (1, 1)
    assert "1,500.00" in client.get("/linkage/periods").text
    client.sign_in(official_with(Role.SUPERVISOR))
    assert enrolment.cooperative.name in client.get("/linkage/periods").text


def test_the_confirmation_names_the_household_in_full(client, session, contract, lot):
    evidence = weigh(session, contract, lot, slip_no="8", net_g=40_000)
    page = client.get(f"/linkage/evidence/{evidence.public_no}").text
    assert "340.00" in page
    printed = client.get(f"/linkage/evidence/{evidence.public_no}/print").text
    assert "过磅确认单" in printed
    assert "刘长根" in printed
    assert "户主签字" in printed


def test_a_household_and_an_auditor_see_the_evidence_behind_a_credit(client, session, contract, lot):
    evidence = weigh(session, contract, lot, slip_no="8", net_g=40_000)
    url = f"/linkage/evidence/{evidence.public_no}"
    client.sign_in(user_of_household(contract.household))
    assert "340.00" in client.get(url).text
    assert client.get("/linkage/agreements").status_code == 403
    client.sign_in(official_with(Role.AUDITOR))
    assert "340.00" in client.get(url).text
    assert client.get(f"/linkage/agreements/{contract.public_no}").status_code == 200
    assert client.get(f"/linkage/lots/{lot.public_no}").status_code == 200
    assert "终止协议" not in client.get(f"/linkage/agreements/{contract.public_no}").text
    assert client.get("/linkage/lots/new").status_code == 403


def test_what_belongs_to_another_cooperative_is_not_found(client, session, contract, lot):
    PeriodFactory(cooperative=contract.cooperative)
    lease = LeaseFactory(enrolment=EnrolmentFactory(cooperative=contract.cooperative))
    evidence = pay_rent(session, lease)
    client.sign_in(user_of(CooperativeFactory()))
    for path in (
        sign_url(contract),
        f"/linkage/agreements/{contract.public_no}",
        f"/linkage/agreements/{contract.public_no}/amend",
        f"/linkage/agreements/{lease.public_no}/rent",
        f"/linkage/lots/{lot.public_no}",
        f"/linkage/lots/{lot.public_no}/sheet",
        f"/linkage/lots/{lot.public_no}/slips/new",
        f"/linkage/evidence/{evidence.public_no}",
        f"/linkage/evidence/{evidence.public_no}/print",
    ):
        assert client.get(path).status_code == 404, path
    assert client.post(f"/linkage/agreements/{contract.public_no}/end", data={}).status_code == 404
    assert client.get("/linkage/agreements/A-FORGED0000").status_code == 404
    assert session.get_one(Agreement, contract.id).state is AgreementState.ACTIVE
    assert count(session, Entitlement) == 1


def test_a_mechanism_without_pages_is_not_found(client, session, enrolment):
    assert client.get(sign_url(enrolment, "beekeeping")).status_code == 404
    assert client.get(sign_url(enrolment, "nonsense")).status_code == 404


def test_visitors_are_asked_to_sign_in_and_buyers_are_refused(client, session):
    assert "/sign-in" in client.get("/linkage/agreements").location
    buyer = official_with(Role.STAFF_BUYER, "361025")
    client.sign_in(buyer)
    for path in ("/linkage/agreements", "/linkage/lots", "/linkage/periods", "/linkage/agreements/new"):
        assert client.get(path).status_code == 403


def test_a_supervisor_follows_the_evidence_without_seeing_whose_it_is(client, session, contract, lot):
    evidence = weigh(session, contract, lot, slip_no="8", net_g=40_000, signatures=("刘小满", "罗春生"))
    client.sign_in(official_with(Role.SUPERVISOR))
    for path in (
        "/linkage/agreements",
        f"/linkage/agreements/{contract.public_no}",
        f"/linkage/lots/{lot.public_no}",
        f"/linkage/lots/{lot.public_no}/sheet",
        f"/linkage/evidence/{evidence.public_no}",
        f"/linkage/evidence/{evidence.public_no}/print",
    ):
        page = client.get(path)
        assert page.status_code == 200
        assert "刘**" in page.text
        for secret in ("刘长根", "刘小满", contract.household.registry_no):
            assert secret not in page.text


@pytest.mark.parametrize("path", ["/linkage/agreements", "/linkage/agreements/new", "/linkage/lots"])
def test_a_list_takes_the_same_few_statements_however_long_it_is(client, session, engine, contract, path):
    def statements():
        counted = []

        def note(*args):
            counted.append(args[2])

        app_engine = client.application.extensions[EXTENSION].engine
        event.listen(app_engine, "before_cursor_execute", note)
        assert client.get(path).status_code == 200
        event.remove(app_engine, "before_cursor_execute", note)
        return len(counted)

    statements()
    short = statements()
    for _ in range(6):
        ContractFactory(enrolment=EnrolmentFactory(cooperative=contract.cooperative))
        LotFactory(cooperative=contract.cooperative)
    assert statements() == short


def test_a_lot_of_another_village_is_named_without_a_link(client, session, contract):
    elsewhere = LotFactory(
        cooperative=contract.cooperative, village_code=RegionFactory(code=NEXT_VILLAGE).code
    )
    here = LotFactory(cooperative=contract.cooperative)
    client.sign_in(official_with(Role.VILLAGE_REVIEWER, VILLAGE))
    for lot, status in ((elsewhere, 404), (here, 200)):
        evidence = weigh(session, contract, lot, slip_no=lot.lot_no, net_g=1_000)
        page, address = (
            client.get(f"/linkage/evidence/{evidence.public_no}"),
            f"/linkage/lots/{lot.public_no}",
        )
        assert (page.status_code, client.get(address).status_code) == (200, status)
        assert lot.lot_no in page.text
        assert (address in page.text) is (status == 200)
