"""From a stranger's first visit to an admitted cooperative, through the pages."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO

import pytest
from sqlalchemy import select

from marketplace.core.clock import SHANGHAI
from marketplace.identity.models import Role, StoredFile, User
from marketplace.registry.cooperatives.rules import apply_entry_outcome
from marketplace.registry.models import (
    Cooperative,
    CooperativeMember,
    CooperativeState,
    FiveOnesEvidence,
    FiveOnesItem,
    MemberRole,
)
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewKind
from marketplace.registry.reviews.rules import close_notices
from tests.factories.identity import PASSWORD, UserFactory, official_with
from tests.factories.registry import (
    OTHER_COUNTY_VILLAGE,
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    credit_code,
    user_of,
)
from tests.factories.reviews import default_steps

OUTCOMES = {ReviewKind.COOPERATIVE_ENTRY: apply_entry_outcome}
PDF = b"%PDF-1.4 a document"
FACTS = {
    "name": "乐安县鳌溪油茶专业合作社",
    "uscc": credit_code(900_001),
    "county_code": "361025",
    "township_code": "361025100",
    "village_code": VILLAGE,
    "legal_person": "罗春生",
    "phone": "13812345678",
    "bank_account": "6228480012345678901",
    "story": "我们在鳌溪村种了三十年油茶。",
}


@pytest.fixture
def village(session, clock):
    default_steps()
    return RegionFactory()


def fill_in(client):
    """Steps 2 and 3."""
    for role in MemberRole:
        member = {"role": role.value, "name": f"成员{role.label}", "related_party": "无"}
        assert client.post("/apply/members", data=member).status_code == 302
    for item in FiveOnesItem:
        evidence = {f"{item}-note": "见附件", f"{item}-file": (BytesIO(PDF), "证明.pdf")}
        assert client.post(f"/apply/five-ones/{item}", data=evidence).status_code == 302


def page(client, address, status=200):
    answer = client.get(address)
    assert answer.status_code == status, address
    return answer.get_data(as_text=True)


def test_a_stranger_becomes_an_admitted_cooperative(client, session, village, clock):
    people = [
        official_with(role) for role in (Role.VILLAGE_REVIEWER, Role.TOWNSHIP_REVIEWER, Role.COUNTY_REVIEWER)
    ]
    assert "开通账号并开始" in page(client, "/apply")
    assert client.get("/apply/facts").headers["Location"].startswith("/sign-in?next=")
    registered = client.post(
        "/register",
        data={
            "purpose": "cooperative",
            "display_name": "罗春生",
            "login_name": "luo.chunsheng",
            "password": PASSWORD,
            "repeated": PASSWORD,
        },
    )
    assert registered.headers["Location"] == "/apply"
    assert client.post("/apply/facts", data=FACTS).headers["Location"] == "/apply/members"
    client.post("/sign-out")
    client.post("/sign-in", data={"login_name": "luo.chunsheng", "password": PASSWORD})
    assert client.get("/apply").headers["Location"] == "/apply/members"  # what lacks something first
    too_early = client.post("/apply/check", data={"confirmed": "y"})
    assert too_early.status_code == 422
    text = too_early.get_data(as_text=True)
    assert "还没有登记“村干部领办”的成员" in text
    assert 'href="/apply/five-ones#support_team"' in text
    fill_in(client)
    assert client.get("/apply").headers["Location"] == "/apply/check"
    assert client.post("/apply/check", data={"confirmed": "y"}).headers["Location"] == "/cooperative"
    case = session.scalars(select(ReviewCase)).one()
    applicant = session.scalars(select(User).where(User.login_name == "luo.chunsheng")).one()
    for reviewer in people[:2]:
        client.sign_in(reviewer)
        assert case.title in page(client, "/reviews")
        assert "成员村干部领办" in page(client, f"/reviews/{case.public_no}")
        decided = client.post(
            f"/reviews/{case.public_no}", data={"position": case.current_position, "decision": "pass"}
        )
        assert decided.headers["Location"] == "/reviews"
    clock.set_to(datetime(2026, 6, 2, 9, 0, tzinfo=SHANGHAI))
    client.delete_cookie("session")
    notice = page(client, f"/notices/{case.public_no}")
    assert "公示期自2026年6月2日起至2026年6月8日止" in notice
    assert "罗春生" not in notice
    assert "13812345678" not in notice
    page(client, f"/cooperatives/{session.get_one(Cooperative, case.subject_id).public_no}", 404)
    clock.set_to(datetime(2026, 6, 9, 0, 1, tzinfo=SHANGHAI))
    close_notices(session, outcomes=OUTCOMES)
    client.sign_in(people[2])
    client.post(f"/reviews/{case.public_no}", data={"position": 4, "decision": "pass", "comment": "同意准入"})
    assert case.state is CaseState.PASSED
    cooperative = session.get_one(Cooperative, case.subject_id)
    assert cooperative.state is CooperativeState.ADMITTED
    client.sign_in(applicant)
    assert "看公开页面" in page(client, "/cooperative")
    client.delete_cookie("session")
    assert FACTS["name"] in page(client, "/cooperatives")
    public = page(client, f"/cooperatives/{cooperative.public_no}")
    assert "罗**" in public
    assert "不足 5 户" in public
    for secret in ("罗春生", "13812345678", "8901", FACTS["uscc"], "成员贫困户参与"):
        assert secret not in public


def test_a_wrong_credit_code_is_explained_beside_its_field_and_nothing_typed_is_lost(
    client, session, village
):
    client.sign_in(UserFactory(granted=()))
    wrong = {
        **FACTS,
        "phone": "123",
        "bank_account": "x",
        "uscc": FACTS["uscc"][:-1] + ("0" if FACTS["uscc"][-1] != "0" else "1"),
    }
    answer = client.post("/apply/facts", data=wrong)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    for words in ("校验位不对", "手机号应为 11 位数字", "银行账号应为 8 至 30 位数字"):
        assert words in text
    for typed in (wrong["uscc"], FACTS["name"], FACTS["story"], wrong["phone"]):
        assert typed in text
    assert f'<option selected value="{VILLAGE}">' in text
    assert session.query(Cooperative).count() == 0


def test_the_lists_of_places_follow_the_choice_without_scripts(client, session, village):
    RegionFactory(code=OTHER_COUNTY_VILLAGE)
    client.sign_in(UserFactory(granted=()))
    chosen = {**FACTS, "county_code": "360827", "refresh": "1"}
    answer = client.post("/apply/facts", data=chosen)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "泉江镇" in text
    assert "鳌溪村委会" not in text
    assert FACTS["name"] in text
    assert session.query(Cooperative).count() == 0
    part = page(client, "/places?county_code=360827&township_code=360827100")
    assert "水南社区居委会" in part
    assert "<html" not in part


def test_facts_saved_once_come_back_to_be_corrected(client, session, village):
    client.sign_in(UserFactory(granted=()))
    client.post("/apply/facts", data=FACTS)
    text = page(client, "/apply/facts")
    assert "尾号 8901" in text
    assert "6228480012345678901" not in text
    client.post("/apply/facts", data={**FACTS, "bank_account": "", "legal_person": "罗新生"})
    assert session.scalars(select(Cooperative.legal_person)).all() == ["罗新生"]


def test_a_cadre_without_disclosure_stays_on_the_page(client, session, village):
    client.sign_in(UserFactory(granted=()))
    client.post("/apply/facts", data=FACTS)
    answer = client.post("/apply/members", data={"role": "leading_cadre", "name": "王主任"})
    assert answer.status_code == 422
    assert "必须申报" in answer.get_data(as_text=True)
    assert 'value="王主任"' in answer.get_data(as_text=True)
    assert session.query(CooperativeMember).count() == 0


def test_a_document_is_known_by_its_content_and_not_its_name(client, session, village):
    client.sign_in(UserFactory(granted=()))
    client.post("/apply/facts", data=FACTS)
    sent = {"support_team-note": "有", "support_team-file": (BytesIO(b"MZ a program"), "证明.pdf")}
    answer = client.post("/apply/five-ones/support_team", data=sent)
    assert answer.status_code == 422
    assert "只能上传 PDF" in answer.get_data(as_text=True)
    assert session.query(StoredFile).count() == 0
    assert session.query(FiveOnesEvidence).count() == 0
    assert client.post("/apply/five-ones/another", data={}).status_code == 404


def test_evidence_is_read_by_its_cooperative_and_the_reviewers_of_its_place_alone(
    client, session, village, files
):
    applicant = UserFactory(granted=())
    client.sign_in(applicant)
    client.post("/apply/facts", data=FACTS)
    sent = {"support_team-note": "有", "support_team-file": (BytesIO(PDF), "证明.pdf")}
    client.post("/apply/five-ones/support_team", data=sent)
    file = session.scalars(select(StoredFile)).one()
    assert PDF not in files.path_of(file.address).read_bytes()
    session.refresh(applicant)
    for user, status in (
        (applicant, 200),
        (official_with(Role.VILLAGE_REVIEWER), 200),
        (official_with(Role.COUNTY_REVIEWER), 200),
        (official_with(Role.COUNTY_REVIEWER, "360827"), 404),
        (user_of(CooperativeFactory()), 404),
        (UserFactory(), 404),
    ):
        client.sign_in(user)
        assert client.get(f"/files/{file.public_no}").status_code == status


@pytest.mark.parametrize("address", ["/apply/members", "/apply/five-ones", "/apply/check", "/cooperative"])
def test_the_pages_of_an_application_are_its_managers(client, session, address):
    assert client.get(address).headers["Location"].startswith("/sign-in")
    for user in (UserFactory(), official_with(Role.OPERATOR), official_with(Role.COUNTY_REVIEWER)):
        client.sign_in(user)
        assert client.get(address).status_code == 403


def test_what_is_under_review_leads_to_the_own_page(client, session, village):
    client.sign_in(user_of(CooperativeFactory(state=CooperativeState.UNDER_REVIEW, admitted_at=None)))
    for address in ("/apply", "/apply/facts", "/apply/members", "/apply/five-ones", "/apply/check"):
        assert client.get(address).headers["Location"] == "/cooperative"
    answer = client.post("/apply/five-ones/support_team", data={"support_team-note": "改"})
    assert answer.status_code == 422
    assert "审核期间不能修改" in answer.get_data(as_text=True)
    assert session.query(FiveOnesEvidence).count() == 0


def test_a_manager_edits_the_story_and_a_clerk_only_reads(client, session):
    cooperative = CooperativeFactory(story="老的介绍")
    client.sign_in(user_of(cooperative, Role.COOPERATIVE_CLERK))
    assert "老的介绍" in page(client, "/cooperative")
    assert client.post("/cooperative", data={"story": "改", "phone": "13812345678"}).status_code == 403
    client.sign_in(user_of(cooperative))
    assert client.post("/cooperative", data={"story": "新的介绍", "phone": "13812345678"}).status_code == 302
    assert cooperative.story == "新的介绍"
    bad = client.post("/cooperative", data={"story": "打 13812345678", "phone": "13812345678"})
    assert bad.status_code == 422
    assert cooperative.story == "新的介绍"


def test_the_public_list_is_narrowed_down_by_county_and_paged(client, session):
    for _ in range(21):
        CooperativeFactory()
    elsewhere = CooperativeFactory(place=RegionFactory(code=OTHER_COUNTY_VILLAGE), name="遂川县水南合作社")
    for _ in range(5):
        EnrolmentFactory(cooperative=elsewhere)
    text = page(client, "/cooperatives?county=360827")
    assert "遂川县水南合作社" in text
    assert "5 户" in text
    assert "油茶专业合作社" not in text
    assert "第 1 / 2 页" in page(client, "/cooperatives")
    page(client, "/cooperatives?page=0", 404)
    page(client, "/cooperatives/C-0000000000", 404)
