"""The pages of certificates, through HTTP: application, list, fee, supervision, public check, proof of a sale."""

from __future__ import annotations

import io
from datetime import date

import pytest
from sqlalchemy import select

from marketplace.catalog.certificates.models import CertificateFee, GiUse, WaiverState
from marketplace.catalog.certificates.rules import suspend_certificate
from marketplace.catalog.models import Certificate, CertificateKind as K, CertificateState
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, StoredFile
from tests.factories.certificates import certified, gi_certified
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import CooperativeFactory, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import ProductFactory, buy, offer, staff_buyer

DAYS = {"issued_on": "2026-01-10", "expires_on": "2027-01-10"}


@pytest.fixture
def offered(session, clock):
    default_steps()
    return offer(session, CooperativeFactory())


@pytest.fixture
def product(offered):
    return offered.listing.product


@pytest.fixture
def manager(client, offered):
    found = user_of(offered.cooperative)
    client.sign_in(found)
    return found


def text_of(answer, status=200):
    assert answer.status_code == status
    return answer.get_data(as_text=True)


def test_a_cooperative_registers_a_geographical_indication(client, session, product, manager):
    page = text_of(client.get("/product-certificates/new"))
    assert "各类证书是什么" in page
    address = f"/product-certificates/new?product={product.public_no}&kind=gi_farm_product"
    assert "登记证书编号" in text_of(client.get(address))
    typed = {"number": "AGI00353", "holder": "乐安县茶叶协会", "area": "120.5", "cap": "千", **DAYS}
    refused = text_of(client.post(address, data=typed), 422)
    assert "请填写千克数" in refused
    assert "AGI00353" in refused
    assert session.scalar(select(Certificate)) is None
    sent = client.post(address, data=typed | {"cap": "5000"})
    made = session.scalars(select(Certificate)).one()
    assert sent.headers["Location"] == f"/product-certificates/{made.public_no}"
    use = session.get_one(GiUse, made.id)
    assert (use.area_cmu, use.cap_g, made.state) == (12_050, 5_000_000, CertificateState.UNDER_REVIEW)
    assert "乐安县茶叶协会" in text_of(client.get(sent.headers["Location"]))
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    case = text_of(client.get("/reviews"))
    assert "AGI00353" in case
    assert client.get(f"/check/certificates/{made.public_no}").status_code == 404


@pytest.mark.parametrize("way", ["any kind", "green food"])
def test_a_scan_is_a_document_whatever_it_says_it_is(client, session, product, manager, way):
    if way == "green food":
        address = f"/workshop/products/{product.public_no}/certificates"
        typed = {"number": "LB-18-2305140123A", "enterprise_no": "GF361025230123", **DAYS}
    else:
        address = f"/product-certificates/new?product={product.public_no}&kind=gi_farm_product"
        typed = {"number": "AGI00353", "holder": "乐安县茶叶协会", "area": "120.5", "cap": "5000", **DAYS}
    typed["file"] = (io.BytesIO(b"<script>"), "scan.pdf", "application/pdf")
    refused = client.post(address, data=typed, content_type="multipart/form-data")
    assert "只能上传 PDF、JPG 或 PNG 文件" in text_of(refused, 422)
    assert session.scalar(select(Certificate)) is None
    assert session.scalar(select(StoredFile)) is None


def test_a_scan_is_kept_sealed(client, session, product, manager):
    address = f"/product-certificates/new?product={product.public_no}&kind=gi_farm_product"
    typed = {"number": "AGI00353", "holder": "乐安县茶叶协会", "area": "120.5", "cap": "5000", **DAYS}
    typed["file"] = (io.BytesIO(b"%PDF-1.7 scan"), "scan.exe", "text/html")
    assert client.post(address, data=typed, content_type="multipart/form-data").status_code == 303
    kept = session.scalars(select(StoredFile)).one()
    assert (kept.media_type, kept.sealed) == ("application/pdf", True)


def test_the_list_shows_what_ends_and_what_is_waived(client, session, product, manager):
    held = certified(product, expires_on=date(2026, 7, 1))
    page = text_of(client.get("/product-certificates?show=ending"))
    assert held.number in page
    stated = client.post(
        f"/product-certificates/{held.public_no}/fee",
        data={"fee": "6000", "payee": "省绿色食品中心", "asked": "4000", "basis": "赣农字〔2020〕8号"},
    )
    assert stated.status_code == 303
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    assert held.number in text_of(client.get("/product-certificates?show=waivers"))
    too_much = client.post(f"/product-certificates/{held.public_no}/waiver", data={"waived": "4000.01"})
    assert "不能超过申请的金额" in text_of(too_much, 422)
    assert session.scalars(select(CertificateFee.state)).one() is WaiverState.ASKED
    client.post(f"/product-certificates/{held.public_no}/waiver", data={"waived": "3500"})
    assert "3,500.00" in text_of(client.get("/product-certificates"))
    client.sign_in(manager)
    assert "3,500.00" in text_of(client.get("/product-certificates"))


