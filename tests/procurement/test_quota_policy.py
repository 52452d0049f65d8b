"""The rules of reserved quotas: data of a place and year; the nearest place wins, and nothing is edited."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import DomainError, Forbidden
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, TrailEntry
from marketplace.procurement.quota.models import ReservedQuotaRule
from marketplace.procurement.quota.policy import load_quota_rules, set_quota_rule
from marketplace.procurement.quota.queries import rule_for
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.quota import quota_rule
from tests.factories.registry import COUNTY, RegionFactory
from tests.factories.trade import CategoryFactory


@pytest.fixture(autouse=True)
def _june(clock: HeldClock) -> None:
    """2026-06-01."""


def setting(session: Session, actor: Actor, **facts: object) -> ReservedQuotaRule:
    given: dict[str, object] = {
        "region_code": COUNTY,
        "year": 2026,
        "percent_bp": 1_500,
        "filing_due_on": date(2026, 5, 31),
        "category_codes": (),
        "scope_note": "",
        "basis": "县府办〔2026〕3 号",
        "reason": "县里提高预留比例",
        **facts,
    }
    return set_quota_rule(session, actor, **given)


def rules(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ReservedQuotaRule)) or 0


def test_the_shipped_rule_is_ten_percent_by_the_end_of_june(session: Session) -> None:
    assert load_quota_rules(session) == 2
    assert load_quota_rules(session) == 0
    found = rule_for(session, COUNTY, 2026)
    assert (found.rule.percent_bp, found.due_on) == (1_000, date(2026, 6, 30))
    assert rule_for(session, COUNTY, 2021).due_on == date(2021, 6, 30)
    assert rule_for(session, COUNTY, 2020) is None


def test_a_year_without_a_rule_follows_the_latest_earlier_one(session: Session) -> None:
    quota_rule(year=2024, percent_bp=1_100, filing_due_on=date(2024, 5, 20))
    found = rule_for(session, COUNTY, 2026)
    assert (found.rule.percent_bp, found.due_on) == (1_100, date(2026, 5, 20))


def test_the_nearest_place_decides_by_its_last_version(session: Session) -> None:
    quota_rule()
    quota_rule("36", percent_bp=1_200)
    quota_rule("3610", percent_bp=1_500)
    assert rule_for(session, COUNTY, 2026).rule.percent_bp == 1_500
    quota_rule(COUNTY, percent_bp=3_000, year=2025)
    quota_rule(COUNTY, percent_bp=2_000, year=2025, version=2)
    assert rule_for(session, COUNTY, 2026).rule.percent_bp == 2_000
    assert rule_for(session, "360827", 2026).rule.percent_bp == 1_200


def test_a_rule_is_set_by_operator_and_province_with_basis_reason_and_trail(session: Session) -> None:
    RegionFactory(code=COUNTY)
    CategoryFactory()
    rule = setting(session, actor_with(Role.OPERATOR), category_codes=["camellia-oil"])
    again = setting(session, actor_with(Role.SUPERVISOR), percent_bp=1_600, reason="更正比例")
    assert [(one.version, one.percent_bp) for one in (rule, again)] == [(1, 1_500), (2, 1_600)]
    assert rule.category_codes == ["camellia-oil"]
    assert rule_for(session, COUNTY, 2026).rule is again
    trail = session.scalars(select(TrailEntry).where(TrailEntry.action == "procurement.set_quota_rule")).all()
    assert [row.detail["percent_bp"] for row in trail] == [1_500, 1_600]


@pytest.mark.parametrize(
    ("code", "field", "facts"),
    [
        ("rule_under_floor", "percent_bp", {"percent_bp": 900}),
        ("rule_percent", "percent_bp", {"percent_bp": 0}),
        ("rule_percent", "percent_bp", {"percent_bp": 10_001}),
        ("rule_year", "year", {"year": 2025}),
        ("rule_year", "year", {"year": 2028}),
        ("rule_due", "filing_due_on", {"filing_due_on": date(2027, 6, 30)}),
        ("unknown_region", "region_code", {"region_code": "999999"}),
        ("unknown_category", "category_codes", {"category_codes": ["gold"]}),
        ("text_length", "basis", {"basis": " "}),
        ("text_length", "reason", {"reason": "改"}),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    session: Session, code: str, field: str, facts: dict[str, object]
) -> None:
    RegionFactory(code=COUNTY)
    quota_rule()
    with pytest.raises(DomainError) as refused:
        setting(session, actor_with(Role.OPERATOR), **facts)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert rules(session) == 1


@pytest.mark.parametrize("role", [Role.COUNTY_REVIEWER, Role.AUDITOR, Role.STAFF_BUYER])
def test_others_do_not_set_rules(session: Session, role: Role) -> None:
    RegionFactory(code=COUNTY)
    with pytest.raises(Forbidden):
        setting(session, actor_with(role))
    assert rules(session) == 0


def test_a_province_does_not_set_the_rule_of_the_country(session: Session) -> None:
    with pytest.raises(Forbidden) as refused:
        setting(session, actor_with(Role.SUPERVISOR), region_code=None)
    assert refused.value.code == "not_your_place"
    assert rules(session) == 0


@pytest.mark.parametrize("change", ["UPDATE {} SET percent_bp = 1", "DELETE FROM {}"])
def test_the_database_refuses_to_edit_a_rule(session: Session, change: str) -> None:
    quota_rule()
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text(change.format("reserved_quota_rule")))
    assert rules(session) == 1


def test_the_database_takes_one_national_version(session: Session) -> None:
    quota_rule()
    with pytest.raises(IntegrityError), session.begin_nested():
        quota_rule()
    assert rules(session) == 1
