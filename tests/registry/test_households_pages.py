"""The pages of households and enrolments: who may open them, what they show, and what a wrong answer says."""

from datetime import date

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role, TrailEntry
from marketplace.registry.models import (
    Enrolment,
    EnrolmentState,
    HouseholdStatus,
    HouseholdStatusKind,
)
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import (
    NEXT_VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    RegionFactory,
    beneficiary_policy,
    resident_id,
    user_of,
    user_of_household,
)


@pytest.fixture
def home(session, clock):
    """A household of 鳌溪村 that may be taken in."""
    beneficiary_policy()
    return HouseholdFactory(head_name="陈大山", head__id_number=resident_id(42, born="19330303"))


def trail(session, action):
    return session.scalars(select(TrailEntry).where(TrailEntry.action == action)).all()


# --- households ---


@pytest.mark.parametrize(
    ("role", "answer"),
    [
        (Role.VILLAGE_REVIEWER, 200),
        (Role.COUNTY_REVIEWER, 200),
        (Role.AUDITOR, 200),
        (Role.SUPERVISOR, 403),
        (Role.OPERATOR, 403),
    ],
)
def test_officials_open_the_households_of_their_place(client, home, role, answer):
    client.sign_in(official_with(role))
    for path in ("/households", f"/households/{home.public_no}"):
        page = client.get(path)
        assert page.status_code == answer
        assert (home.head_name in page.text) == (answer == 200)


@pytest.mark.parametrize("path", ["/households", "/enrolments", "/my/enrolments"])
def test_visitors_and_buyers_open_none(client, home, path):
    assert client.get(path).status_code == 302
    client.sign_in(UserFactory())
    assert client.get(path).status_code == 403


def test_a_forged_or_foreign_household_number_is_not_found(client, home):
    client.sign_in(official_with(Role.COUNTY_REVIEWER, "360827"))
    RegionFactory(code="360827")
    for number in (home.public_no, "H-FORGED0000", home.registry_no):
        assert client.get(f"/households/{number}").status_code == 404
        assert client.get(f"/households/{number}/status").status_code == 404
        member_no = home.members[0].public_no
        answer = client.post(
            f"/households/{number}/members/{member_no}/reveal", data={"reason": "核对身份信息"}
        )
        assert answer.status_code == 404


def test_households_are_found_by_name_number_place_and_status(client, home):
    other = HouseholdFactory(
        head_name="李小河", place__code=NEXT_VILLAGE, status__status=HouseholdStatusKind.EXITED
    )
    client.sign_in(official_with(Role.COUNTY_REVIEWER))

    def names(**wanted):
        text = client.get("/households", query_string=wanted).text
        return [name for name in ("陈大山", "李小河") if f">{name}<" in text]

    assert names() == ["陈大山", "李小河"]
    assert names(q="李小河") == ["李小河"]
    assert names(q=other.registry_no) == ["李小河"]
    assert names(q="李") == []
    assert names(place="桥背村") == ["李小河"]
    assert names(place="361025100200") == ["陈大山"]
    assert names(status="exited") == ["李小河"]
    assert names(status="nonsense") == ["陈大山", "李小河"]
    assert "没有找到名字相近" in client.get("/households?place=没有的村").text


def test_a_page_of_households_takes_a_fixed_number_of_statements(client, session, home, engine):
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    for _ in range(25):
        HouseholdFactory()
    assert client.get("/households").text.count("一户一档</a>") == 20
    assert client.get("/households?page=2").status_code == 200
    assert client.get("/households?page=nonsense").status_code == 404


