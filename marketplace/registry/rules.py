"""What may be done to the registry: loading its facts, households and their status, enrolments.

A status is never edited: a later statement overrides an earlier one for the days it covers. A household takes part in
a cooperative only once it, or with a reason its village clerk, has said so. Rosters, cooperatives and reviews have
rules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry import facts, identifiers
from marketplace.registry.models import (
    BeneficiaryPolicy,
    Cooperative,
    CooperativeState,
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdMember,
    HouseholdStatus,
    HouseholdStatusKind,
    Region,
    RegionLevel,
)
from marketplace.registry.queries import counting_statuses, enrolment_between, household_status
from marketplace.registry.reviews.models import ReviewStep
from marketplace.registry.reviews.notices import has_personal_number

ID_COLUMN = "household_member.id_number"
HEAD = "户主"
MAX_REASON = 300
MIN_REASON = 4
MAX_MEMBERS = 30
CLOSED_COOPERATIVES = (CooperativeState.REJECTED, CooperativeState.SUSPENDED)


# --- facts ---


def load_regions(session: Session) -> int:
    """Bring the table of places to the shipped tree; return how many rows were new or changed (0 the second time)."""
    columns = (Region.name, Region.full_name, Region.is_key_county, Region.is_pilot)
    known = {row[0]: tuple(row[1:]) for row in session.execute(select(Region.code, *columns))}
    rows = facts.region_rows()
    new = [row for row in rows if row["code"] not in known]
    changed = [
        {"code": row["code"], **{column.key: row[column.key] for column in columns}}
        for row in rows
        if row["code"] in known and known[row["code"]] != tuple(row[column.key] for column in columns)
    ]
    if new:
        session.execute(insert(Region), new)
    if changed:
        session.execute(update(Region), changed)
    return len(new) + len(changed)


def load_policies(session: Session) -> None:
    """Add the shipped beneficiary policies and review steps where a jurisdiction has none; change nothing."""
    policies = set(session.execute(select(BeneficiaryPolicy.region_code, BeneficiaryPolicy.year)).all())
    session.add_all(
        BeneficiaryPolicy(**row)
        for row in facts.beneficiary_policy_rows()
        if (row["region_code"], row["year"]) not in policies
    )
    steps = set(session.execute(select(ReviewStep.kind, ReviewStep.region_code)).all())
    session.add_all(
        ReviewStep(**row)
        for row in facts.review_step_rows()
        if (row["kind"], row["region_code"]) not in steps
    )
    session.flush()


# --- households ---


@dataclass(frozen=True)
class MemberDraft:
    """A person of a household to register: `person_no` of 12 digits, `id_number` of 18."""

    person_no: str
    name: str
    relation: str
    id_number: str

    @property
    def is_head(self) -> bool:
        """Whether the person is the head."""
        return self.relation.strip() == HEAD


def register_household(
    session: Session,
    actor: Actor,
    data_key: DataKey,
    *,
    registry_no: str,
    head_name: str,
    village_code: str,
    members: Sequence[MemberDraft],
    status: HouseholdStatusKind,
    valid_from: date,
    reason: str,
    phone: str = "",
) -> Household:
    """Enter a household with its persons and its status since `valid_from`.

    For a county reviewer within the county and a cooperative within its own. Raises Refused for malformed or missing
    parts, Conflict for a number or person that is registered already.
    """
    if not (actor.can(Permission.ENROL_HOUSEHOLDS) or actor.can(Permission.RECORD_STATUS)):
        raise Forbidden
    registry_no = identifiers.check_household_no(registry_no)
    village = _village_for(session, actor, village_code)
    heads = [member for member in members if member.is_head]
    if len(heads) != 1 or heads[0].name.strip() != head_name.strip() or len(members) > MAX_MEMBERS:
        raise Refused("head", N_("每户须有且只有一名“户主”，姓名与户主姓名一致"), field="head_name")
    if session.scalar(select(Household.id).where(Household.registry_no == registry_no)):
        raise Conflict("household_registered", N_("这个户编号已经登记过"), field="registry_no")
    household = Household(
        registry_no=registry_no,
        head_name=head_name.strip(),
        village_code=village.code,
        county_code=village.code[:6],
        phone=phone.strip() or None,
    )
    session.add(household)
    session.flush()
    _add_members(session, data_key, household, members)
    _state_status(session, actor, household, status, valid_from, None, reason)
    record_trail(
        session,
        actor,
        "registry.register_household",
        subject=("household", household.public_no),
        household_id=household.id,
        county_code=household.county_code,
        persons=len(members),
    )
    return household


def _village_for(session: Session, actor: Actor, village_code: str) -> Region:
    village = session.get(Region, village_code)
    if village is None or village.level is not RegionLevel.VILLAGE:
        raise Refused("unknown_village", N_("没有这个村，请重新选择"), field="village_code")
    place = (actor.county_code or actor.region_code) if actor.cooperative_id else actor.region_code
    if not place or not village.code.startswith(place):
        raise Refused("village_elsewhere", N_("这个村不在您的县（市、区）范围内"), field="village_code")
    return village


def _add_members(
    session: Session, data_key: DataKey, household: Household, members: Sequence[MemberDraft]
) -> None:
    rows = [_member(data_key, household, draft) for draft in members]
    taken = select(HouseholdMember.id).where(
        or_(
            HouseholdMember.person_no.in_([row.person_no for row in rows]),
            HouseholdMember.id_number_index.in_([row.id_number_index for row in rows]),
        )
    )
    is_twice = len({row.id_number_index for row in rows}) < len(rows) or len(
        {row.person_no for row in rows}
    ) < len(rows)
    if is_twice or session.scalar(taken.limit(1)):
        raise Conflict(
            "person_registered", N_("其中有人已登记在别的户，或重复填写，请核对身份证号和人员编号")
        )
    session.add_all(rows)
    session.flush()


def _member(data_key: DataKey, household: Household, draft: MemberDraft) -> HouseholdMember:
    number = identifiers.parse_resident_id(draft.id_number, on=today()).number
    member_no = public_no("M")
    return HouseholdMember(
        public_no=member_no,
        household_id=household.id,
        person_no=identifiers.check_person_no(draft.person_no),
        name=draft.name.strip(),
        relation=draft.relation.strip(),
        is_head=draft.is_head,
        id_number_sealed=data_key.seal(number, context=f"{ID_COLUMN}:{member_no}"),
        id_number_index=data_key.blind_index(number, column=ID_COLUMN),
    )


def record_status(
    session: Session,
    actor: Actor,
    household: Household,
    *,
    status: HouseholdStatusKind,
    valid_from: date,
    valid_to: date | None = None,
    reason: str,
) -> HouseholdStatus:
    """State what a household is from `valid_from` until before `valid_to` (open when None), known from now on.

    For the county's reviewer. Earlier statements stay, and hold for the days this one does not cover. Raises NotFound
    outside the county, Refused for dates that cannot be, Conflict when the latest statement already says the same.
    """
    actor.require(Permission.RECORD_STATUS)
    if not actor.region_code or not household.village_code.startswith(actor.region_code):
        raise NotFound
    row = _state_status(session, actor, household, status, valid_from, valid_to, reason)
    record_trail(
        session,
        actor,
        "registry.record_status",
        subject=("household", household.public_no),
        household_id=household.id,
        county_code=household.county_code,
        status=status.value,
        valid_from=valid_from.isoformat(),
        valid_to=valid_to.isoformat() if valid_to else None,
    )
    return row


def _state_status(
    session: Session,
    actor: Actor,
    household: Household,
    status: HouseholdStatusKind,
    valid_from: date,
    valid_to: date | None,
    reason: str,
) -> HouseholdStatus:
    if valid_from > today():
        raise Refused("status_in_future", N_("起始日期不能晚于今天"), field="valid_from")
    if valid_to is not None and valid_to <= valid_from:
        raise Refused("status_range", N_("截止日期须晚于起始日期"), field="valid_to")
    last = session.scalar(
        select(HouseholdStatus)
        .where(HouseholdStatus.household_id == household.id)
        .order_by(HouseholdStatus.id.desc())
        .limit(1)
    )
    if last and (last.status, last.valid_from, last.valid_to) == (status, valid_from, valid_to):
        raise Conflict("status_known", N_("最近一次登记的状态和日期与此相同，不必重复提交"))
    row = HouseholdStatus(
        household_id=household.id,
        status=status,
        valid_from=valid_from,
        valid_to=valid_to,
        known_at=now(),
        recorded_by=actor.user_id,
        reason=_reason(reason),
    )
    session.add(row)
    session.flush()
    return row


def reveal_id_number(
    session: Session, actor: Actor, data_key: DataKey, member: HouseholdMember, *, reason: str
) -> str:
    """The ID number of a person the actor may read; who looked, when and why is kept in the trail.

    Raises Forbidden, or Refused without a reason that says something.
    """
    actor.require(Permission.REVEAL_ID_NUMBERS)
    household = session.get_one(Household, member.household_id)
    record_trail(
        session,
        actor,
        "registry.reveal_id_number",
        subject=("household_member", member.public_no),
        household_id=household.id,
        county_code=household.county_code,
        reason=_reason(reason),
    )
    return data_key.open(member.id_number_sealed, context=f"{ID_COLUMN}:{member.public_no}")


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if len(reason) < MIN_REASON:
        raise Refused(
            "reason_missing", N_("请写明原因，至少 %(least)s 个字"), field="reason", least=MIN_REASON
        )
    if len(reason) > MAX_REASON:
        raise Refused("reason_too_long", N_("原因最多 %(most)s 个字"), field="reason", most=MAX_REASON)
    if has_personal_number(reason):
        raise Refused("reason_personal", N_("原因里不要写身份证号或手机号"), field="reason")
    return reason


# --- enrolments ---


def enrol_household(session: Session, actor: Actor, *, household: Household, enrolled_on: date) -> Enrolment:
    """Propose to take a household in from the business day `enrolled_on`; it waits for the household's word.

    A household that declined or left earlier may be asked again. Raises Refused when it does not count as a
    beneficiary on that day, Conflict when it is asked or enrolled already.
    """
    actor.require(Permission.ENROL_HOUSEHOLDS)
    cooperative = session.get(Cooperative, actor.cooperative_id or 0)
    if cooperative is None:
        raise Forbidden
    if cooperative.state in CLOSED_COOPERATIVES:
        raise Refused("cooperative_closed", N_("合作社未通过审核或已暂停，不能再吸收农户"))
    if enrolled_on > today():
        raise Refused("enrolled_in_future", N_("加入日期不能晚于今天"), field="enrolled_on")
    _require_beneficiary(session, household, enrolled_on)
    enrolment = enrolment_between(session, cooperative.id, household.id)
    if enrolment is None:
        enrolment = Enrolment(cooperative_id=cooperative.id, household_id=household.id)
        session.add(enrolment)
    elif enrolment.state in (EnrolmentState.PROPOSED, EnrolmentState.ACKNOWLEDGED):
        raise Conflict("already_enrolled", N_("这户已经提出加入或已是本社成员"), field="registry_no")
    enrolment.state = EnrolmentState.PROPOSED
    enrolment.enrolled_on = enrolled_on
    enrolment.proposed_at = now()
    enrolment.acknowledged_at = enrolment.acknowledged_by = enrolment.ended_on = enrolment.ended_by = None
    enrolment.vouching_reason = enrolment.ending_reason = ""
    session.flush()
    session.refresh(enrolment)
    _trail(session, actor, "registry.enrol", enrolment, enrolled_on=enrolled_on.isoformat())
    return enrolment


def propose_by_number(
    session: Session, actor: Actor, *, registry_no: str, head_name: str, enrolled_on: date
) -> Enrolment:
    """As `enrol_household`, for a household named by its register number and its head: both must be right.

    Raises Refused household_unknown otherwise, so that nobody learns who is registered by trying numbers.
    """
    actor.require(Permission.ENROL_HOUSEHOLDS)
    household = session.scalar(
        select(Household).where(
            Household.registry_no == identifiers.check_household_no(registry_no),
            Household.head_name == head_name.strip(),
        )
    )
    if household is None:
        raise Refused(
            "household_unknown",
            N_("没有找到这户，户编号和户主姓名须与登记一致；还没登记的农户请用名册导入"),
            field="registry_no",
        )
    return enrol_household(session, actor, household=household, enrolled_on=enrolled_on)


def _require_beneficiary(session: Session, household: Household, on: date) -> None:
    status = household_status(session, household.id, valid_on=on)
    if status is None:
        raise Refused("no_status", N_("这户在 %(day)s 还没有登记状态，请先由县级审核员登记"), day=on)
    if status not in counting_statuses(session, household.village_code, valid_on=on):
        raise Refused(
            "not_beneficiary",
            N_("这户在 %(day)s 的状态是“%(status)s”，按当地当年政策不是帮扶对象，不能加入"),
            day=on,
            status=status,
        )


def acknowledge_enrolment(
    session: Session, actor: Actor, enrolment: Enrolment, *, reason: str = ""
) -> Enrolment:
    """Say yes: the household itself, or the clerk of its village with a reason. Repeating it changes nothing.

    Whoever declined may change to yes. Raises NotFound to anybody else, Conflict once the enrolment has ended.
    """
    speaks_itself = _require_say(session, actor, enrolment)
    _lock(session, enrolment)
    if enrolment.state is EnrolmentState.ACKNOWLEDGED:
        return enrolment
    took_back = enrolment.state is EnrolmentState.DECLINED and (
        speaks_itself or enrolment.ended_by == actor.user_id
    )
    if enrolment.state is not EnrolmentState.PROPOSED and not took_back:
        raise Conflict("enrolment_closed", N_("这份加入申请已经结束，请由合作社重新提出"))
    enrolment.vouching_reason = "" if speaks_itself else _reason(reason)
    enrolment.state = EnrolmentState.ACKNOWLEDGED
    enrolment.acknowledged_at = now()
    enrolment.acknowledged_by = actor.user_id
    enrolment.ended_by, enrolment.ending_reason = None, ""
    session.flush()
    _trail(session, actor, "registry.acknowledge_enrolment", enrolment, vouched=not speaks_itself)
    return enrolment


def decline_enrolment(session: Session, actor: Actor, enrolment: Enrolment, *, reason: str) -> Enrolment:
    """Say no to a proposal, with a reason: the household itself or the clerk of its village.

    Raises NotFound to anybody else, Conflict when the proposal was answered already.
    """
    _require_say(session, actor, enrolment)
    _lock(session, enrolment)
    if enrolment.state is not EnrolmentState.PROPOSED:
        raise Conflict("enrolment_answered", N_("这份加入申请已经答复过，请刷新后再看"))
    enrolment.ending_reason = _reason(reason)
    enrolment.state = EnrolmentState.DECLINED
    enrolment.ended_by = actor.user_id
    session.flush()
    _trail(session, actor, "registry.decline_enrolment", enrolment)
    return enrolment


def end_enrolment(session: Session, actor: Actor, enrolment: Enrolment, *, reason: str) -> Enrolment:
    """End an acknowledged enrolment today, with a reason: the household, its village clerk, or the cooperative.

    What was earned stays. Raises NotFound to anybody else, Conflict unless it is acknowledged.
    """
    if not (actor.can(Permission.ENROL_HOUSEHOLDS) and actor.cooperative_id == enrolment.cooperative_id):
        _require_say(session, actor, enrolment)
    _lock(session, enrolment)
    if enrolment.state is not EnrolmentState.ACKNOWLEDGED:
        raise Conflict("not_enrolled", N_("这户现在不是成员，不必办理退出"))
    enrolment.ending_reason = _reason(reason)
    enrolment.state = EnrolmentState.ENDED
    enrolment.ended_on = today()
    enrolment.ended_by = actor.user_id
    session.flush()
    _trail(session, actor, "registry.end_enrolment", enrolment)
    return enrolment


def withdraw_enrolment(session: Session, actor: Actor, enrolment: Enrolment) -> None:
    """Take back a proposal nobody has answered yet: the cooperative's undo. Raises NotFound, Conflict."""
    actor.require(Permission.ENROL_HOUSEHOLDS)
    if actor.cooperative_id != enrolment.cooperative_id:
        raise NotFound
    _lock(session, enrolment)
    if enrolment.state is not EnrolmentState.PROPOSED:
        raise Conflict("enrolment_answered", N_("这份加入申请已经答复过，请刷新后再看"))
    _trail(session, actor, "registry.withdraw_enrolment", enrolment)
    session.delete(enrolment)
    session.flush()


def _require_say(session: Session, actor: Actor, enrolment: Enrolment) -> bool:
    """Whether the actor speaks as the household itself (True) or as its village clerk (False). Raises NotFound."""
    household = session.get_one(Household, enrolment.household_id)
    if actor.user_id is not None and household.user_id == actor.user_id:
        return True
    is_clerk = actor.can(Permission.VOUCH_FOR_HOUSEHOLDS) and actor.region_code
    if not is_clerk or not household.village_code.startswith(actor.region_code):
        raise NotFound
    return False


def _lock(session: Session, enrolment: Enrolment) -> None:
    """Hold the row until the end of the transaction, and look at its present state."""
    session.execute(select(Enrolment.id).where(Enrolment.id == enrolment.id).with_for_update())
    session.refresh(enrolment, ["state", "acknowledged_at", "ended_by"])


def _trail(session: Session, actor: Actor, action: str, enrolment: Enrolment, **detail: str | bool) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("enrolment", enrolment.public_no),
        cooperative_id=enrolment.cooperative_id,
        household_id=enrolment.household_id,
        county_code=enrolment.household.county_code,
        **detail,  # type: ignore[arg-type]
    )
