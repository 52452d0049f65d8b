"""The pages of a quota: filing with evidence, confirming by another person, the shared canteen, the rules."""

from __future__ import annotations

from io import BytesIO

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.files import FileStore
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, StoredFile
from marketplace.procurement.quota.models import QuotaFiling, ReservedQuotaRule
from marketplace.registry.models import BuyerUnit
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.quota import confirmed, filed, quota_rule
from tests.factories.registry import COUNTY, BuyerUnitFactory, RegionFactory, user_of
from tests.journeys.paper import Visitor

PDF = b"%PDF-1.4 last year's accounts"


@pytest.fixture
def unit(session: Session, clock: HeldClock) -> BuyerUnit:
    quota_rule()
    return BuyerUnitFactory()


def filings(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(QuotaFiling)) or 0


def upload(content: bytes = PDF, name: str = "去年账目.pdf") -> tuple[BytesIO, str]:
    return BytesIO(content), name


def test_a_quota_is_filed_confirmed_and_shown(
    client: MarketClient, session: Session, unit: BuyerUnit, files: FileStore
) -> None:
    visitor = Visitor(client)
    client.sign_in(user_of(unit, Role.UNIT_ORDERER))
    assert visitor.open("/desk").has("离预留份额申报截止还有 30 天（含今天）")
    page = visitor.open(visitor.open("/quota").link("申报预留份额"))
    shown = visitor.press(page, "提交申报", base_fen="1,000,000", reserve_bp="10", papers=upload())
    assert shown.has("待确认", "¥100,000.00", "全年食材采购总额的 10.00%", "去年账目.pdf")
    paper = shown.link("去年账目.pdf")
    client.sign_in(user_of(unit, Role.UNIT_APPROVER))
    desk = visitor.open("/desk")
    assert desk.has("份预留份额申报待确认")
    confirmed_page = visitor.press(visitor.open(shown.path), "确认申报")
    assert confirmed_page.has("生效中", "申报已确认生效")
    assert client.get(paper).data == PDF
    assert visitor.open("/quota").has("占全年食材采购总额", "0.00%", "预留 10.00%", "落后进度")
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    assert client.get(paper).data == PDF
    assert visitor.open("/quotas").has("全部单位占食材采购总额", unit.name, "落后")
    client.sign_in(user_of(BuyerUnitFactory()))
    assert client.get(paper).status_code == 404
    assert client.get(shown.path).status_code == 404
    kept = session.scalars(select(StoredFile)).one()
    assert (kept.sealed, files.read(kept.address, sealed=True)) == (True, PDF)


def test_what_cannot_be_filed_stays_in_the_form(
    client: MarketClient, session: Session, unit: BuyerUnit
) -> None:
    visitor = Visitor(client)
    client.sign_in(user_of(unit, Role.UNIT_ORDERER))
    page = visitor.open("/quota/file")
    for typed, words in (
        ({"base_fen": "0", "reserve_bp": "10", "papers": upload()}, "全年食材采购总额须大于零"),
        ({"base_fen": "-5", "reserve_bp": "10", "papers": upload()}, "请填写金额"),
        ({"base_fen": "100", "reserve_bp": "10", "papers": upload()}, "单位是元，不是万元"),
        ({"base_fen": "1000000", "reserve_bp": "9.99", "papers": upload()}, "预留比例不能低于规定的 10.00%"),
        ({"base_fen": "1000000", "reserve_bp": "10"}, "请上传依据材料"),
        ({"base_fen": "1000000", "reserve_bp": "10", "papers": upload(b"MZ a program")}, "只能上传 PDF"),
        ({"base_fen": "1000000", "reserve_bp": "10", "papers": upload(b"")}, "上传的文件是空的"),
        (
            {"base_fen": "1000000", "reserve_bp": "10", "papers": upload(), "year": "2027"},
            "只能申报今年（2026 年）的预留份额",
        ),
    ):
        refused = visitor.press(page, "提交申报", status=422, **typed)
        assert refused.has(words)
        assert refused.button("提交申报")[0].values["base_fen"] == typed["base_fen"]
    assert filings(session) == 0


