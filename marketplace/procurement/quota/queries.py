"""Reading reserved quotas: which rule holds where, a unit's filings and shared canteen, what waits for its people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, and_, false, func, or_, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import N_, NN_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.procurement.quota.models import (
    CanteenSharing,
    CanteenSharingMember,
    QuotaCover,
    QuotaDecision,
    QuotaFiling,
    ReservedQuotaRule,
)
from marketplace.registry.models import BuyerUnit
from marketplace.registry.queries import PREFIX_LENGTHS
from marketplace.web.tasks import Task

REMIND_DAYS = 60  # before the last day to file


class FilingState(LabelledEnum):
    """Where a filing stands. At most one of a unit and year waits, and at most one is in force."""

    WAITING = "waiting", N_("待确认")
    RETURNED = "returned", N_("已退回")
    IN_FORCE = "in_force", N_("生效中")
    SUPERSEDED = "superseded", N_("已被新版本替代")


# --- rules ---


@dataclass(frozen=True)
class RuleOfYear:
    """A rule as it holds in `year`: its own year, or a later one that has no rule of its own."""

    rule: ReservedQuotaRule
    year: int

    @property
    def due_on(self) -> date:
        """The last day to file for the year."""
        return self.rule.filing_due_on.replace(year=self.year)


def rules_in_force() -> Select[ReservedQuotaRule]:
    """The last version of each place and year: the latest year first, then country, province, city, county."""
    newer = (
        select(
            ReservedQuotaRule.region_code,
            ReservedQuotaRule.year,
            func.max(ReservedQuotaRule.version).label("version"),
        )
        .group_by(ReservedQuotaRule.region_code, ReservedQuotaRule.year)
        .subquery()
    )
    same_place = or_(
        newer.c.region_code == ReservedQuotaRule.region_code,
        and_(newer.c.region_code.is_(None), ReservedQuotaRule.region_code.is_(None)),
    )
    last = and_(
        same_place, newer.c.year == ReservedQuotaRule.year, newer.c.version == ReservedQuotaRule.version
    )
    place = func.coalesce(ReservedQuotaRule.region_code, "")
    return (
        select(ReservedQuotaRule)
        .join(newer, last)
        .order_by(ReservedQuotaRule.year.desc(), func.length(place), place)
    )


def all_versions() -> Select[ReservedQuotaRule]:
    """Every version of every place and year, the newest first, with who recorded it."""
    return (
        select(ReservedQuotaRule)
        .options(joinedload(ReservedQuotaRule.recorder))
        .order_by(ReservedQuotaRule.id.desc())
    )


def rules_for(session: Session, county_codes: Collection[str], year: int) -> dict[str, RuleOfYear]:
    """The rule of each county in a year, in one statement: the nearest place decides, by its latest year up to `year`.

    Counties for which no place has a rule are missing.
    """
    prefixes = {code[:length] for code in county_codes for length in PREFIX_LENGTHS}
    near = or_(ReservedQuotaRule.region_code.in_(prefixes), ReservedQuotaRule.region_code.is_(None))
    query = rules_in_force().where(near, ReservedQuotaRule.year <= year).order_by(None)
    rows = list(session.scalars(query).unique())
    found: dict[str, RuleOfYear] = {}
    for county in county_codes:
        own = [row for row in rows if county.startswith(row.region_code or "")]
        nearest = max(own, key=lambda row: (len(row.region_code or ""), row.year), default=None)
        if nearest is not None:
            found[county] = RuleOfYear(nearest, year)
    return found


def rule_for(session: Session, county_code: str, year: int) -> RuleOfYear | None:
    """The rule that holds for a unit of the county in a year, None when no place has one."""
    return rules_for(session, [county_code], year).get(county_code)


# --- filings ---


def filings_of(unit_id: int, year: int) -> Select[QuotaFiling]:
    """Every version a unit filed for a year, the newest first."""
    return (
        select(QuotaFiling)
        .where(QuotaFiling.unit_id == unit_id, QuotaFiling.year == year)
        .order_by(QuotaFiling.version.desc())
    )


def cover_of(session: Session, unit_id: int, year: int) -> QuotaCover | None:
    """Who files for the unit in a year; None as long as nobody has."""
    return session.get(QuotaCover, (unit_id, year))


def filing_in_force(session: Session, unit_id: int, year: int) -> QuotaFiling | None:
    """The confirmed filing that holds for a unit and year, its own or that of its shared canteen."""
    query = (
        select(QuotaFiling)
        .join(QuotaCover, QuotaCover.filing_id == QuotaFiling.id)
        .where(QuotaCover.unit_id == unit_id, QuotaCover.year == year)
    )
    return session.scalars(query).unique().one_or_none()


def undecided_filing(session: Session, unit_id: int, year: int) -> QuotaFiling | None:
    """What the unit filed for a year and nobody has decided on yet."""
    last = session.scalars(filings_of(unit_id, year).limit(1)).unique().first()
    return last if last is not None and last.decision is None else None


def filing_by_no(session: Session, actor: Actor, filing_no: str) -> QuotaFiling:
    """A filing of the actor's unit, of a canteen it shares, or of the actor's jurisdiction. Raises NotFound."""
    query = select(QuotaFiling).join(BuyerUnit, BuyerUnit.id == QuotaFiling.unit_id)
    query = query.where(QuotaFiling.public_no == filing_no)
    if actor.can(Permission.READ_QUOTAS) and actor.region_code:
        query = query.where(BuyerUnit.county_code.startswith(actor.region_code[:6], autoescape=True))
    elif actor.buyer_unit_id is not None:
        shared = select(CanteenSharingMember.sharing_id).where(
            CanteenSharingMember.unit_id == actor.buyer_unit_id, CanteenSharingMember.agreed_at.is_not(None)
        )
        query = query.where(
            or_(QuotaFiling.unit_id == actor.buyer_unit_id, QuotaFiling.sharing_id.in_(shared))
        )
    else:
        query = query.where(false())
    filing = session.scalars(query).unique().one_or_none()
    if filing is None:
        raise NotFound
    return filing


def state_of(filing: QuotaFiling, in_force: QuotaFiling | None) -> FilingState:
    """Where a filing stands, given the one of its unit and year that is in force."""
    if filing.decision is None:
        return FilingState.WAITING
    if not filing.decision.is_confirmed:
        return FilingState.RETURNED
    is_in_force = in_force is not None and in_force.id == filing.id
    return FilingState.IN_FORCE if is_in_force else FilingState.SUPERSEDED


def waiting_filings(actor: Actor) -> Select[QuotaFiling]:
    """Filings of the actor's unit that wait for an approver other than who filed them."""
    decided = select(QuotaDecision.filing_id)
    return select(QuotaFiling).where(
        QuotaFiling.unit_id == (actor.buyer_unit_id or 0),
        QuotaFiling.filed_by != actor.user_id,
        QuotaFiling.id.not_in(decided),
    )


