"""Reading cooperatives: the own application and what it still lacks, and what the public may see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session

from marketplace.core.crypto import DataKey
from marketplace.core.errors import NotFound, Refused
from marketplace.core.labels import N_, NN_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.registry.models import (
    Cooperative,
    CooperativeMember,
    CooperativeState,
    FiveOnesEvidence,
    FiveOnesItem,
    MemberRole,
    Region,
)
from marketplace.registry.queries import acknowledged_counts
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.web.tasks import Task

BANK_COLUMN = "cooperative.bank_account"
SMALL_COUNT = 5
PUBLIC_STATES = (CooperativeState.ADMITTED, CooperativeState.SUSPENDED)


class ApplicationStep(LabelledEnum):
    """The pages of the application, in their order."""

    FACTS = "facts", N_("基本情况")
    MEMBERS = "members", N_("成员构成")
    FIVE_ONES = "five_ones", N_("五个一")
    CHECK = "check", N_("核对提交")


@dataclass(frozen=True)
class Missing:
    """One thing an application still lacks: a Chinese source string, the page and the place on it."""

    code: str
    message: str
    step: ApplicationStep
    anchor: str
    params: dict[str, Any] = field(default_factory=dict)


def cooperative_of(session: Session, actor: Actor) -> Cooperative | None:
    """The cooperative the actor works for."""
    return session.get(Cooperative, actor.cooperative_id) if actor.cooperative_id else None


def own_cooperative(session: Session, actor: Actor) -> Cooperative:
    """The same. Raises NotFound when there is none."""
    cooperative = cooperative_of(session, actor)
    if cooperative is None:
        raise NotFound
    return cooperative


def admitted_cooperative_of(session: Session, actor: Actor) -> Cooperative:
    """The actor's cooperative, once it may sell. Raises NotFound without one, Refused before it is admitted."""
    cooperative = own_cooperative(session, actor)
    if cooperative.state is not CooperativeState.ADMITTED:
        raise Refused("not_admitted", N_("合作社通过准入审核后才能办理这项业务"))
    return cooperative


def members_of(session: Session, cooperative_id: int) -> list[CooperativeMember]:
    """The members with a role, in the order they were entered; the rule bounds their number."""
    query = select(CooperativeMember).where(CooperativeMember.cooperative_id == cooperative_id)
    return list(session.scalars(query.order_by(CooperativeMember.id)))


def five_ones_of(session: Session, cooperative_id: int) -> dict[FiveOnesItem, FiveOnesEvidence]:
    """The evidence recorded so far, by item."""
    query = select(FiveOnesEvidence).where(FiveOnesEvidence.cooperative_id == cooperative_id)
    return {row.item: row for row in session.scalars(query)}


def evidence_files_of(
    session: Session, evidence: dict[FiveOnesItem, FiveOnesEvidence]
) -> dict[int, StoredFile]:
    """The files behind the evidence, by id, in one statement."""
    wanted = [row.file_id for row in evidence.values() if row.file_id]
    return {row.id: row for row in session.scalars(select(StoredFile).where(StoredFile.id.in_(wanted)))}


def missing_parts(session: Session, cooperative: Cooperative) -> list[Missing]:
    """Everything the application lacks before it can be submitted, in the order of its pages."""
    members = members_of(session, cooperative.id)
    evidence = five_ones_of(session, cooperative.id)
    return [
        *_missing_facts(cooperative),
        *_missing_members(members),
        *_missing_evidence(evidence),
    ]


def _missing_facts(cooperative: Cooperative) -> Iterator[Missing]:
    if cooperative.bank_account_sealed is None:
        yield Missing("bank_account", N_("还没有填写银行账号"), ApplicationStep.FACTS, "bank_account")
    if not cooperative.story:
        yield Missing("story", N_("还没有填写合作社介绍"), ApplicationStep.FACTS, "story")


def _missing_members(members: list[CooperativeMember]) -> Iterator[Missing]:
    held = {member.role for member in members}
    for role in MemberRole:
        if role not in held:
            yield Missing(
                f"role_{role}",
                N_("还没有登记“%(role)s”的成员，每种角色至少一人"),
                ApplicationStep.MEMBERS,
                "add",
                {"role": role},
            )
    for member in members:
        if member.role is MemberRole.LEADING_CADRE and not member.related_party:
            yield Missing(
                "related_party",
                N_("村干部%(name)s还没有申报关联关系"),
                ApplicationStep.MEMBERS,
                "members",
                {"name": member.name},
            )