def test_an_id_number_is_shown_once_for_a_reason_that_is_kept(client, session, home):
    clerk = official_with(Role.VILLAGE_REVIEWER)
    client.sign_in(clerk)
    path, number = f"/households/{home.public_no}", resident_id(42, born="19330303")
    assert number not in client.get(path).text
    ask = f"{path}/members/{home.members[0].public_no}/reveal"
    refused = client.post(ask, data={"reason": ""})
    assert refused.status_code == 422
    assert number not in refused.text
    assert trail(session, "registry.reveal_id_number") == []
    answer = client.post(ask, data={"reason": "核对医保参保信息"})
    assert answer.status_code == 200
    assert number in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    [entry] = trail(session, "registry.reveal_id_number")
    assert (entry.actor_user_id, entry.household_id) == (clerk.id, home.id)
    page = client.get(path).text
    assert "核对医保参保信息" in page
    assert number not in page


def test_a_cooperative_sees_members_once_the_household_agreed_but_no_id_number(client, session, home):
    enrolment = EnrolmentFactory(household=home, state=EnrolmentState.PROPOSED)
    client.sign_in(user_of(enrolment.cooperative))
    page = client.get(f"/households/{home.public_no}")
    assert "农户确认加入后，才能看到家庭成员" in page.text
    assert home.members[1].name not in page.text
    enrolment.state, enrolment.acknowledged_at = EnrolmentState.ACKNOWLEDGED, enrolment.proposed_at
    page = client.get(f"/households/{home.public_no}")
    assert home.members[1].name in page.text
    ask = f"/households/{home.public_no}/members/{home.members[0].public_no}/reveal"
    assert client.post(ask, data={"reason": "核对医保参保信息"}).status_code == 403


def test_the_county_states_a_status_and_the_page_tells_it_in_both_times(client, session, home, clock):
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    path = f"/households/{home.public_no}"
    stated = {"status": "exited", "valid_from": "2019-12-31", "reason": "2019 年县级验收脱贫"}
    for wrong in (
        {"valid_from": "2026-06-02"},
        {"reason": ""},
        {"status": "rich"},
        {"valid_to": "2019-01-01"},
    ):
        answer = client.post(f"{path}/status", data={**stated, **wrong})
        assert answer.status_code == 422
        assert "2019" in answer.text  # what was typed stays
    assert session.scalar(select(func.count()).select_from(HouseholdStatus)) == 1
    clock.advance(days=1)
    page = client.post(f"{path}/status", data=stated, follow_redirects=True)
    assert "状态已登记" in page.text
    assert "2019 年县级验收脱贫" in page.text
    then = '那一天，按当时所知：<span class="tag tag-{}">{}'
    as_known_later = client.get(f"{path}?on=2020-01-01&known=2026-06-02").text
    assert then.format("good", "脱贫户") in as_known_later
    as_known_before = client.get(f"{path}?on=2020-01-01&known=2026-06-01").text
    assert then.format("info", "建档立卡贫困户") in as_known_before
    client.sign_in(official_with(Role.VILLAGE_REVIEWER))
    assert client.post(f"{path}/status", data=stated).status_code == 403


# --- enrolments ---


def test_a_cooperative_proposes_a_household_it_can_name(client, session, home):
    cooperative = CooperativeFactory()
    client.sign_in(user_of(cooperative))
    asked = {"registry_no": home.registry_no, "head_name": "陈大山", "enrolled_on": "2026-06-01"}
    for wrong, message in (
        ({"head_name": "别人"}, "没有找到这户"),
        ({"registry_no": "123"}, "户编号应为 10 位数字"),
        ({"enrolled_on": "2026-06-02"}, "加入日期不能晚于今天"),
        ({"enrolled_on": "2013-06-02"}, "还没有登记状态"),
        ({"enrolled_on": "x"}, "error"),
    ):
        answer = client.post("/enrolments", data={**asked, **wrong})
        assert answer.status_code == 422
        assert message in answer.text
    assert session.scalar(select(func.count()).select_from(Enrolment)) == 0
    page = client.post("/enrolments", data=asked, follow_redirects=True)
    assert "已提出" in page.text
    assert session.scalars(select(Enrolment.enrolled_on)).all() == [date(2026, 6, 1)]
    assert client.post("/enrolments", data=asked).status_code == 422
    number = session.scalars(select(Enrolment.public_no)).one()
    assert "已撤回" in client.post(f"/enrolments/{number}/withdraw", follow_redirects=True).text
    assert session.scalar(select(func.count()).select_from(Enrolment)) == 0


