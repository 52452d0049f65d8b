"""Organisations and people with accounts, of every role.

`UserFactory(granted=(Role.AUDITOR,))` is a user; `actor_with(Role.AUDITOR)` is what a rule takes. A role whose
organisation is a cooperative or a buyer unit has a shorter way in `tests/factories/registry.py`.
"""

from __future__ import annotations

import factory

from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Organisation, OrganisationKind, Role, User, UserRole
from marketplace.identity.passwords import Passwords
from tests.factories.base import RowFactory

PASSWORD = "tea-oil-and-navel-oranges"
HASH = Passwords.with_costs(1, 8).hash(PASSWORD)
GOVERNMENT_ROLES = {
    Role.VILLAGE_REVIEWER: "361025100200",
    Role.TOWNSHIP_REVIEWER: "361025100",
    Role.COUNTY_REVIEWER: "361025",
    Role.AUDITOR: "361025",
    Role.SUPERVISOR: "36",
}


class OrganisationFactory(RowFactory):
    """A body without a row of its own in the registry: a government body unless said otherwise."""

    class Meta:
        model = Organisation

    kind = OrganisationKind.GOVERNMENT
    name = factory.Sequence(lambda n: f"第{n}办公室")
    region_code = "361025"


class UserFactory(RowFactory):
    """A person with an account and the roles `granted`; the password is PASSWORD."""

    class Meta:
        model = User

    class Params:
        granted = (Role.STAFF_BUYER,)

    login_name = factory.Sequence(lambda n: f"person{n}")
    display_name = factory.Sequence(lambda n: f"测试员{n}")
    password_hash = HASH
    organisation = None
    roles = factory.LazyAttribute(lambda user: [UserRole(role=role) for role in user.granted])


def official_with(role: Role, region_code: str | None = None) -> User:
    """A reviewer, auditor, supervisor or operator of the body at `region_code` (by default in 乐安县)."""
    if role is Role.OPERATOR:
        body = OrganisationFactory(kind=OrganisationKind.PLATFORM, name="平台", region_code="36")
    else:
        body = OrganisationFactory(region_code=region_code or GOVERNMENT_ROLES[role])
    user: User = UserFactory(granted=(role,), organisation=body)
    return user


def actor_with(*roles: Role, organisation: Organisation | None = None) -> Actor:
    """The actor that a new user with `roles` is; officials get a body in 乐安县 when none is given."""
    if (
        organisation is None
        and len(roles) == 1
        and (roles[0] in GOVERNMENT_ROLES or roles[0] is Role.OPERATOR)
    ):
        return actor_of(official_with(roles[0]))
    return actor_of(UserFactory(granted=roles, organisation=organisation))
