"""Signing in, registering, the own account, colleagues and the trail, through the pages."""

from __future__ import annotations

import re
from datetime import date

import pytest
from sqlalchemy import select

from marketplace.core.clock import now
from marketplace.identity.actors import actor_of
from marketplace.identity.models import ApiToken, Role, TrailEntry, User
from marketplace.identity.queries import TrailFilter, token_by_secret, trail_rows
from marketplace.identity.trail import record_trail
from marketplace.identity.trail_details import trail_detail
from marketplace.web.limits import limiter
from tests.factories.identity import PASSWORD, UserFactory, actor_with, official_with
from tests.factories.registry import CooperativeFactory, user_of


@pytest.fixture(autouse=True)
def fresh_limits(app):
    limiter.reset()


def text_of(answer, status=200):
    assert answer.status_code == status
    return answer.get_data(as_text=True)


def sign_in(client, login_name, password=PASSWORD, **more):
    return client.post("/sign-in", data={"login_name": login_name, "password": password, **more})


# --- signing in ---


def test_a_person_signs_in_and_goes_on_to_where_they_wanted(client, session):
    user = UserFactory(login_name="liu.xiaohong")
    answer = sign_in(client, " LIU.xiaohong ", next="/account?x=1")
    assert answer.headers["Location"] == "/account?x=1"
    assert "liu.xiaohong" in text_of(client.get("/account"))
    assert (
        session.query(TrailEntry).filter_by(action="identity.sign_in", subject_no=user.public_no).count() == 1
    )


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_never_leads_to_another_site(client, session, target):
    UserFactory(login_name="liu.xiaohong")
    assert sign_in(client, "liu.xiaohong", next=target).headers["Location"] == "/desk"


@pytest.mark.parametrize(("login_name", "password"), [("liu.xiaohong", "wrong"), ("nobody", PASSWORD)])
def test_wrong_credentials_are_refused_alike(client, session, login_name, password):
    UserFactory(login_name="liu.xiaohong")
    text = text_of(sign_in(client, login_name, password), 422)
    assert "登录名或密码不正确" in text
    assert f'value="{login_name}"' in text
    assert password not in text
    assert client.get("/account").status_code == 302


def test_a_disabled_person_cannot_sign_in_and_is_signed_out(client, session):
    user = UserFactory(login_name="liu.xiaohong")
    sign_in(client, "liu.xiaohong")
    user.disabled_at = now()
    assert client.get("/account").status_code == 302
    assert sign_in(client, "liu.xiaohong").status_code == 422


def test_guessing_passwords_is_slowed_down(client, session):
    UserFactory(login_name="liu.xiaohong")
    answers = [sign_in(client, "liu.xiaohong", "wrong").status_code for _ in range(21)]
    assert answers == [422] * 20 + [429]


def test_demo_accounts_are_offered_where_the_app_has_them(app, client, session):
    assert "演示账号" not in text_of(client.get("/sign-in"))
    one = {"who": "合作社负责人", "login_name": "demo.manager", "password": "shown-on-purpose"}
    app.extensions["demo_accounts"] = lambda _session: [one]
    text = text_of(client.get("/sign-in"))
    assert "demo.manager" in text
    assert "shown-on-purpose" in text


# --- registering ---


def registration(**more):
    known = {"purpose": "buyer", "display_name": "刘小红", "login_name": "liu.xiaohong"}
    return {**known, "password": PASSWORD, "repeated": PASSWORD, **more}


@pytest.mark.parametrize(
    ("purpose", "roles", "target"), [("buyer", {Role.STAFF_BUYER}, "/"), ("cooperative", set(), "/apply")]
)
def test_a_person_registers_to_buy_or_to_apply(client, session, purpose, roles, target):
    assert client.post("/register", data=registration(purpose=purpose)).headers["Location"] == target
    user = session.scalars(select(User)).one()
    assert (user.role_codes, user.organisation_id) == (roles, None)
    assert PASSWORD not in user.password_hash


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"login_name": "li"}, "登录名须为"),
        ({"login_name": "刘小红"}, "登录名须为"),
        ({"login_name": "Taken.Name"}, "已被使用"),
        ({"password": "short", "repeated": "short"}, "密码至少 10 个字符"),
        ({"password": "aaaaaaaaaaaa", "repeated": "aaaaaaaaaaaa"}, "密码至少 10 个字符"),
        ({"repeated": "something else"}, "两次输入的密码不一致"),
        ({"display_name": ""}, "请填写这一项"),
        ({"purpose": "operator"}, "has-error"),
    ],
)
def test_a_bad_registration_says_why_and_opens_nothing(client, session, more, words):
    UserFactory(login_name="taken.name")
    assert words in text_of(client.post("/register", data=registration(**more)), 422)
    assert session.query(User).count() == 1


# --- the own account ---


