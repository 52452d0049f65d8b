"""A cooperative applies, names its members by role, shows its 五个一, and is admitted."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import VISITOR, actor_of
from marketplace.identity.models import Organisation, OrganisationKind, Role, StoredFile, TrailEntry
from marketplace.identity.rules import keep_file
from marketplace.registry.cooperatives.queries import (
    admitted_cooperative_of,
    admitted_cooperatives,
    bank_account_tail,
    last_entry_case,
    missing_parts,
    public_cooperative,
    public_household_counts,
    tasks_of,
)
from marketplace.registry.cooperatives.rules import (
    add_cooperative_member,
    apply_cooperative,
    apply_entry_outcome,
    change_application,
    change_profile,
    record_five_ones,
    remove_cooperative_member,
    reopen_application,
    submit_application,
)
from marketplace.registry.models import (
    Cooperative,
    CooperativeMember,
    CooperativeState,
    EnrolmentState,
    FiveOnesEvidence,
    FiveOnesItem,
    MemberRole,
)
from marketplace.registry.reviews.models import CaseState, Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.rules import close_notices, decide_step
from tests.factories.identity import UserFactory, actor_with
from tests.factories.registry import (
    OTHER_COUNTY_VILLAGE,
    VILLAGE,
    BuyerUnitFactory,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    actor_at,
    credit_code,
    user_of,
)
from tests.factories.reviews import default_steps, reviewers

OUTCOMES = {ReviewKind.COOPERATIVE_ENTRY: apply_entry_outcome}
FACTS = {
    "name": "乐安县鳌溪油茶专业合作社",
    "uscc": credit_code(900_001),
    "county_code": "361025",
    "village_code": VILLAGE,
    "legal_person": "罗春生",
    "phone": "13812345678",
    "bank_account": "6228 4800 1234 5678 901",
    "story": "我们在鳌溪村种了三十年油茶。",
}
PNG = b"\x89PNG\r\n\x1a\n a drawing"


@pytest.fixture
def village(session, clock):
    return RegionFactory()


@pytest.fixture
def applicant(session):
    return UserFactory(granted=())


def applied(session, data_key, applicant, **facts):
    return apply_cooperative(session, actor_of(applicant), data_key, **{**FACTS, **facts})


def complete(session, files, cooperative):
    """Everything a submission needs; the manager's actor."""
    actor = actor_of(user_of(cooperative))
    for role in MemberRole:
        add_cooperative_member(
            session, actor, cooperative, role=role, name=f"成员{role.label}", related_party="无"
        )
    file = keep_file(session, actor, files, content=PNG, name="证明.png", media_type="image/png", sealed=True)
    for item in FiveOnesItem:
        record_five_ones(session, actor, cooperative, item=item, note="见附件", file=file)
    return actor


def draft(**facts):
    return CooperativeFactory(state=CooperativeState.DRAFT, admitted_at=None, story="我们种油茶。", **facts)


# --- applying ---


def test_a_stranger_applies_and_becomes_the_manager(session, village, data_key, applicant):
    cooperative = applied(session, data_key, applicant)
    assert (cooperative.state, cooperative.county_code, cooperative.uscc) == (
        CooperativeState.DRAFT,
        "361025",
        FACTS["uscc"],
    )
    assert applicant.organisation.kind is OrganisationKind.COOPERATIVE
    assert (applicant.organisation_id, applicant.organisation.region_code) == (cooperative.id, "361025")
    assert applicant.role_codes == {Role.COOPERATIVE_MANAGER}
    assert (
        session.query(TrailEntry).filter_by(action="registry.apply_cooperative").one().cooperative_id
        == cooperative.id
    )


def test_the_bank_account_is_sealed_and_found_by_its_keyed_hash(session, village, data_key, applicant):
    cooperative = applied(session, data_key, applicant)
    assert b"622848" not in cooperative.bank_account_sealed
    assert bank_account_tail(data_key, cooperative) == "8901"
    same = data_key.blind_index("6228480012345678901", column="cooperative.bank_account")
    assert session.scalar(select(Cooperative).where(Cooperative.bank_account_index == same)) == cooperative


