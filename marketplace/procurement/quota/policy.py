"""Maintaining the rules of reserved quotas: what a place asks in a year, recorded with its basis, never edited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Category
from marketplace.core.clock import today
from marketplace.core.errors import Forbidden, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_rate
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.procurement.quota.facts import quota_rule_rows
from marketplace.procurement.quota.models import ReservedQuotaRule
from marketplace.procurement.quota.queries import rules_in_force
from marketplace.registry.models import Region, RegionLevel

LEVELS = (RegionLevel.PROVINCE, RegionLevel.PREFECTURE, RegionLevel.COUNTY)
LEAP_DAY = (2, 29)


def load_quota_rules(session: Session) -> int:
    """Add the shipped rules where a place and year has none; change nothing. Returns how many were added."""
    known = set(session.execute(select(ReservedQuotaRule.region_code, ReservedQuotaRule.year)).all())
    new = [row for row in quota_rule_rows() if (row["region_code"], row["year"]) not in known]
    session.add_all(ReservedQuotaRule(**row, version=1) for row in new)
    session.flush()
    return len(new)


def set_quota_rule(
    session: Session,
    actor: Actor,
    *,
    region_code: str | None,
    year: int,
    percent_bp: int,
    filing_due_on: date,
    category_codes: Sequence[str],
    scope_note: str,
    basis: str,
    reason: str,
) -> ReservedQuotaRule:
    """Set what a place asks of its units in a year: the least share in basis points, the last day to file, what counts.

    `region_code` None is the whole country, which the operator sets; a province sets the places below it. A place may
    ask more than those above it, never less (domain.md section 9). A further rule of the same place and year is its
    next version; filings keep the one they were made under. Raises Forbidden, Refused (field named).
    """
    _check_place(session, actor, region_code)
    if year not in {today().year, today().year + 1}:
        raise Refused("rule_year", N_("只能设置今年或明年的规则，往年的规则不再改动"), field="year")
    if filing_due_on.year != year or (filing_due_on.month, filing_due_on.day) == LEAP_DAY:
        raise Refused(
            "rule_due", N_("申报截止日期须在规则年度之内，不能是 2 月 29 日"), field="filing_due_on"
        )
    _check_percent(session, region_code, year, percent_bp)
    codes = _known_categories(session, category_codes)
    texts = {"basis": basis.strip(), "reason": reason.strip()}
    for field, most in (("basis", 200), ("reason", 300)):
        if not 4 <= len(texts[field]) <= most:
            raise Refused("text_length", N_("请填写这一项，4 到 %(most)s 个字"), field=field, most=most)
    rule = ReservedQuotaRule(
        region_code=region_code,
        year=year,
        version=_versions(session, region_code, year) + 1,
        percent_bp=percent_bp,
        filing_due_on=filing_due_on,
        category_codes=codes,
        scope_note=scope_note.strip()[:300],
        recorded_by=actor.user_id,
        **texts,
    )
    session.add(rule)
    session.flush()
    record_trail(
        session,
        actor,
        "procurement.set_quota_rule",
        subject=("region", region_code or "CN"),
        year=year,
        version=rule.version,
        percent_bp=percent_bp,
        due_on=filing_due_on.isoformat(),
        reason=texts["reason"],
    )
    return rule


def may_set_for(actor: Actor, region_code: str | None) -> bool:
    """Whether the actor sets rules of a place: the operator everywhere, a province for itself and below."""
    if not actor.can(Permission.MANAGE_QUOTA_RULES):
        return False
    if actor.can(Permission.MANAGE_USERS):
        return True
    return bool(region_code and actor.region_code) and str(region_code).startswith(actor.region_code)


def places_of_rules(session: Session, actor: Actor) -> list[Region]:
    """The province, cities and counties the actor sets rules for, from above."""
    query = select(Region).where(Region.level.in_(LEVELS)).order_by(func.length(Region.code), Region.code)
    return [one for one in session.scalars(query) if may_set_for(actor, one.code)]


def _check_place(session: Session, actor: Actor, region_code: str | None) -> None:
    actor.require(Permission.MANAGE_QUOTA_RULES)
    region = session.get(Region, region_code) if region_code else None
    if region_code and (region is None or region.level not in LEVELS):
        raise Refused("unknown_region", N_("请选择全国、省、市或县"), field="region_code")
    if not may_set_for(actor, region_code):
        raise Forbidden("not_your_place", N_("只能设置本辖区的规则"))


def _check_percent(session: Session, region_code: str | None, year: int, percent_bp: int) -> None:
    if not 0 < percent_bp <= 10_000:
        raise Refused("rule_percent", N_("预留比例须大于零、不超过百分之百"), field="percent_bp")
    if region_code is None:
        return
    above = [
        row
        for row in session.scalars(rules_in_force().where(ReservedQuotaRule.year <= year)).unique()
        if row.region_code != region_code and region_code.startswith(row.region_code or "")
    ]
    nearest = max(above, key=lambda row: (len(row.region_code or ""), row.year), default=None)
    if nearest is not None and percent_bp < nearest.percent_bp:
        raise Refused(
            "rule_under_floor",
            N_("不能低于上级规定的 %(floor)s%%"),
            field="percent_bp",
            floor=format_rate(nearest.percent_bp),
        )


def _known_categories(session: Session, codes: Sequence[str]) -> list[str]:
    known = set(session.scalars(select(Category.code).where(Category.code.in_(codes))))
    if set(codes) - known:
        raise Refused("unknown_category", N_("请从列表中选择品类"), field="category_codes")
    return sorted(known)


def _versions(session: Session, region_code: str | None, year: int) -> int:
    place = (
        ReservedQuotaRule.region_code == region_code
        if region_code
        else ReservedQuotaRule.region_code.is_(None)
    )
    query = select(func.max(ReservedQuotaRule.version)).where(place, ReservedQuotaRule.year == year)
    return session.scalar(query) or 0
