"""The pages of recognition: application, list, notice with objection and ticket, public check, spot checks."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from marketplace.catalog.recognition.models import (
    Recognition,
    RecognitionState as S,
    SpotCheck,
    SpotCheckRound,
)
from marketplace.core.clock import today
from marketplace.identity.models import Role
from marketplace.registry.reviews.models import Objection
from marketplace.web.limits import limiter
from tests.catalog.test_recognition import WISH, apply, case_of, pass_to_notice
from tests.factories.certificates import certified
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import CooperativeFactory, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import offer

TYPED = {
    "quality": "一级冷榨",
    "price": "50.00",
    "reference": "52",
    "price_source": "县价格监测",
    "linkage": "订单收购带动 12 户",
}


@pytest.fixture(autouse=True)
def fresh_limits(app):
    limiter.reset()


@pytest.fixture
def offered(session, clock):
    default_steps()
    return offer(session, CooperativeFactory())


@pytest.fixture
def product(offered):
    return offered.listing.product


def given(session, product):
    found = Recognition(
        product=product,
        cooperative_id=product.cooperative_id,
        **WISH,
        state=S.RECOGNISED,
        recognised_on=today(),
    )
    session.add(found)
    session.flush()
    return found


def text_of(answer, status=200):
    assert answer.status_code == status
    return answer.get_data(as_text=True)


def test_a_cooperative_applies_and_keeps_what_it_typed(client, session, product):
    client.sign_in(user_of(product.cooperative))
    address = f"/workshop/products/{product.public_no}/recognition"
    assert 'value="50.00"' in text_of(client.get(address))
    assert "申请认定" in text_of(client.get(f"/workshop/products/{product.public_no}"))
    refused = text_of(client.post(address, data=TYPED | {"price": "52.01"}), 422)
    assert "不高于同规格产品的平均价" in refused
    assert "一级冷榨" in refused
    assert session.scalar(select(Recognition)) is None
    sent = client.post(address, data=TYPED)
    found = session.scalars(select(Recognition)).one()
    assert sent.headers["Location"] == f"/recognitions/{found.public_no}"
    assert "订单收购带动 12 户" in text_of(client.get(sent.headers["Location"]))
    assert "山茶油" in text_of(client.get("/recognitions?show=under_review"))
    assert client.get(f"/check/recognitions/{found.public_no}").status_code == 404


def test_goods_that_need_a_certificate_are_not_offered_to_go_without(client, session, product):
    client.sign_in(user_of(product.cooperative))
    address = f"/workshop/products/{product.public_no}/recognition"
    assert "不凭证书" in text_of(client.get(address))
    product.category.needs_certificate = True
    session.flush()
    assert "请先登记证书" in text_of(client.get(address))
    held = certified(product)
    page = text_of(client.get(address))
    assert f'value="{held.public_no}"' in page
    assert 'value=""' not in page.partition('name="certificate"')[2].partition("</select>")[0]


def test_anybody_reads_the_notice_objects_and_follows_the_ticket(client, session, product, clock):
    apply(session, product)
    pass_to_notice(session)
    case = case_of(session)
    clock.advance(days=2)
    page = text_of(client.get(f"/notices/{case.public_no}"))
    assert WISH["linkage"] in page
    assert "52.00" in page
    filed = text_of(client.post(f"/notices/{case.public_no}", data={"text": "价格偏高"}))
    objection = session.scalars(select(Objection)).one()
    assert objection.public_no in filed
    ticket = text_of(client.get(f"/objections?no={objection.public_no.lower()}"))
    assert "待处理" in ticket
    assert "价格偏高" not in ticket
    assert "没有编号为" in text_of(client.get("/objections?no=O-0000000000"), 404)
    assert "凭提出异议时得到的编号" in text_of(client.get("/objections"))
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    prefix = objection.public_no
    answer = {f"{prefix}-verdict": "dismissed", f"{prefix}-answer": "低于平均价"}
    client.post(f"/reviews/{case.public_no}/objections/{prefix}", data=answer)
    assert "低于平均价" in text_of(client.get(f"/objections?no={prefix}"))


def test_the_public_check_follows_the_recognition(client, session, product):
    found = given(session, product)
    address = f"/check/recognitions/{found.public_no}"
    assert "这项认定今天有效" in text_of(client.get(address))
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    revoke = f"/recognitions/{found.public_no}/revoked"
    assert "请写明原因" in text_of(client.post(revoke, data={"reason": " "}), 422)
    assert client.post(revoke, data={"reason": "弄虚作假"}).status_code == 303
    assert "这项认定已经结束" in text_of(client.get(address))
    assert "弄虚作假" in text_of(client.get(f"/recognitions/{found.public_no}"))


def test_the_province_draws_and_records(client, session, product):
    given(session, product)
    client.sign_in(official_with(Role.SUPERVISOR, "36"))
    assert "还没有抽查" in text_of(client.get("/spot-checks"))
    assert "可以抽 1 到 1 个产品" in text_of(
        client.post("/spot-checks", data={"region_code": "36", "size": "9"}), 422
    )
    assert session.scalar(select(SpotCheckRound)) is None
    sent = client.post("/spot-checks", data={"region_code": "36", "size": "1"})
    check = session.scalars(select(SpotCheck)).one()
    assert "山茶油" in text_of(client.get(sent.headers["Location"]))
    where = f"{sent.headers['Location']}/{check.id}"
    wrong = client.post(where, data={f"c{check.id}-result": "failed", f"c{check.id}-reason": ""})
    assert "请填写这一项" in text_of(wrong, 422)
    recorded = client.post(where, data={f"c{check.id}-result": "failed", f"c{check.id}-reason": "产地不符"})
    assert recorded.status_code == 303
    assert session.scalars(select(Recognition.state)).one() is S.REVOKED
    assert "产地不符" in text_of(client.get(sent.headers["Location"]))


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.HOUSEHOLD, Role.UNIT_ORDERER])
def test_recognitions_are_not_everybody_s(client, session, product, role):
    found = given(session, product)
    client.sign_in(UserFactory(granted=(role,)))
    for address in ("/recognitions", f"/recognitions/{found.public_no}", "/spot-checks"):
        assert client.get(address).status_code == 403


def test_another_cooperative_s_recognition_is_not_found(client, session, product):
    found = given(session, product)
    client.sign_in(user_of(CooperativeFactory()))
    assert client.get(f"/recognitions/{found.public_no}").status_code == 404
    assert client.post(f"/workshop/products/{product.public_no}/recognition", data=TYPED).status_code == 404
    assert client.post(f"/recognitions/{found.public_no}/revoked", data={"reason": "x"}).status_code == 403
    assert found.state is S.RECOGNISED


def test_the_list_asks_the_same_number_of_questions_whatever_its_length(
    client, session, product, page_statements
):
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    given(session, product)
    with page_statements() as few:
        text_of(client.get("/recognitions"))
    for _ in range(5):
        given(session, offer(session, CooperativeFactory()).listing.product)
    with page_statements() as many:
        text_of(client.get("/recognitions"))
    assert len(many) == len(few)
