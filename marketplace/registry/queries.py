"""Reading the registry: places, households, their status in both times, enrolments, and what waits for whom.

Who sees which household is decided here, once: `households_visible_to`. Rosters, cooperatives and reviews have queries
of their own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import Select, and_, case, exists, false, func, or_, select, true
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.models import TrailEntry
from marketplace.identity.permissions import Permission
from marketplace.registry.models import (
    BeneficiaryPolicy,
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdMember,
    HouseholdStatus,
    HouseholdStatusKind,
    Region,
    RegionLevel,
)
from marketplace.web.tasks import Task

PREFIX_LENGTHS = (6, 4, 2)
COMMITTEE = re.compile("(村民委员会|村委会|社区居民委员会|社区居委会|居民委员会|居委会|社区|村)$")
SEEN_BY_COOPERATIVE = (EnrolmentState.PROPOSED, EnrolmentState.ACKNOWLEDGED, EnrolmentState.ENDED)


# --- places ---


def region_by_code(session: Session, code: str, *, level: RegionLevel | None = None) -> Region:
    """The place with that code, of that level when one is named. Raises NotFound."""
    region = session.get(Region, code)
    if region is None or (level and region.level is not level):
        raise NotFound
    return region


def region_path(session: Session, code: str) -> list[Region]:
    """The place and everything above it, from the province down; empty for an unknown code."""
    prefixes = [code[:length] for length in (2, 4, 6, 9, 12) if length <= len(code)]
    return list(
        session.scalars(select(Region).where(Region.code.in_(prefixes)).order_by(func.length(Region.code)))
    )


def children_of(session: Session, code: str) -> list[Region]:
    """The places directly below `code`: at most some hundreds."""
    return list(session.scalars(select(Region).where(Region.parent_code == code).order_by(Region.code)))


def counties(session: Session, *, only_key: bool = False, only_pilot: bool = False) -> list[Region]:
    """The counties of the province; the key poverty counties or the pilots alone when asked."""
    query = select(Region).where(Region.level == RegionLevel.COUNTY).order_by(Region.code)
    if only_key:
        query = query.where(Region.is_key_county)
    if only_pilot:
        query = query.where(Region.is_pilot)
    return list(session.scalars(query))


def found_regions(
    session: Session,
    text: str,
    *,
    level: RegionLevel = RegionLevel.VILLAGE,
    within: str = "",
    limit: int = 20,
) -> list[Region]:
    """Places of a level that the typed `text` may mean, the likeliest first: a code, or parts of the full name.

    "鳌溪村", "乐安 鳌溪" and "鳌溪村民委员会" all find 抚州市乐安县鳌溪镇鳌溪村委会.
    """
    words = [COMMITTEE.sub("", word) or word for word in text.split()]
    if not words:
        return []
    query = select(Region).where(Region.level == level, Region.code.startswith(within, autoescape=True))
    if len(words) == 1 and words[0].isascii() and words[0].isdigit():
        query = query.where(Region.code.startswith(words[0], autoescape=True))
    else:
        query = query.where(*(Region.full_name.contains(word, autoescape=True) for word in words))
    named_so = case((Region.name.startswith(words[-1], autoescape=True), 0), else_=1)
    return list(session.scalars(query.order_by(named_so, func.length(Region.name), Region.code).limit(limit)))


# --- status, in both times ---


def statuses_on(
    *, valid_on: date, known_at: datetime | None = None, among: Select[int] | None = None
) -> Select[int, HouseholdStatusKind]:
    """household_id and status of every household on the day `valid_on`, as known at `known_at` (now when None).

    Of the statements that cover the day, the one learned of last holds. `among` selects the ids looked at.
    """
    covers = and_(
        HouseholdStatus.valid_from <= valid_on,
        or_(HouseholdStatus.valid_to.is_(None), HouseholdStatus.valid_to > valid_on),
    )
    if known_at is not None:
        covers = and_(covers, HouseholdStatus.known_at <= known_at)
    if among is not None:
        covers = and_(covers, HouseholdStatus.household_id.in_(among))
    last_known = func.row_number().over(
        partition_by=HouseholdStatus.household_id,
        order_by=(HouseholdStatus.known_at.desc(), HouseholdStatus.id.desc()),
    )
    ranked = (
        select(HouseholdStatus.household_id, HouseholdStatus.status, last_known.label("place"))
        .where(covers)
        .subquery()
    )
    return select(ranked.c.household_id, ranked.c.status).where(ranked.c.place == 1)


def statuses_of(
    session: Session, household_ids: Collection[int], *, valid_on: date, known_at: datetime | None = None
) -> dict[int, HouseholdStatusKind]:
    """The status of each of these households, in one statement; households without any are missing."""
    covering = (
        select(HouseholdStatus.household_id, HouseholdStatus.status)
        .where(
            HouseholdStatus.household_id.in_(household_ids),
            HouseholdStatus.valid_from <= valid_on,
            or_(HouseholdStatus.valid_to.is_(None), HouseholdStatus.valid_to > valid_on),
        )
        .order_by(HouseholdStatus.known_at, HouseholdStatus.id)
    )
    if known_at is not None:
        covering = covering.where(HouseholdStatus.known_at <= known_at)
    return dict(session.execute(covering).all())  # of several, the last one stays


def household_status(
    session: Session, household_id: int, *, valid_on: date, known_at: datetime | None = None
) -> HouseholdStatusKind | None:
    """What a household was on the day `valid_on`, as known at the instant `known_at`; None before any statement."""
    return statuses_of(session, [household_id], valid_on=valid_on, known_at=known_at).get(household_id)


def status_history(session: Session, household_id: int, *, limit: int = 100) -> list[HouseholdStatus]:
    """Every statement about a household, the latest learned of first."""
    rows = select(HouseholdStatus).where(HouseholdStatus.household_id == household_id)
    return list(
        session.scalars(
            rows.order_by(HouseholdStatus.known_at.desc(), HouseholdStatus.id.desc()).limit(limit)
        )
    )


# --- beneficiaries: status and policy ---


def counting_statuses(
    session: Session, region_code: str, *, valid_on: date
) -> frozenset[HouseholdStatusKind]:
    """The statuses that count as beneficiaries at a place on a day.

    The nearest jurisdiction with a policy decides, by its rows of the latest year not after the day's.
    """
    prefixes = [region_code[:length] for length in PREFIX_LENGTHS if length <= len(region_code)]
    rows = session.scalars(
        select(BeneficiaryPolicy).where(
            BeneficiaryPolicy.region_code.in_(prefixes), BeneficiaryPolicy.year <= valid_on.year
        )
    ).all()
    newest = max(((len(row.region_code), row.year) for row in rows), default=None)
    return frozenset(row.status for row in rows if (len(row.region_code), row.year) == newest and row.counts)


def beneficiaries_of(
    session: Session, household_ids: Collection[int], *, valid_on: date, known_at: datetime | None = None
) -> frozenset[int]:
    """Those of the households that count as beneficiaries on the day; a handful of statements, whatever the number."""
    statuses = statuses_of(session, household_ids, valid_on=valid_on, known_at=known_at)
    counties = dict(
        session.execute(select(Household.id, Household.county_code).where(Household.id.in_(statuses))).all()
    )
    counting = {
        county: counting_statuses(session, county, valid_on=valid_on) for county in set(counties.values())
    }
    return frozenset(one for one, status in statuses.items() if status in counting[counties[one]])


def is_beneficiary(
    session: Session, household_id: int, *, valid_on: date, known_at: datetime | None = None
) -> bool:
    """Whether the household counts as a beneficiary on the day, as known at `known_at`."""
    return bool(beneficiaries_of(session, [household_id], valid_on=valid_on, known_at=known_at))


# --- households ---


def _sees_household(actor: Actor) -> ColumnElement[bool]:
    """Officials see their jurisdiction, a cooperative whom it proposed or enrolled, a household itself."""
    if actor.cooperative_id and actor.can(Permission.READ_HOUSEHOLDS):
        return exists().where(
            Enrolment.household_id == Household.id,
            Enrolment.cooperative_id == actor.cooperative_id,
            Enrolment.state.in_(SEEN_BY_COOPERATIVE),
        )
    if actor.can(Permission.READ_HOUSEHOLDS):
        reads_everywhere = actor.can(Permission.READ_AUDIT) and not actor.region_code
        return true() if reads_everywhere else _in_jurisdiction(actor)
    if actor.can(Permission.READ_OWN_INCOME):
        return Household.user_id == actor.user_id
    return false()


def _in_jurisdiction(actor: Actor) -> ColumnElement[bool]:
    return (
        Household.village_code.startswith(actor.region_code, autoescape=True)
        if actor.region_code
        else false()
    )


def households_visible_to(actor: Actor) -> Select[Household]:
    """The households the actor may read, in the order of their villages."""
    return (
        select(Household)
        .where(_sees_household(actor))
        .order_by(Household.village_code, Household.registry_no)
    )


def found_households(
    actor: Actor, *, text: str = "", region_code: str = "", status: HouseholdStatusKind | None = None
) -> Select[Household]:
    """Of the visible households, those with exactly this name or register number, in this place, of this status."""
    query = households_visible_to(actor)
    if text:
        is_number = text.isascii() and text.isdigit()
        query = query.where(Household.registry_no == text if is_number else Household.head_name == text)
    if region_code:
        query = query.where(Household.village_code.startswith(region_code, autoescape=True))
    if status:
        now_of = statuses_on(valid_on=today()).subquery()
        query = query.join(now_of, now_of.c.household_id == Household.id).where(now_of.c.status == status)
    return query


def household_by_no(session: Session, actor: Actor, household_no: str) -> Household:
    """One visible household. Raises NotFound."""
    household = session.scalar(households_visible_to(actor).where(Household.public_no == household_no))
    if household is None:
        raise NotFound
    return household


def household_by_either_no(session: Session, actor: Actor, typed: str) -> Household:
    """One visible household by what people type: 10 digits of the register or the public number. Raises NotFound."""
    number = typed.strip().upper()
    household = session.scalar(
        households_visible_to(actor).where(
            or_(Household.registry_no == number, Household.public_no == number)
        )
    )
    if household is None:
        raise NotFound
    return household


def household_of(session: Session, actor: Actor) -> Household | None:
    """The household whose account the actor uses."""
    return (
        session.scalar(select(Household).where(Household.user_id == actor.user_id)) if actor.user_id else None
    )


def may_read_members(session: Session, actor: Actor, household: Household) -> bool:
    """Whether the actor sees the persons of a visible household: a cooperative only once it was acknowledged."""
    if not actor.cooperative_id:
        return True
    enrolment = enrolment_between(session, actor.cooperative_id, household.id)
    return enrolment is not None and enrolment.acknowledged_at is not None


def member_by_no(session: Session, actor: Actor, household_no: str, member_no: str) -> HouseholdMember:
    """A person of a visible household. Raises NotFound."""
    household = household_by_no(session, actor, household_no)
    member = session.scalar(
        select(HouseholdMember).where(
            HouseholdMember.public_no == member_no, HouseholdMember.household_id == household.id
        )
    )
    if member is None:
        raise NotFound
    return member


def reveals_of(session: Session, household: Household, *, limit: int = 20) -> list[TrailEntry]:
    """Who looked at an ID number of the household's, when and why, the latest first."""
    rows = select(TrailEntry).where(
        TrailEntry.household_id == household.id, TrailEntry.action == "registry.reveal_id_number"
    )
    return list(session.scalars(rows.order_by(TrailEntry.id.desc()).limit(limit)))