@pytest.mark.parametrize(
    ("facts", "field", "code"),
    [
        ({"uscc": FACTS["uscc"][:17]}, "uscc", "uscc_length"),
        ({"uscc": FACTS["uscc"][:-1] + ("0" if FACTS["uscc"][-1] != "0" else "1")}, "uscc", "uscc_check"),
        ({"uscc": credit_code(5, kind="91")}, "uscc", "uscc_not_cooperative"),
        ({"uscc": "I" * 18}, "uscc", "uscc_characters"),
        ({"village_code": "361025999999"}, "village_code", "unknown_village"),
        ({"village_code": "361025100"}, "village_code", "unknown_village"),
        ({"village_code": OTHER_COUNTY_VILLAGE}, "village_code", "village_elsewhere"),
        ({"county_code": ""}, "village_code", "village_elsewhere"),
        ({"name": "社"}, "name", "name_form"),
        ({"name": "合作社 13812345678"}, "name", "personal_number_in_public_text"),
        ({"legal_person": ""}, "legal_person", "legal_person_form"),
        ({"phone": "1234"}, "phone", "mobile_form"),
        ({"bank_account": "12345"}, "bank_account", "bank_account_form"),
        ({"bank_account": ""}, "bank_account", "bank_account_form"),
        ({"story": "电话 13812345678"}, "story", "personal_number_in_public_text"),
        ({"story": "长" * 2001}, "story", "story_too_long"),
    ],
)
def test_each_wrong_fact_is_refused_at_its_field(session, village, data_key, applicant, facts, field, code):
    RegionFactory(code=OTHER_COUNTY_VILLAGE)
    with pytest.raises(Refused) as refusal:
        applied(session, data_key, applicant, **facts)
    assert (refusal.value.field, refusal.value.code) == (field, code)
    assert session.query(Cooperative).count() == 0
    assert session.query(Organisation).count() == 0
    assert applicant.role_codes == frozenset()


def test_a_credit_code_is_registered_once(session, village, data_key, applicant):
    CooperativeFactory(uscc=FACTS["uscc"])
    with pytest.raises(Refused) as refusal:
        applied(session, data_key, applicant)
    assert (refusal.value.field, refusal.value.code) == ("uscc", "uscc_taken")
    assert session.query(Cooperative).count() == 1
    with pytest.raises(IntegrityError):
        CooperativeFactory(uscc=FACTS["uscc"])


def test_nobody_applies_without_an_account_or_from_within_an_organisation(session, village, data_key):
    with pytest.raises(Forbidden):
        apply_cooperative(session, VISITOR, data_key, **FACTS)
    for member in (user_of(CooperativeFactory()), user_of(BuyerUnitFactory())):
        with pytest.raises(Conflict):
            apply_cooperative(session, actor_of(member), data_key, **FACTS)
    assert session.scalar(select(Cooperative).where(Cooperative.uscc == FACTS["uscc"])) is None


def test_facts_are_corrected_in_draft_and_an_empty_account_keeps_the_former(
    session, village, data_key, applicant
):
    cooperative = applied(session, data_key, applicant)
    RegionFactory(code=OTHER_COUNTY_VILLAGE)
    changed = {**FACTS, "name": "遂川县水南油茶专业合作社", "bank_account": ""}
    changed |= {"county_code": "360827", "village_code": OTHER_COUNTY_VILLAGE, "phone": "0796-6321234"}
    change_application(session, actor_of(applicant), data_key, cooperative, **changed)
    assert cooperative.organisation.name == cooperative.name == "遂川县水南油茶专业合作社"
    assert (cooperative.county_code, cooperative.county.name) == ("360827", "遂川县")
    assert cooperative.phone == "07966321234"
    assert bank_account_tail(data_key, cooperative) == "8901"


# --- members and the checklist ---


def test_a_cadre_without_a_disclosure_of_relations_is_not_taken(session):
    cooperative = draft()
    with pytest.raises(Refused) as refusal:
        add_cooperative_member(
            session,
            actor_at(cooperative),
            cooperative,
            role=MemberRole.LEADING_CADRE,
            name="王主任",
            related_party=" ",
        )
    assert (refusal.value.code, refusal.value.field) == ("related_party_missing", "related_party")
    assert session.query(CooperativeMember).count() == 0


def test_a_person_is_named_once_in_a_role(session):
    cooperative = draft()
    actor = actor_at(cooperative)
    add_cooperative_member(session, actor, cooperative, role=MemberRole.VILLAGER, name="李 四")
    with pytest.raises(Refused):
        add_cooperative_member(session, actor, cooperative, role=MemberRole.VILLAGER, name=" 李  四 ")
    add_cooperative_member(session, actor, cooperative, role=MemberRole.PARTY_MEMBER, name="李 四")
    assert session.query(CooperativeMember).count() == 2


