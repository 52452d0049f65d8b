"""A place may have steps of its own; without them it follows the place above it."""

from __future__ import annotations

import pytest

from marketplace.core.errors import Forbidden, Refused
from marketplace.identity.models import Role
from marketplace.registry.reviews.models import ReviewKind, ReviewStep, StepKind
from marketplace.registry.reviews.queries import steps_for
from marketplace.registry.reviews.steps import StepDraft, places_with_steps, set_review_steps
from tests.factories.identity import actor_with, official_with
from tests.factories.registry import COUNTY, VILLAGE, RegionFactory
from tests.factories.reviews import default_steps

ENTRY = ReviewKind.COOPERATIVE_ENTRY
COUNTY_DECIDES = StepDraft("县级审定", "County decision", Role.COUNTY_REVIEWER)
NOTICE = StepDraft("公示", "Public notice", Role.COUNTY_REVIEWER, 15)

UNUSED = {"name_zh": "", "name_en": "", "role": "county_reviewer", "notice_days": "0"}


@pytest.fixture
def operator(session):
    default_steps()
    RegionFactory()
    return actor_with(Role.OPERATOR)


def names(session, place=VILLAGE):
    return [step.name_zh for step in steps_for(session, ENTRY, place)]


def test_a_county_gets_its_own_steps_and_gives_them_up_again(session, operator):
    set_review_steps(session, operator, kind=ENTRY, region_code=COUNTY, steps=[NOTICE, COUNTY_DECIDES])
    assert names(session) == ["公示", "县级审定"]
    first = steps_for(session, ENTRY, VILLAGE)[0]
    assert (first.step, first.notice_days) == (StepKind.PUBLIC_NOTICE, 15)
    set_review_steps(session, operator, kind=ENTRY, region_code=COUNTY, steps=[COUNTY_DECIDES])
    assert names(session) == ["县级审定"]
    assert (ENTRY, COUNTY) in [(one.kind, one.region.code) for one in places_with_steps(session)]
    set_review_steps(session, operator, kind=ENTRY, region_code=COUNTY, steps=[])
    assert names(session) == ["村级初审", "乡镇复核", "公示", "县级审定"]


@pytest.mark.parametrize(
    ("region_code", "steps", "code"),
    [
        ("36", [], "province_without_steps"),
        (COUNTY, [NOTICE], "nobody_decides"),
        (COUNTY, [COUNTY_DECIDES] * 7, "too_many_steps"),
        (COUNTY, [StepDraft("", "x", Role.COUNTY_REVIEWER)], "step_name"),
        (COUNTY, [StepDraft("审定", " ", Role.COUNTY_REVIEWER)], "step_name"),
        (COUNTY, [StepDraft("审定", "Decision", Role.AUDITOR)], "step_role"),
        (COUNTY, [COUNTY_DECIDES, StepDraft("公示", "Notice", Role.COUNTY_REVIEWER, 61)], "step_days"),
        ("999999", [COUNTY_DECIDES], "unknown_place"),
    ],
)
def test_steps_that_cannot_work_are_refused(session, operator, region_code, steps, code):
    before = session.query(ReviewStep).count()
    with pytest.raises(Refused) as refusal:
        set_review_steps(session, operator, kind=ENTRY, region_code=region_code, steps=steps)
    assert refusal.value.code == code
    assert session.query(ReviewStep).count() == before


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
def test_nobody_but_the_operator_configures_reviews(session, operator, role):
    with pytest.raises(Forbidden):
        set_review_steps(session, actor_with(role), kind=ENTRY, region_code=COUNTY, steps=[COUNTY_DECIDES])
    assert names(session) == ["村级初审", "乡镇复核", "公示", "县级审定"]


def test_the_operator_configures_a_county_through_the_pages(client, session, operator):
    client.sign_in(official_with(Role.OPERATOR))
    chosen = client.post("/review-steps", data={"kind": "cooperative_entry", "county_code": COUNTY})
    address = f"/review-steps/cooperative_entry/{COUNTY}"
    assert chosen.headers["Location"] == address
    page = client.get(address).get_data(as_text=True)
    assert "乡镇复核" in page
    rows = {
        "rows-0-name_zh": "公示",
        "rows-0-name_en": "Public notice",
        "rows-0-role": "county_reviewer",
        "rows-0-notice_days": "7",
        "rows-1-name_zh": "县级审定",
        "rows-1-name_en": "County decision",
        "rows-1-role": "county_reviewer",
        "rows-1-notice_days": "0",
    }
    empty = {f"rows-{n}-{field}": value for n in range(2, 6) for field, value in UNUSED.items()}
    only_notice = {**rows, **empty, "rows-1-name_zh": ""}
    refused = client.post(address, data=only_notice)
    assert refused.status_code == 422
    assert "不能只有公示" in refused.get_data(as_text=True)
    nonsense = client.post(address, data={**rows, **empty, "rows-1-notice_days": "半个月"}).get_data(
        as_text=True
    )
    assert "第 2 行 公示天数" in nonsense
    assert "请填写整数" in nonsense
    assert "半个月" in nonsense
    assert names(session) == ["村级初审", "乡镇复核", "公示", "县级审定"]
    assert client.post(address, data={**rows, **empty}).headers["Location"] == "/review-steps"
    assert names(session) == ["公示", "县级审定"]
    assert client.get("/review-steps/another/36").status_code == 404
    assert client.get("/review-steps/certificate/999999").status_code == 404
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    assert client.get(address).status_code == 403