def test_an_ineligible_household_is_told_why(client, session, home):
    poor = HouseholdFactory(head_name="李小河", status__status=HouseholdStatusKind.INELIGIBLE)
    client.sign_in(user_of(CooperativeFactory()))
    asked = {"registry_no": poor.registry_no, "head_name": "李小河", "enrolled_on": "2026-06-01"}
    answer = client.post("/enrolments", data=asked)
    assert answer.status_code == 422
    assert "不是帮扶对象" in answer.text


@pytest.fixture
def asked(session, home):
    """The household was asked by a cooperative."""
    return EnrolmentFactory(household=home, state=EnrolmentState.PROPOSED)


def test_a_household_says_yes_or_no_on_its_own_page(client, session, home, asked):
    client.sign_in(user_of_household(home))
    assert "我家加入" in client.get("/my/enrolments").text
    path = f"/enrolments/{asked.public_no}"
    assert client.post(f"{path}/decline", data={"reason": ""}).status_code == 422
    page = client.post(f"{path}/decline", data={"reason": "没有土地可以种"}, follow_redirects=True)
    assert "如果点错了，可以改为加入" in page.text
    assert asked.state is EnrolmentState.DECLINED
    page = client.post(f"{path}/acknowledge", follow_redirects=True)
    assert "已确认加入" in page.text
    assert asked.state is EnrolmentState.ACKNOWLEDGED
    assert client.post(f"{path}/decline", data={"reason": "没有土地可以种"}).status_code == 422
    page = client.post(f"{path}/end", data={"reason": "外出务工，不再种植"}, follow_redirects=True)
    assert "已办理退出" in page.text
    assert asked.state is EnrolmentState.ENDED


def test_the_clerk_vouches_with_a_reason_and_goes_on_to_the_next(client, session, asked):
    following = EnrolmentFactory(state=EnrolmentState.PROPOSED)
    clerk = official_with(Role.VILLAGE_REVIEWER)
    client.sign_in(clerk)
    assert client.get("/enrolments?state=proposed").text.count(">办理</a>") == 2
    path = f"/enrolments/{asked.public_no}"
    refused = client.post(f"{path}/acknowledge", data={"reason": ""})
    assert refused.status_code == 422
    assert asked.state is EnrolmentState.PROPOSED
    answer = client.post(f"{path}/acknowledge", data={"reason": "户主不识字，入户当面确认"})
    assert answer.location == f"/enrolments/{following.public_no}"
    assert (asked.state, asked.acknowledged_by) == (EnrolmentState.ACKNOWLEDGED, clerk.id)
    answer = client.post(f"{answer.location}/acknowledge", data={"reason": "户主不识字，入户当面确认"})
    assert answer.location == "/enrolments?state=proposed"


def test_a_foreign_or_forged_enrolment_number_is_not_found(client, session, asked):
    strangers = [
        user_of(CooperativeFactory()),
        official_with(Role.VILLAGE_REVIEWER, NEXT_VILLAGE),
        user_of_household(HouseholdFactory()),
    ]
    for stranger in strangers:
        client.sign_in(stranger)
        for number in (asked.public_no, "E-FORGED0000"):
            assert client.get(f"/enrolments/{number}").status_code == 404
            for act in ("acknowledge", "decline", "end", "withdraw"):
                answer = client.post(f"/enrolments/{number}/{act}", data={"reason": "入户当面确认"})
                assert answer.status_code in (403, 404)
    assert asked.state is EnrolmentState.PROPOSED


def test_each_page_opens_in_english(client, session, home, asked):
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    client.post("/language", data={"locale": "en"})
    for path in (
        "/households",
        f"/households/{home.public_no}",
        f"/households/{home.public_no}/status",
        "/enrolments",
        f"/enrolments/{asked.public_no}",
    ):
        assert client.get(path).status_code == 200