def test_a_member_of_another_cooperative_cannot_be_removed(session):
    cooperative, other = draft(), draft()
    who = {"role": MemberRole.VILLAGER, "name": "李四"}
    add_cooperative_member(session, actor_at(other), other, **who)
    with pytest.raises(NotFound):
        remove_cooperative_member(session, actor_at(cooperative), cooperative, **who)
    with pytest.raises(NotFound):
        remove_cooperative_member(session, actor_at(cooperative), other, **who)
    assert session.query(CooperativeMember).count() == 1
    remove_cooperative_member(session, actor_at(other), other, **who)
    assert session.query(CooperativeMember).count() == 0


def test_an_item_keeps_its_file_when_only_the_words_change(session, files):
    cooperative = draft()
    actor = actor_at(cooperative)
    file = keep_file(session, actor, files, content=PNG, name="证明.png", media_type="image/png")
    item = FiveOnesItem.LEADING_INDUSTRY
    record_five_ones(session, actor, cooperative, item=item, note="油茶", file=file)
    evidence = record_five_ones(session, actor, cooperative, item=item, note="油茶一千亩")
    assert (evidence.note, evidence.file_id) == ("油茶一千亩", file.id)
    assert session.query(FiveOnesEvidence).count() == 1


def test_evidence_needs_words_and_a_file_of_the_own_organisation(session, files):
    cooperative, other = draft(), draft()
    foreign = keep_file(session, actor_at(other), files, content=PNG, name="别家.png", media_type="image/png")
    actor = actor_at(cooperative)
    with pytest.raises(Refused):
        record_five_ones(session, actor, cooperative, item=FiveOnesItem.SUPPORT_TEAM, note=" ")
    with pytest.raises(NotFound):
        record_five_ones(session, actor, cooperative, item=FiveOnesItem.SUPPORT_TEAM, note="有", file=foreign)
    assert session.query(FiveOnesEvidence).count() == 0


# --- submitting ---


def test_an_empty_application_lists_everything_it_lacks(session):
    cooperative = CooperativeFactory(state=CooperativeState.DRAFT, admitted_at=None)
    missing = missing_parts(session, cooperative)
    assert [part.code for part in missing] == [
        "bank_account",
        "story",
        *(f"role_{role}" for role in MemberRole),
        *(f"item_{item}" for item in FiveOnesItem),
    ]
    assert [part.anchor for part in missing[-5:]] == [item.value for item in FiveOnesItem]


@pytest.mark.parametrize("left_out", list(MemberRole))
def test_each_role_of_members_is_asked_for(session, files, village, data_key, applicant, left_out):
    default_steps()
    cooperative = applied(session, data_key, applicant)
    actor = complete(session, files, cooperative)
    member = session.query(CooperativeMember).filter_by(role=left_out).one()
    remove_cooperative_member(session, actor, cooperative, role=left_out, name=member.name)
    assert [part.code for part in missing_parts(session, cooperative)] == [f"role_{left_out}"]
    with pytest.raises(Refused) as refusal:
        submit_application(session, actor, cooperative)
    assert refusal.value.code == "application_incomplete"
    assert (cooperative.state, session.query(ReviewCase).count()) == (CooperativeState.DRAFT, 0)


def test_words_without_a_document_are_not_enough(session, files, village, data_key, applicant):
    cooperative = applied(session, data_key, applicant)
    complete(session, files, cooperative)
    session.query(FiveOnesEvidence).filter_by(item=FiveOnesItem.SUPPORT_TEAM).one().file_id = None
    assert [part.code for part in missing_parts(session, cooperative)] == ["item_support_team"]


def test_a_submitted_application_waits_for_its_village_and_cannot_be_changed(
    session, files, village, data_key, applicant
):
    default_steps()
    cooperative = applied(session, data_key, applicant)
    actor = complete(session, files, cooperative)
    case = submit_application(session, actor, cooperative)
    assert cooperative.state is CooperativeState.UNDER_REVIEW
    assert (case.region_code, case.title, case.opened_by) == (VILLAGE, cooperative.name, actor.user_id)
    for change in (
        lambda: submit_application(session, actor, cooperative),
        lambda: change_application(session, actor, data_key, cooperative, **FACTS),
        lambda: add_cooperative_member(session, actor, cooperative, role=MemberRole.VILLAGER, name="后来的"),
        lambda: record_five_ones(session, actor, cooperative, item=FiveOnesItem.SUPPORT_TEAM, note="换了"),
    ):
        with pytest.raises(Conflict):
            change()
    assert session.query(ReviewCase).count() == 1
    assert session.query(CooperativeMember).count() == len(MemberRole)