def test_a_new_password_ends_other_sessions_and_keeps_this_one(app, client, session):
    user = UserFactory()
    client.sign_in(user)
    elsewhere = app.test_client()
    elsewhere.sign_in(user)
    new = "another-long-password"
    changed = client.post("/account", data={"current": PASSWORD, "password": new, "repeated": new})
    assert changed.headers["Location"] == "/account"
    assert client.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302


@pytest.mark.parametrize(
    ("current", "password", "words"),
    [
        ("wrong", "another-long-password", "当前密码不正确"),
        (PASSWORD, "short", "密码至少 10 个字符"),
        (PASSWORD, PASSWORD, "与当前密码相同"),
    ],
)
def test_a_password_is_not_changed_without_the_old_or_to_a_weak_one(
    client, session, current, password, words
):
    user = UserFactory()
    before = user.password_hash
    client.sign_in(user)
    sent = {"current": current, "password": password, "repeated": password}
    assert words in text_of(client.post("/account", data=sent), 422)
    assert (user.password_hash, user.session_version) == (before, 1)


def test_a_token_is_shown_once_works_and_ends(client, session):
    user = UserFactory()
    client.sign_in(user)
    page = text_of(client.post("/account/tokens", data={"name": "县财政对账"}))
    secret = re.search(r'data-copy="([\w-]{43})"', page)[1]
    assert secret not in text_of(client.get("/account"))
    token = token_by_secret(session, secret)
    assert token.user_id == user.id
    assert secret.encode() not in token.token_hash
    client.sign_in(UserFactory())
    assert client.post(f"/account/tokens/{token.public_no}/revoke").status_code == 404
    assert token.revoked_at is None
    client.sign_in(user)
    client.post(f"/account/tokens/{token.public_no}/revoke")
    assert token_by_secret(session, secret) is None


def test_a_token_needs_a_purpose_and_there_are_at_most_ten(client, session):
    client.sign_in(UserFactory())
    assert client.post("/account/tokens", data={"name": ""}).status_code == 422
    for n in range(10):
        assert client.post("/account/tokens", data={"name": f"程序{n}"}).status_code == 200
    assert "最多同时保留 10 个令牌" in text_of(client.post("/account/tokens", data={"name": "再一个"}), 422)
    assert session.query(ApiToken).count() == 10


def test_the_language_is_kept_with_the_person_and_with_a_visitors_cookie(client, session):
    client.post("/language", data={"locale": "en"})
    assert 'lang="en"' in text_of(client.get("/sign-in"))
    user = UserFactory()
    client.sign_in(user)
    client.post("/language", data={"locale": "en", "next": "/account"})
    assert user.locale == "en"
    assert client.post("/language", data={"locale": "xx"}).status_code == 404
    assert user.locale == "en"


PALETTE_BY_NIGHT = re.compile(r'dark\.css[^"]*" media="([^"]*)"')


@pytest.mark.parametrize(
    ("chosen", "media"),
    [("dark", "screen"), ("light", "not all"), ("auto", "screen and (prefers-color-scheme: dark)")],
)
def test_the_colours_follow_the_device_until_somebody_chooses(client, chosen, media):
    assert PALETTE_BY_NIGHT.findall(client.get("/sign-in").text) == [
        "screen and (prefers-color-scheme: dark)"
    ]
    answer = client.post("/scheme", data={"scheme": chosen, "next": "/sign-in"})
    assert answer.location == "/sign-in"
    assert PALETTE_BY_NIGHT.findall(client.get("/sign-in").text) == [media]


@pytest.mark.parametrize(("chosen", "onward"), [("red", "/"), ("", "/"), ("dark", "https://elsewhere.test/")])
def test_a_wrong_choice_of_colours_changes_nothing(client, chosen, onward):
    client.post("/scheme", data={"scheme": "light"})
    answer = client.post("/scheme", data={"scheme": chosen, "next": onward})
    assert answer.status_code == 404 if chosen != "dark" else answer.location == "/"
    if chosen != "dark":
        assert client.get_cookie("scheme").value == "light"


# --- colleagues ---


def test_a_colleague_first_chooses_a_password_of_their_own(client, session):
    cooperative = CooperativeFactory()
    client.sign_in(user_of(cooperative))
    page = text_of(
        client.post(
            "/users/new",
            data={"display_name": "谢桂英", "login_name": "xie.guiying", "roles": ["cooperative_clerk"]},
        )
    )
    password = re.search(r'data-copy="(\w{4}-\w{4}-\w{4})"', page)[1]
    assert password not in text_of(client.get("/users"))
    assert "谢桂英" in text_of(client.get("/users"))
    client.post("/sign-out")
    sign_in(client, "xie.guiying", password)
    assert client.get("/cooperative").headers["Location"] == "/account"
    assert "请先换成自己的密码" in text_of(client.get("/account"))
    own = "a-password-of-my-own"
    client.post("/account", data={"current": password, "password": own, "repeated": own})
    assert client.get("/cooperative").status_code == 200