# --- enrolments ---


def enrolment_between(session: Session, cooperative_id: int, household_id: int) -> Enrolment | None:
    """The enrolment of a household with a cooperative, in whatever state."""
    return session.scalar(
        select(Enrolment).where(
            Enrolment.cooperative_id == cooperative_id, Enrolment.household_id == household_id
        )
    )


def enrolments_visible_to(actor: Actor) -> Select[Enrolment]:
    """Enrolments the actor may read: a cooperative's own, a household's own, those of an official's jurisdiction."""
    condition = _sees_household(actor)
    if actor.cooperative_id:
        reads = actor.can(Permission.READ_HOUSEHOLDS)
        condition = Enrolment.cooperative_id == actor.cooperative_id if reads else false()
    return select(Enrolment).join(Enrolment.household).where(condition).order_by(Enrolment.id.desc())


def enrolment_by_no(session: Session, actor: Actor, enrolment_no: str) -> Enrolment:
    """One visible enrolment. Raises NotFound."""
    enrolment = session.scalar(enrolments_visible_to(actor).where(Enrolment.public_no == enrolment_no))
    if enrolment is None:
        raise NotFound
    return enrolment


def enrolments_of(session: Session, actor: Actor, household: Household) -> list[Enrolment]:
    """The enrolments of a household that the actor may read, the latest first."""
    return list(session.scalars(enrolments_visible_to(actor).where(Enrolment.household_id == household.id)))