def test_a_renewal_starts_from_the_old_certificate(client, session, product, manager):
    held = certified(product, K.GREEN_FOOD)
    page = text_of(client.get(f"/product-certificates/new?renews={held.public_no}"))
    assert held.number in page
    typed = {"number": "LB-18-2512149876A", "enterprise_no": "GF361025230123", **DAYS}
    client.post(f"/product-certificates/new?renews={held.public_no}", data=typed)
    renewal = session.scalars(select(Certificate).where(Certificate.number == typed["number"])).one()
    assert renewal.renews_id == held.id
    assert renewal.number in text_of(client.get(f"/product-certificates/{held.public_no}"))


def test_the_county_suspends_with_a_reason_that_the_public_reads(client, session, product):
    held = certified(product)
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    address = f"/product-certificates/{held.public_no}"
    assert "请填写这一项" in text_of(client.post(f"{address}/suspended", data={"reason": ""}), 422)
    assert client.post(f"{address}/approved", data={"reason": "x"}).status_code == 404
    assert client.post(f"{address}/suspended", data={"reason": "抽检不合格"}).status_code == 303
    stranger = client.application.test_client()
    page = text_of(stranger.get(f"/check/certificates/{held.public_no}"))
    assert "已暂停使用" in page
    assert "抽检不合格" in page
    client.post(f"{address}/revoked", data={"reason": "整改不到位"})
    assert "已撤销" in text_of(stranger.get(f"/check/certificates/{held.public_no}"))


def test_the_forest_eco_label_shows_no_number_to_the_public(client, session, product, manager):
    held = certified(product, K.FOREST_ECOLABEL)
    assert held.number in text_of(client.get(f"/product-certificates/{held.public_no}"))
    stranger = client.application.test_client()
    page = text_of(stranger.get(f"/check/certificates/{held.public_no}"))
    assert "森林生态标志产品" in page
    assert held.number not in page


def test_the_check_tells_how_much_of_an_agreement_is_sold(client, session, product):
    use = gi_certified(product, cap_g=2_000, sold_g=500)
    page = text_of(client.get(f"/check/certificates/{use.certificate.public_no}"))
    assert "乐安县茶叶协会" in page
    assert "这张证书今天有效" in page


def test_the_proof_of_a_sale_stands_after_a_suspension(client, session, offered, clock):
    held = certified(offered.listing.product)
    buyer = staff_buyer()
    line = buy(session, buyer, (offered, 1)).parts[0].lines[0]
    clock.advance(minutes=5)
    suspend_certificate(session, actor_of(official_with(Role.COUNTY_REVIEWER)), held, reason="抽检不合格")
    page = text_of(client.get(f"/check/lines/{line.public_no}"))
    assert held.number in page
    assert buyer.name not in page
    assert client.get("/check/lines/J-0000000000").status_code == 404


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.HOUSEHOLD, Role.UNIT_ORDERER])
def test_certificates_are_not_everybody_s(client, session, product, role):
    held = certified(product)
    assert client.get("/product-certificates").headers["Location"].startswith("/sign-in")
    client.sign_in(UserFactory(granted=(role,)))
    for address in ("/product-certificates", f"/product-certificates/{held.public_no}"):
        assert client.get(address).status_code == 403


def test_another_cooperative_s_certificate_is_not_found(client, session, product, manager):
    other = certified(ProductFactory(cooperative_row=CooperativeFactory()))
    address = f"/product-certificates/{other.public_no}"
    assert client.get(address).status_code == 404
    fee = {"fee": "1", "payee": "中心"}
    assert client.post(f"{address}/fee", data=fee).status_code == 404
    assert client.post(f"{address}/suspended", data={"reason": "x"}).status_code == 403
    assert client.get(f"/product-certificates/new?renews={other.public_no}").status_code == 404
    assert session.scalar(select(CertificateFee)) is None


def test_the_list_asks_the_same_number_of_questions_whatever_its_length(
    client, session, product, manager, page_statements
):
    certified(product)
    with page_statements() as few:
        text_of(client.get("/product-certificates"))
    for _ in range(6):
        certified(ProductFactory(cooperative_row=product.cooperative))
    with page_statements() as many:
        text_of(client.get("/product-certificates"))
    assert len(many) == len(few)


def test_a_product_page_shows_every_badge_with_its_public_check(client, session, offered):
    product = offered.listing.product
    organic, label = certified(product, K.ORGANIC), certified(product, K.FOREST_ECOLABEL)
    certified(product, K.ORGANIC_CONVERSION)
    page = text_of(client.get(f"/products/{offered.listing.public_no}"))
    assert f"/check/certificates/{organic.public_no}" in page
    assert f"/check/certificates/{label.public_no}" in page
    assert organic.number in page
    assert label.number not in page
    assert "有机转换" not in page
    answer = client.get(f"/api/v1/listings/{offered.listing.public_no}")
    assert answer.get_json()["certificate"] == organic.number