def test_a_returned_application_is_mended_and_goes_round_again_with_its_history(
    session, files, village, data_key, applicant
):
    default_steps()
    people = reviewers()
    cooperative = applied(session, data_key, applicant)
    actor = complete(session, files, cooperative)
    first = submit_application(session, actor, cooperative)
    decide_step(
        session, people.village, first, decision=Decision.RETURN, comment="请补名册", outcomes=OUTCOMES
    )
    assert cooperative.state is CooperativeState.DRAFT
    assert [task.count for task in tasks_of(session, actor)] == [1]
    add_cooperative_member(session, actor, cooperative, role=MemberRole.VILLAGER, name="补上的村民")
    second = submit_application(session, actor, cooperative)
    assert first.state is CaseState.RETURNED
    assert last_entry_case(session, cooperative) == second
    decide_step(session, people.village, second, decision=Decision.PASS, outcomes=OUTCOMES)
    assert second.current_position == 2


def test_the_end_of_the_review_admits_the_cooperative(session, files, village, data_key, applicant, clock):
    default_steps()
    people = reviewers()
    cooperative = applied(session, data_key, applicant)
    actor = complete(session, files, cooperative)
    with pytest.raises(Refused):
        admitted_cooperative_of(session, actor)
    case = submit_application(session, actor, cooperative)
    decide_step(session, people.village, case, decision=Decision.PASS, outcomes=OUTCOMES)
    decide_step(session, people.township, case, decision=Decision.PASS, outcomes=OUTCOMES)
    clock.advance(days=8)
    close_notices(session, outcomes=OUTCOMES)
    decide_step(session, people.county, case, decision=Decision.PASS, outcomes=OUTCOMES)
    assert (cooperative.state, cooperative.admitted_at) == (CooperativeState.ADMITTED, clock.now)
    assert admitted_cooperative_of(session, actor) == cooperative
    assert tasks_of(session, actor) == []


def test_a_refused_application_may_begin_again(session, village):
    cooperative = CooperativeFactory(state=CooperativeState.REJECTED, admitted_at=None)
    reopen_application(session, actor_at(cooperative), cooperative)
    assert cooperative.state is CooperativeState.DRAFT
    with pytest.raises(Conflict):
        reopen_application(session, actor_at(cooperative), cooperative)


def test_only_its_manager_works_on_an_application(session, data_key, village):
    cooperative = draft()
    clerk = actor_at(cooperative, Role.COOPERATIVE_CLERK)
    stranger = actor_at(CooperativeFactory())
    for actor, error in ((clerk, Forbidden), (stranger, NotFound), (actor_with(Role.OPERATOR), Forbidden)):
        for work in (
            lambda who: change_application(session, who, data_key, cooperative, **FACTS),
            lambda who: add_cooperative_member(
                session, who, cooperative, role=MemberRole.VILLAGER, name="外人"
            ),
            lambda who: record_five_ones(
                session, who, cooperative, item=FiveOnesItem.SUPPORT_TEAM, note="有"
            ),
            lambda who: submit_application(session, who, cooperative),
            lambda who: change_profile(session, who, cooperative, story="改了", phone="13812345678"),
        ):
            with pytest.raises(error):
                work(actor)
    assert (cooperative.story, session.query(CooperativeMember).count()) == ("我们种油茶。", 0)
    assert session.query(StoredFile).count() == 0


# --- the public page ---


def test_fewer_than_five_households_are_not_counted_in_public(session):
    few, some = CooperativeFactory(), CooperativeFactory()
    for cooperative, count in ((few, 4), (some, 5)):
        for _ in range(count):
            EnrolmentFactory(cooperative=cooperative)
    EnrolmentFactory(cooperative=few, state=EnrolmentState.PROPOSED)
    assert public_household_counts(session, [few.id, some.id]) == {few.id: None, some.id: 5}


def test_only_admitted_cooperatives_are_listed_and_none_under_review_has_a_page(session):
    admitted, elsewhere = (
        CooperativeFactory(),
        CooperativeFactory(place=RegionFactory(code=OTHER_COUNTY_VILLAGE)),
    )
    hidden = [
        CooperativeFactory(state=state)
        for state in CooperativeState
        if state is not CooperativeState.ADMITTED
    ]
    assert session.scalars(admitted_cooperatives()).all() == [elsewhere, admitted]
    assert session.scalars(admitted_cooperatives("361025")).all() == [admitted]
    assert public_cooperative(session, admitted.public_no) == admitted
    for cooperative in hidden:
        if cooperative.state is CooperativeState.SUSPENDED:
            continue
        with pytest.raises(NotFound):
            public_cooperative(session, cooperative.public_no)
    with pytest.raises(NotFound):
        public_cooperative(session, "C-0000000000")
