"""A manager adds colleagues; the operator looks after every account; nobody else does."""

from __future__ import annotations

import pytest

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity import colleagues
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry, User
from marketplace.identity.passwords import Passwords
from marketplace.identity.queries import (
    organisation_by_no,
    token_by_secret,
    user_by_no,
    users_managed_by,
)
from marketplace.identity.rules import issue_token
from tests.factories.identity import UserFactory, actor_with, official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of

HASHER = Passwords.with_costs(1, 8)


def add(session, actor, organisation, *roles, login_name="new.person"):
    return colleagues.add_user(
        session,
        actor,
        HASHER,
        organisation=organisation,
        login_name=login_name,
        display_name="新同事",
        roles=roles,
    )


def test_a_manager_adds_a_clerk_who_signs_in_with_the_password_shown_once(session):
    cooperative = CooperativeFactory()
    user, password = add(session, actor_at(cooperative), cooperative.organisation, Role.COOPERATIVE_CLERK)
    assert user.role_codes == {Role.COOPERATIVE_CLERK}
    assert user.organisation_id == cooperative.id
    assert user.password_is_temporary
    assert HASHER.matches(user.password_hash, password)
    entry = session.query(TrailEntry).filter_by(action="identity.add_user").one()
    assert (entry.subject_no, entry.cooperative_id, entry.detail) == (
        user.public_no,
        cooperative.id,
        {"roles": "cooperative_clerk"},
    )


@pytest.mark.parametrize(
    ("roles", "code"),
    [
        ((), "role_missing"),
        ((Role.OPERATOR,), "role_elsewhere"),
        ((Role.COOPERATIVE_CLERK, Role.AUDITOR), "role_elsewhere"),
    ],
)
def test_a_manager_gives_no_role_from_outside_the_cooperative(session, roles, code):
    cooperative = CooperativeFactory()
    actor = actor_at(cooperative)
    with pytest.raises(Refused) as refusal:
        add(session, actor, cooperative.organisation, *roles)
    assert refusal.value.code == code
    assert session.query(User).filter_by(login_name="new.person").count() == 0


def test_a_manager_cannot_reach_into_another_cooperative(session):
    actor, other = actor_at(CooperativeFactory()), CooperativeFactory()
    stranger = user_of(other)
    with pytest.raises(NotFound):
        add(session, actor, other.organisation, Role.COOPERATIVE_CLERK)
    for change in (
        lambda: colleagues.change_roles(session, actor, stranger, roles=[Role.COOPERATIVE_CLERK]),
        lambda: colleagues.reset_password(session, actor, HASHER, stranger),
        lambda: colleagues.disable_user(session, actor, stranger),
        lambda: user_by_no(session, actor, stranger.public_no),
    ):
        with pytest.raises(NotFound):
            change()
    assert stranger.role_codes == {Role.COOPERATIVE_MANAGER}
    assert stranger.disabled_at is None
    assert stranger.session_version == 1


@pytest.mark.parametrize("role", [r for r in Role if r not in (Role.COOPERATIVE_MANAGER, Role.OPERATOR)])
def test_nobody_else_looks_after_accounts(session, role):
    cooperative = CooperativeFactory()
    colleague = user_of(cooperative)
    actor = actor_of(UserFactory(granted=(role,), organisation=cooperative.organisation))
    with pytest.raises(NotFound):
        colleagues.disable_user(session, actor, colleague)
    assert session.scalars(users_managed_by(actor)).all() == []


def test_nobody_changes_their_own_duties_or_disables_themselves(session):
    cooperative = CooperativeFactory()
    manager = user_of(cooperative)
    actor = actor_of(manager)
    with pytest.raises(Forbidden):
        colleagues.change_roles(session, actor, manager, roles=[Role.COOPERATIVE_CLERK])
    with pytest.raises(Forbidden):
        colleagues.disable_user(session, actor, manager)
    assert manager.role_codes == {Role.COOPERATIVE_MANAGER}
    assert manager.disabled_at is None


def test_new_duties_replace_the_former_ones_of_the_organisation_and_leave_others(session):
    cooperative = CooperativeFactory()
    clerk = user_of(cooperative, Role.COOPERATIVE_CLERK, Role.STAFF_BUYER)
    colleagues.change_roles(session, actor_at(cooperative), clerk, roles=[Role.COOPERATIVE_MANAGER])
    session.expire(clerk)
    assert clerk.role_codes == {Role.COOPERATIVE_MANAGER, Role.STAFF_BUYER}


def test_an_auditor_holds_no_other_duty(session):
    auditor = official_with(Role.AUDITOR)
    with pytest.raises(Refused) as refusal:
        colleagues.change_roles(
            session, actor_with(Role.OPERATOR), auditor, roles=[Role.AUDITOR, Role.COUNTY_REVIEWER]
        )
    assert refusal.value.code == "auditor_only"
    assert auditor.role_codes == {Role.AUDITOR}


def test_the_operator_adds_people_to_a_buyer_unit_with_several_duties(session):
    unit = BuyerUnitFactory()
    user, _password = add(
        session, actor_with(Role.OPERATOR), unit.organisation, Role.UNIT_ORDERER, Role.UNIT_APPROVER
    )
    assert user.role_codes == {Role.UNIT_ORDERER, Role.UNIT_APPROVER}


def test_a_disabled_account_is_closed_once_and_opened_again(session):
    cooperative = CooperativeFactory()
    actor, clerk = actor_at(cooperative), user_of(cooperative, Role.COOPERATIVE_CLERK)
    before = clerk.get_id()
    colleagues.disable_user(session, actor, clerk)
    assert clerk.disabled_at is not None
    assert clerk.get_id() != before
    with pytest.raises(Conflict):
        colleagues.disable_user(session, actor, clerk)
    colleagues.enable_user(session, actor, clerk)
    assert clerk.disabled_at is None
    with pytest.raises(Conflict):
        colleagues.enable_user(session, actor, clerk)


def test_a_reset_password_ends_the_sessions_and_the_old_password(session):
    cooperative = CooperativeFactory()
    clerk = user_of(cooperative, Role.COOPERATIVE_CLERK)
    old = clerk.password_hash
    token, secret = issue_token(session, actor_of(clerk), name="手机")
    password = colleagues.reset_password(session, actor_at(cooperative), HASHER, clerk)
    assert clerk.password_hash != old
    assert clerk.session_version == 2
    assert clerk.password_is_temporary
    session.refresh(token)
    assert (token.revoked_at is not None, token_by_secret(session, secret)) == (True, None)
    assert HASHER.matches(clerk.password_hash, password)


def test_a_temporary_password_is_readable_and_never_the_same():
    passwords = {colleagues.temporary_password() for _ in range(50)}
    assert len(passwords) == 50
    assert all(len(p) == 14 and not set(p) & set("01ilo") for p in passwords)


def test_a_forged_organisation_number_is_not_found(session):
    cooperative, other = CooperativeFactory(), CooperativeFactory()
    actor = actor_at(cooperative)
    with pytest.raises(NotFound):
        organisation_by_no(session, actor, other.organisation.public_no)
    assert organisation_by_no(session, actor, None) == cooperative.organisation
    operator = actor_with(Role.OPERATOR)
    assert organisation_by_no(session, operator, other.organisation.public_no) == other.organisation
    with pytest.raises(NotFound):
        organisation_by_no(session, operator, "G-0000000000")
