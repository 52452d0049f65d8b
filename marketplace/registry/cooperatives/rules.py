"""What a cooperative does to be admitted: apply, name its members by role, show its 五个一, submit.

一领办三参与: at least one cadre leads, and capable people, party members, villagers and registered households take
part. Cadres lead by design, so each of them states how they are related to people in office or to other members: "none"
is an answer, silence is not. What is under review cannot be changed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import OrganisationKind, Role, StoredFile, User, UserRole
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import open_organisation
from marketplace.identity.trail import record_trail
from marketplace.registry.cooperatives.queries import BANK_COLUMN, missing_parts
from marketplace.registry.fields import check_bank_account, check_phone, in_field
from marketplace.registry.identifiers import check_cooperative_uscc
from marketplace.registry.models import (
    Cooperative,
    CooperativeMember,
    CooperativeState,
    FiveOnesEvidence,
    FiveOnesItem,
    MemberRole,
    Region,
    RegionLevel,
)
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewKind
from marketplace.registry.reviews.notices import refuse_personal_numbers
from marketplace.registry.reviews.rules import open_review

MAX_MEMBERS = 200
MAX_STORY = 2000
MAX_NOTE = 300
STATE_AFTER = {
    CaseState.PASSED: CooperativeState.ADMITTED,
    CaseState.REJECTED: CooperativeState.REJECTED,
    CaseState.RETURNED: CooperativeState.DRAFT,
}


def apply_cooperative(
    session: Session,
    actor: Actor,
    data_key: DataKey,
    *,
    name: str,
    uscc: str,
    county_code: str,
    village_code: str,
    legal_person: str,
    phone: str,
    bank_account: str,
    story: str = "",
) -> Cooperative:
    """Begin an application: the cooperative in draft, its organisation, and the applicant as its manager.

    For anybody with an account who belongs to no organisation. Raises Conflict when they do, Refused for anything
    malformed (the credit code with the exact reason) or a code that is registered already.
    """
    user = session.get(User, actor.user_id) if actor.user_id else None
    if user is None:
        raise Forbidden
    if user.organisation_id is not None:
        raise Conflict("in_an_organisation", N_("您的账号已属于一个单位，不能再为别的合作社申请"))
    number = in_field("uscc", check_cooperative_uscc, uscc)
    _require_free(session, number, None)
    village = _village(session, county_code, village_code)
    cooperative = Cooperative(public_no=public_no("C"), uscc=number, state=CooperativeState.DRAFT)
    _take_facts(cooperative, data_key, village, name, legal_person, phone, bank_account, story)
    organisation = open_organisation(
        session, kind=OrganisationKind.COOPERATIVE, name=cooperative.name, region_code=village.code[:6]
    )
    cooperative.id = organisation.id
    session.add(cooperative)
    user.organisation = organisation
    user.roles.append(UserRole(role=Role.COOPERATIVE_MANAGER))
    session.flush()
    _trail(session, actor, "registry.apply_cooperative", cooperative)
    return cooperative


def change_application(
    session: Session,
    actor: Actor,
    data_key: DataKey,
    cooperative: Cooperative,
    *,
    name: str,
    uscc: str,
    county_code: str,
    village_code: str,
    legal_person: str,
    phone: str,
    bank_account: str = "",
    story: str = "",
) -> Cooperative:
    """Correct the facts of an application in draft; an empty `bank_account` keeps the former. Raises as apply does."""
    _require_draft(actor, cooperative)
    number = in_field("uscc", check_cooperative_uscc, uscc)
    _require_free(session, number, cooperative.id)
    village = _village(session, county_code, village_code)
    cooperative.uscc = number
    _take_facts(cooperative, data_key, village, name, legal_person, phone, bank_account, story)
    cooperative.organisation.name = cooperative.name
    cooperative.organisation.region_code = village.code[:6]
    session.flush()
    session.expire(cooperative, ["county", "village"])
    _trail(session, actor, "registry.change_application", cooperative)
    return cooperative


def change_profile(
    session: Session, actor: Actor, cooperative: Cooperative, *, story: str, phone: str
) -> Cooperative:
    """Change what is not reviewed: the story on the public page and the telephone number. Raises Refused."""
    _require_own(actor, cooperative)
    cooperative.story = _story(story)
    cooperative.phone = in_field("phone", check_phone, phone)
    session.flush()
    _trail(session, actor, "registry.change_profile", cooperative)
    return cooperative


def add_cooperative_member(
    session: Session,
    actor: Actor,
    cooperative: Cooperative,
    *,
    role: MemberRole,
    name: str,
    position: str = "",
    related_party: str = "",
) -> CooperativeMember:
    """Name a member. Raises Refused for a cadre without a disclosure, or somebody who is named in that role already."""
    _require_draft(actor, cooperative)
    name, position, related_party = (" ".join(text.split()) for text in (name, position, related_party))
    if not 1 <= len(name) <= 60:
        raise Refused("member_name", N_("请填写成员姓名"), field="name")
    if role is MemberRole.LEADING_CADRE and not related_party:
        raise Refused(
            "related_party_missing",
            N_("村干部领办的，必须申报与其他成员、在职干部的亲属或利益关系；没有的请写“无”"),
            field="related_party",
        )
    named = select(CooperativeMember.id).where(
        CooperativeMember.cooperative_id == cooperative.id,
        CooperativeMember.name == name,
        CooperativeMember.role == role,
    )
    if session.scalar(named):
        raise Refused("member_named", N_("%(name)s已经以这个角色登记过"), field="name", name=name)
    count = select(func.count()).where(CooperativeMember.cooperative_id == cooperative.id)
    if (session.scalar(count) or 0) >= MAX_MEMBERS:
        raise Refused(
            "too_many_members", N_("这里最多登记 %(most)s 名成员，请只登记各种角色的代表"), most=MAX_MEMBERS
        )
    member = CooperativeMember(
        cooperative_id=cooperative.id,
        role=role,
        name=name,
        position=position[:60],
        related_party=related_party[:200],
    )
    session.add(member)
    session.flush()
    _trail(session, actor, "registry.add_member", cooperative, role=role.value)
    return member


def remove_cooperative_member(
    session: Session, actor: Actor, cooperative: Cooperative, *, role: MemberRole, name: str
) -> None:
    """Take a member off an application in draft. Raises NotFound when nobody of that name holds that role."""
    _require_draft(actor, cooperative)
    member = session.scalar(
        select(CooperativeMember).where(
            CooperativeMember.cooperative_id == cooperative.id,
            CooperativeMember.role == role,
            CooperativeMember.name == name,
        )
    )
    if member is None:
        raise NotFound
    session.delete(member)
    session.flush()
    _trail(session, actor, "registry.remove_member", cooperative, role=role.value)


def record_five_ones(
    session: Session,
    actor: Actor,
    cooperative: Cooperative,
    *,
    item: FiveOnesItem,
    note: str,
    file: StoredFile | None = None,
) -> FiveOnesEvidence:
    """Show one item of the checklist: in words, and with a document. Without a new file the former one stays.

    Raises Refused without words, NotFound for a file of another organisation.
    """
    _require_draft(actor, cooperative)
    note = note.strip()
    if not 1 <= len(note) <= MAX_NOTE:
        raise Refused("note_missing", N_("请写明具体情况，最多 %(most)s 个字"), field="note", most=MAX_NOTE)
    if file is not None and file.organisation_id != cooperative.id:
        raise NotFound
    known = select(FiveOnesEvidence).where(
        FiveOnesEvidence.cooperative_id == cooperative.id, FiveOnesEvidence.item == item
    )
    evidence = session.scalar(known)
    if evidence is None:
        evidence = FiveOnesEvidence(cooperative_id=cooperative.id, item=item)
        session.add(evidence)
    evidence.note = note
    evidence.file_id = file.id if file else evidence.file_id
    evidence.recorded_at = now()
    session.flush()
    _trail(session, actor, "registry.record_five_ones", cooperative, item=item.value)
    return evidence


def submit_application(session: Session, actor: Actor, cooperative: Cooperative) -> ReviewCase:
    """Put a complete application under review. Raises Refused while anything is missing (see `missing_parts`).

    After a return this opens a new round; the earlier one and its comments stay.
    """
    _require_draft(actor, cooperative)
    missing = missing_parts(session, cooperative)
    if missing:
        raise Refused(
            "application_incomplete", N_("申请还有 %(count)s 项没有完成，请补齐后再提交"), count=len(missing)
        )
    cooperative.state = CooperativeState.UNDER_REVIEW
    cooperative.applied_at = now()
    session.flush()
    return open_review(
        session,
        actor,
        kind=ReviewKind.COOPERATIVE_ENTRY,
        subject_id=cooperative.id,
        title=cooperative.name,
        region_code=cooperative.village_code,
        cooperative_id=cooperative.id,
    )


def reopen_application(session: Session, actor: Actor, cooperative: Cooperative) -> Cooperative:
    """Begin again after a refusal: back to draft, with everything that was entered. Raises Conflict otherwise."""
    _require_own(actor, cooperative)
    if cooperative.state is not CooperativeState.REJECTED:
        raise Conflict("not_rejected", N_("只有未通过的申请才能重新填写"))
    cooperative.state = CooperativeState.DRAFT
    session.flush()
    _trail(session, actor, "registry.reopen_application", cooperative)
    return cooperative


def apply_entry_outcome(session: Session, case: ReviewCase) -> None:
    """What the end of a review of an application means: admitted, refused, or back to be mended."""
    cooperative = session.get_one(Cooperative, case.subject_id)
    cooperative.state = STATE_AFTER[case.state]
    if case.state is CaseState.PASSED:
        cooperative.admitted_at = now()
    session.flush()


def _take_facts(
    cooperative: Cooperative,
    data_key: DataKey,
    village: Region,
    name: str,
    legal_person: str,
    phone: str,
    bank_account: str,
    story: str,
) -> None:
    name, legal_person = " ".join(name.split()), " ".join(legal_person.split())
    if not 4 <= len(name) <= 120:
        raise Refused("name_form", N_("请按营业执照填写合作社全称"), field="name")
    refuse_personal_numbers(name, field="name")
    if not 2 <= len(legal_person) <= 60:
        raise Refused("legal_person_form", N_("请填写法定代表人姓名"), field="legal_person")
    cooperative.name, cooperative.legal_person = name, legal_person
    cooperative.county_code, cooperative.village_code = village.code[:6], village.code
    cooperative.phone = in_field("phone", check_phone, phone)
    cooperative.story = _story(story)
    if bank_account.strip() or cooperative.bank_account_sealed is None:
        _seal_account(cooperative, data_key, bank_account)


def _seal_account(cooperative: Cooperative, data_key: DataKey, bank_account: str) -> None:
    account = in_field("bank_account", check_bank_account, bank_account)
    context = f"{BANK_COLUMN}:{cooperative.public_no}"
    cooperative.bank_account_sealed = data_key.seal(account, context=context)
    cooperative.bank_account_index = data_key.blind_index(account, column=BANK_COLUMN)


def _story(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_STORY:
        raise Refused("story_too_long", N_("介绍最多 %(most)s 个字"), field="story", most=MAX_STORY)
    refuse_personal_numbers(text, field="story")
    return text


def _village(session: Session, county_code: str, village_code: str) -> Region:
    village = session.get(Region, village_code)
    if village is None or village.level is not RegionLevel.VILLAGE:
        raise Refused("unknown_village", N_("请选择合作社所在的村（社区）"), field="village_code")
    if not village.code.startswith(county_code) or len(county_code) != 6:
        raise Refused(
            "village_elsewhere", N_("所选的村不在所选的县（市、区），请重新选择"), field="village_code"
        )
    return village


def _require_free(session: Session, number: str, own_id: int | None) -> None:
    holder = session.scalar(select(Cooperative.id).where(Cooperative.uscc == number))
    if holder is not None and holder != own_id:
        raise Refused(
            "uscc_taken",
            N_("这个统一社会信用代码已经登记。如果是您的合作社，请联系社里的负责人为您开通账号"),
            field="uscc",
        )


def _require_own(actor: Actor, cooperative: Cooperative) -> None:
    actor.require(Permission.MANAGE_COOPERATIVE)
    if cooperative.id != actor.cooperative_id:
        raise NotFound


def _require_draft(actor: Actor, cooperative: Cooperative) -> None:
    _require_own(actor, cooperative)
    if cooperative.state is not CooperativeState.DRAFT:
        raise Conflict("not_in_draft", N_("申请已经提交，审核期间不能修改；被退回后可以补正"))


def _trail(session: Session, actor: Actor, action: str, cooperative: Cooperative, **detail: Any) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("cooperative", cooperative.public_no),
        cooperative_id=cooperative.id,
        county_code=cooperative.county_code,
        **detail,
    )
