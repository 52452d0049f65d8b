"""The clerk of a village opens a household's account; from then on the household speaks for itself."""

from __future__ import annotations

import re

import pytest

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry, User
from marketplace.identity.passwords import Passwords
from marketplace.registry.accounts.rules import open_household_account
from tests.factories.identity import UserFactory, actor_with, official_with
from tests.factories.registry import NEXT_VILLAGE, HouseholdFactory, user_of_household

HASHER = Passwords.with_costs(1, 8)


def opened(session, actor, household, login_name="chen.da"):
    return open_household_account(session, actor, HASHER, household, login_name=login_name)


def test_a_clerk_opens_the_account_of_a_household_of_the_village(session):
    household = HouseholdFactory()
    user, password = opened(session, actor_with(Role.VILLAGE_REVIEWER), household)
    assert (household.user_id, user.display_name) == (user.id, household.head_name)
    assert (user.role_codes, user.organisation_id) == ({Role.HOUSEHOLD}, None)
    assert user.password_is_temporary
    assert HASHER.matches(user.password_hash, password)
    entry = session.query(TrailEntry).filter_by(action="registry.open_household_account").one()
    assert (entry.household_id, entry.subject_no) == (household.id, household.public_no)


def test_a_household_has_one_account(session):
    household = HouseholdFactory()
    owner = user_of_household(household)
    with pytest.raises(Conflict):
        opened(session, actor_with(Role.VILLAGE_REVIEWER), household)
    assert household.user_id == owner.id
    assert session.query(User).filter_by(login_name="chen.da").count() == 0


def test_nobody_opens_it_from_another_village_or_without_the_duty(session):
    household = HouseholdFactory()
    with pytest.raises(NotFound):
        opened(session, actor_of(official_with(Role.VILLAGE_REVIEWER, NEXT_VILLAGE)), household)
    with pytest.raises(NotFound):
        opened(session, actor_of(UserFactory(granted=(Role.VILLAGE_REVIEWER,))), household)
    for role in (Role.TOWNSHIP_REVIEWER, Role.OPERATOR, Role.COOPERATIVE_MANAGER, Role.AUDITOR):
        with pytest.raises(Forbidden):
            opened(session, actor_with(role), household)
    assert household.user_id is None


def test_a_taken_login_name_is_refused(session):
    UserFactory(login_name="chen.da")
    household = HouseholdFactory()
    with pytest.raises(Refused) as refusal:
        opened(session, actor_with(Role.VILLAGE_REVIEWER), household)
    assert refusal.value.code == "login_name_taken"
    assert household.user_id is None


def test_the_first_password_is_shown_once_and_must_be_changed(client, session):
    household = HouseholdFactory()
    client.sign_in(official_with(Role.VILLAGE_REVIEWER))
    address = f"/households/{household.public_no}/account"
    assert "当面交给户主" in client.get(address).get_data(as_text=True)
    assert client.post(address, data={"login_name": "x"}).status_code == 422
    answer = client.post(address, data={"login_name": "chen.da"})
    password = re.search(r'data-copy="(\w{4}-\w{4}-\w{4})"', answer.get_data(as_text=True))[1]
    assert client.post(address, data={"login_name": "chen.er"}).status_code == 422
    client.post("/sign-out")
    client.post("/sign-in", data={"login_name": "chen.da", "password": password})
    assert client.get("/desk").headers["Location"] == "/account"
    client.sign_in(official_with(Role.VILLAGE_REVIEWER, NEXT_VILLAGE))
    assert client.get(address).status_code == 404