def test_a_manager_meets_no_strangers_account(client, session):
    stranger = user_of(CooperativeFactory())
    client.sign_in(user_of(CooperativeFactory()))
    assert stranger.display_name not in text_of(client.get("/users"))
    for address in ("", "/password", "/disable", "/enable"):
        sent = client.post(f"/users/{stranger.public_no}{address}", data={"roles": ["cooperative_clerk"]})
        assert sent.status_code == 404
    assert client.get(f"/users/{stranger.public_no}").status_code == 404
    assert (stranger.disabled_at, stranger.session_version) == (None, 1)
    assert stranger.role_codes == {Role.COOPERATIVE_MANAGER}


def test_a_role_that_was_not_offered_is_refused(client, session):
    cooperative = CooperativeFactory()
    client.sign_in(user_of(cooperative))
    sent = {"display_name": "某人", "login_name": "mou.ren", "roles": ["operator"]}
    assert client.post("/users/new", data=sent).status_code == 422
    assert session.query(User).filter_by(login_name="mou.ren").count() == 0


def test_the_operator_finds_disables_and_enables_an_account(client, session):
    clerk = user_of(CooperativeFactory(), Role.COOPERATIVE_CLERK)
    clerk.display_name = "谢桂英"
    client.sign_in(official_with(Role.OPERATOR))
    assert "谢桂英" in text_of(client.get("/users?q=谢桂"))
    assert "谢桂英" not in text_of(client.get("/users?q=谢桂&role=auditor"))
    client.post(f"/users/{clerk.public_no}/disable")
    assert clerk.disabled_at is not None
    assert client.post(f"/users/{clerk.public_no}/disable").status_code == 409
    client.post(f"/users/{clerk.public_no}/enable")
    assert clerk.disabled_at is None
    client.post(f"/users/{clerk.public_no}", data={"roles": ["cooperative_manager"]})
    session.expire(clerk)
    assert clerk.role_codes == {Role.COOPERATIVE_MANAGER}


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.AUDITOR, Role.UNIT_APPROVER, Role.COOPERATIVE_CLERK])
def test_accounts_are_not_everybodys_business(client, session, role):
    client.sign_in(UserFactory(granted=(role,)))
    assert client.get("/users").status_code == 403


# --- the trail ---


def test_the_trail_is_narrowed_down_and_told_in_words(client, session, clock):
    reviewer = actor_with(Role.COUNTY_REVIEWER)
    record_trail(
        session, reviewer, "reviews.decide", subject=("review_case", "V-TEST000001"), decision="pass", step=2
    )
    session.flush()
    clock.advance(days=2)
    record_trail(session, reviewer, "catalog.publish", subject=("listing", "L-TEST000001"), amount_fen=128050)
    client.sign_in(official_with(Role.AUDITOR))
    everything = text_of(client.get("/trail"))
    assert "结论：通过；步骤：2" in everything
    assert "金额：¥1,280.50" in everything
    assert "reviews.decide" not in everything
    narrowed = text_of(client.get("/trail?room=reviews"))
    assert ("V-TEST000001" in narrowed, "L-TEST000001" in narrowed) == (True, False)
    by_day = text_of(client.get("/trail?from_on=2026-06-02"))
    assert ("V-TEST000001" in by_day, "L-TEST000001" in by_day) == (False, True)
    assert "V-TEST000001" in text_of(client.get("/trail?subject_no=v-test000001"))
    assert "没有这样的记录" in text_of(client.get("/trail?person=没有这个人"))
    assert client.get("/trail?from_on=yesterday").status_code == 422


def test_a_countys_auditor_reads_the_trail_of_the_county_alone(session):
    here, there = actor_with(Role.AUDITOR), actor_of(official_with(Role.AUDITOR, "360827"))
    province = actor_of(official_with(Role.AUDITOR, "36"))
    prefecture = actor_of(official_with(Role.AUDITOR, "3610"))
    record_trail(session, here, "catalog.publish", subject=("listing", "L-TEST000001"))
    session.flush()

    def seen_by(actor):
        rows = session.scalars(trail_rows(actor, TrailFilter(subject_no="L-TEST000001"))).all()
        return len(rows)

    assert [seen_by(actor) for actor in (here, prefecture, province, there)] == [1, 1, 1, 0]
    assert session.scalars(trail_rows(there, TrailFilter(until_on=date(2000, 1, 1)))).all() == []


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.COOPERATIVE_MANAGER, Role.COUNTY_REVIEWER])
def test_the_trail_is_for_those_who_watch(client, session, role):
    client.sign_in(UserFactory(granted=(role,)))
    assert client.get("/trail").status_code == 403


def test_an_unknown_code_is_shown_as_it_is():
    assert trail_detail({"new_key": "new_value", "empty": None}, str) == ["new_key：new_value"]


def test_days_and_masses_are_written_as_on_every_page(app):
    with app.test_request_context():
        assert trail_detail({"from_on": "2026-12-01", "net_g": 113_900}, str) == [
            "从：2026年12月1日",
            "净重：113.9 千克",
        ]