def test_who_filed_is_told_that_another_must_confirm(
    client: MarketClient, session: Session, unit: BuyerUnit
) -> None:
    both = user_of(unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    client.sign_in(both)
    filing = filed(session, unit, orderer=actor_of(both))
    path = f"/quota/filings/{filing.public_no}"
    assert Visitor(client).open(path).has("须由另一位审批人确认")
    refused = client.post(f"{path}/confirm")
    assert refused.status_code == 403
    assert "申报人不能确认自己的申报" in refused.text
    client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_APPROVER))
    for verb in ("confirm", "return"):
        assert client.post(f"{path}/{verb}", data={"note": "不是本单位的"}).status_code == 404
    session.expire_all()
    assert filing.decision is None


def test_a_filing_is_returned_with_a_reason(client: MarketClient, session: Session, unit: BuyerUnit) -> None:
    visitor, path = Visitor(client), f"/quota/filings/{filed(session, unit).public_no}"
    client.sign_in(user_of(unit, Role.UNIT_APPROVER))
    page = visitor.open(path)
    assert visitor.press(page, "退回", status=422, note="少").has("请写明退回的原因")
    assert visitor.press(page, "退回", note="总额少算了教工食堂").has("已退回", "总额少算了教工食堂")


def test_sharing_units_file_once(client: MarketClient, session: Session, unit: BuyerUnit) -> None:
    other, visitor = BuyerUnitFactory(), Visitor(client)
    client.sign_in(user_of(unit, Role.UNIT_ORDERER))
    page = visitor.open("/quota/sharing")
    refused = visitor.press(
        page,
        "发起合用食堂",
        status=422,
        name="联合食堂",
        credit_codes=other.uscc,
        representative_code=other.uscc,
    )
    assert refused.has("由代表单位自己发起")
    assert visitor.press(page, "发起合用食堂", name="联合食堂", credit_codes=other.uscc).has("未答复")
    client.sign_in(user_of(other, Role.UNIT_ORDERER))
    assert visitor.open("/desk").has("个合用食堂邀请待答复")
    assert visitor.press(visitor.open("/quota/sharing"), "同意合用").has("已同意合用食堂")
    assert visitor.open("/quota/file").has("由代表单位统一申报，本单位不用再报")
    answer = client.post(
        "/quota/file",
        data={
            "year": "2026",
            "base_fen": "1000000",
            "reserve_bp": "10",
            "papers": upload(),
            "idempotency_key": "a-form-sent-all-the-same",
        },
    )
    assert answer.status_code == 422
    assert filings(session) == 0


def test_other_duties_read_and_do_not_file(client: MarketClient, session: Session, unit: BuyerUnit) -> None:
    confirmed(session, unit)
    client.sign_in(user_of(unit, Role.UNIT_RECEIVER))
    assert client.get("/quota").status_code == 200
    assert client.get("/quota/sharing").status_code == 200
    for path in ("/quota/file", "/quota/sharing", "/quota/sharing/agree", "/quota/sharing/leave"):
        assert client.post(path).status_code == 403
    assert filings(session) == 1


def test_the_operator_sets_a_rule_and_a_unit_reads_it(
    client: MarketClient, session: Session, unit: BuyerUnit
) -> None:
    RegionFactory(code=COUNTY)
    visitor = Visitor(client)
    client.sign_in(official_with(Role.OPERATOR))
    typed = {
        "region_code": COUNTY,
        "year": "2026",
        "percent_bp": "9",
        "filing_due_on": "2026-05-31",
        "basis": "县府办〔2026〕3 号",
        "reason": "县里提高预留比例",
    }
    page = visitor.open("/quota-rules")
    assert visitor.press(page, "设置规则", status=422, **typed).has("不能低于上级规定的 10.00%")
    assert visitor.press(page, "设置规则", **{**typed, "percent_bp": "15"}).has("规则已设置", "15.00%")
    assert visitor.open("/quota-rules?versions=all").has("15.00%", "10.00%", "测试员")
    client.sign_in(user_of(unit))
    assert visitor.open("/quota-rules").has("15.00%", "县府办〔2026〕3 号")
    assert client.post("/quota-rules", data=typed).status_code == 403
    assert session.scalar(select(func.count()).select_from(ReservedQuotaRule)) == 2