def _missing_evidence(evidence: dict[FiveOnesItem, FiveOnesEvidence]) -> Iterator[Missing]:
    for item in FiveOnesItem:
        row = evidence.get(item)
        if row is None:
            message = N_("“%(item)s”还没有填写")
        elif row.file_id is None:
            message = N_("“%(item)s”还没有上传证明材料")
        else:
            continue
        yield Missing(f"item_{item}", message, ApplicationStep.FIVE_ONES, item.value, {"item": item})


def last_entry_case(session: Session, cooperative: Cooperative) -> ReviewCase | None:
    """The latest round of the review of the application."""
    return last_case_of(session, ReviewKind.COOPERATIVE_ENTRY, cooperative.id)


def bank_account_tail(data_key: DataKey, cooperative: Cooperative) -> str:
    """The last four digits of the account, to recognise it by; empty when there is none."""
    if cooperative.bank_account_sealed is None:
        return ""
    context = f"{BANK_COLUMN}:{cooperative.public_no}"
    return data_key.open(cooperative.bank_account_sealed, context=context)[-4:]


def entry_subject(session: Session, case: ReviewCase) -> tuple[str, dict[str, Any]]:
    """What a reviewer sees of an application: the template of the part, and its context."""
    cooperative = session.get_one(Cooperative, case.subject_id)
    evidence = five_ones_of(session, cooperative.id)
    context = {
        "cooperative": cooperative,
        "members": members_of(session, cooperative.id),
        "items": list(FiveOnesItem),
        "evidence": evidence,
        "files": evidence_files_of(session, evidence),
    }
    return "registry/cooperatives/subject.html", context


def admitted_cooperatives(county_code: str = "") -> Select[Cooperative]:
    """The cooperatives that may sell, those of a county when one is named, by place and name."""
    query = select(Cooperative).where(Cooperative.state == CooperativeState.ADMITTED)
    if county_code:
        query = query.where(Cooperative.county_code == county_code)
    return query.order_by(Cooperative.county_code, Cooperative.name)


def counties_of_cooperatives(session: Session) -> list[Region]:
    """The counties that have an admitted cooperative."""
    having = select(Cooperative.county_code).where(Cooperative.state == CooperativeState.ADMITTED)
    return list(session.scalars(select(Region).where(Region.code.in_(having)).order_by(Region.code)))


def public_cooperative(session: Session, cooperative_no: str) -> Cooperative:
    """A cooperative with a page open to the public: admitted, or suspended since. Raises NotFound."""
    query = select(Cooperative).where(
        Cooperative.public_no == cooperative_no, Cooperative.state.in_(PUBLIC_STATES)
    )
    cooperative = session.scalar(query)
    if cooperative is None:
        raise NotFound
    return cooperative


def public_household_counts(session: Session, cooperative_ids: list[int]) -> dict[int, int | None]:
    """How many households each cooperative took in; None where fewer than five would point at someone."""
    counts = acknowledged_counts(session, cooperative_ids)
    return {one: count if (count := counts.get(one, 0)) >= SMALL_COUNT else None for one in cooperative_ids}


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What a manager's own application waits for."""
    cooperative = cooperative_of(session, actor)
    if cooperative is None or not actor.can(Permission.MANAGE_COOPERATIVE):
        return []
    if cooperative.state is not CooperativeState.DRAFT:
        return []
    case = last_entry_case(session, cooperative)
    if case is not None and case.state is CaseState.RETURNED:
        return [Task(NN_("%(count)s 份入驻申请被退回，请补正后重新提交"), 1, "cooperatives.check")]
    missing = len(missing_parts(session, cooperative))
    if missing:
        return [Task(NN_("入驻申请还有 %(count)s 项没有填完"), missing, "cooperatives.check")]
    return [Task(NN_("%(count)s 份入驻申请已填好，等您提交"), 1, "cooperatives.check")]


def cooperatives_within(actor: Actor) -> Select[int]:
    """The ids of the cooperatives in the jurisdiction of the actor's office; none without an office."""
    if not actor.region_code:
        return select(Cooperative.id).where(false())
    return select(Cooperative.id).where(
        Cooperative.county_code.startswith(actor.region_code[:6], autoescape=True)
    )