def enrolment_counts(session: Session, actor: Actor) -> dict[EnrolmentState, int]:
    """How many visible enrolments there are in each state."""
    visible = enrolments_visible_to(actor).order_by(None).subquery()
    counted = select(visible.c.state, func.count()).group_by(visible.c.state)
    return dict(session.execute(counted).all())


def enrolled_households(cooperative_id: int) -> Select[Household]:
    """The households that acknowledged their enrolment with a cooperative and have not left."""
    return (
        select(Household)
        .join(Enrolment, Enrolment.household_id == Household.id)
        .where(Enrolment.cooperative_id == cooperative_id, Enrolment.state == EnrolmentState.ACKNOWLEDGED)
        .order_by(Household.id)
    )


def acknowledged_counts(session: Session, cooperative_ids: Sequence[int]) -> dict[int, int]:
    """How many households take part in each cooperative."""
    counted = (
        select(Enrolment.cooperative_id, func.count())
        .where(Enrolment.cooperative_id.in_(cooperative_ids), Enrolment.state == EnrolmentState.ACKNOWLEDGED)
        .group_by(Enrolment.cooperative_id)
    )
    return dict(session.execute(counted).all())


# --- what waits ---


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Enrolments that wait for the actor's word: the household's own, or those of a clerk's village."""
    tasks = []
    if actor.can(Permission.READ_OWN_INCOME):
        count = _proposed(session, actor)
        tasks.append(Task(NN_("%(count)s 个合作社请您确认是否加入"), count, "registry.my_enrolments"))
    if actor.can(Permission.VOUCH_FOR_HOUSEHOLDS):
        count = _proposed(session, actor)
        tasks.append(
            Task(
                NN_("%(count)s 户待确认加入合作社"),
                count,
                "registry.enrolments",
                {"state": EnrolmentState.PROPOSED},
            )
        )
    return [task for task in tasks if task.count]


def _proposed(session: Session, actor: Actor) -> int:
    waiting = enrolments_visible_to(actor).where(Enrolment.state == EnrolmentState.PROPOSED).order_by(None)
    return (
        session.scalar(select(func.count()).select_from(waiting.with_only_columns(Enrolment.id).subquery()))
        or 0
    )