# --- shared canteens ---


def membership_of(session: Session, unit_id: int, year: int) -> CanteenSharingMember | None:
    """The unit's place in a shared canteen of the year, agreed to or not."""
    query = select(CanteenSharingMember).where(
        CanteenSharingMember.unit_id == unit_id, CanteenSharingMember.year == year
    )
    return session.scalars(query).unique().one_or_none()


def representative_of(sharing: CanteenSharing) -> BuyerUnit:
    """The unit that files for a shared canteen."""
    return next(member.unit for member in sharing.members if member.is_representative)


def covered_units(session: Session, filer_id: int, year: int) -> Sequence[int]:
    """The units whose purchases count towards what `filer_id` filed for a year; the unit itself before it filed."""
    query = select(QuotaCover.unit_id).where(QuotaCover.filer_id == filer_id, QuotaCover.year == year)
    return sorted(session.scalars(query)) or [filer_id]


# --- what waits ---


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What the unit's people are to do about its quota: file in time, confirm, answer an invitation."""
    if actor.buyer_unit_id is None:
        return []
    tasks: list[Task] = []
    if actor.can(Permission.APPROVE_ORDERS):
        waiting = session.scalar(select(func.count()).select_from(waiting_filings(actor).subquery())) or 0
        tasks.append(Task(NN_("%(count)s 份预留份额申报待确认"), waiting, "quota_reports.own"))
    if actor.can(Permission.ORDER_FOR_UNIT):
        tasks += _orderer_tasks(session, actor.buyer_unit_id)
    return [task for task in tasks if task.count]


def _orderer_tasks(session: Session, unit_id: int) -> list[Task]:
    year, membership = today().year, membership_of(session, unit_id, today().year)
    if membership is not None and membership.agreed_at is None:
        return [Task(NN_("%(count)s 个合用食堂邀请待答复"), 1, "quota.sharing")]
    if membership is not None and not membership.is_representative:
        return []
    last = session.scalars(filings_of(unit_id, year).limit(1)).unique().first()
    if last is not None:
        returned = last.decision is not None and not last.decision.is_confirmed
        return (
            [Task(NN_("%(count)s 份预留份额申报被退回，请改正后再报"), 1, "quota.file")] if returned else []
        )
    return _deadline_task(session, session.get_one(BuyerUnit, unit_id), year)


def _deadline_task(session: Session, unit: BuyerUnit, year: int) -> list[Task]:
    rule = rule_for(session, unit.county_code, year)
    if rule is None:
        return []
    left = (rule.due_on - today()).days + 1
    if left <= 0:
        return [Task(NN_("预留份额申报已逾期 %(count)s 天，仍可补报"), 1 - left, "quota.file")]
    if left <= REMIND_DAYS:
        return [Task(NN_("离预留份额申报截止还有 %(count)s 天（含今天）"), left, "quota.file")]
    return [Task(NN_("%(count)s 个年度的预留份额待申报"), 1, "quota.file")]
