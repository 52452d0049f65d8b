"""Rules about the accounts of others: a manager adds colleagues, the operator looks after every account.

Which roles may be given follows from the kind of organisation. Nobody changes their own roles or disables
themselves, so an organisation never loses its last manager by accident; an auditor, who changes nothing, holds no
other role. A new password is made here, shown once, and must be changed at the next sign-in.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import Organisation, OrganisationKind, Role, User, UserRole
from marketplace.identity.passwords import Passwords
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import register_user, revoke_all_tokens
from marketplace.identity.trail import record_trail

READABLE = "23456789abcdefghjkmnpqrstuvwxyz"
GROUPS = 3
ROLES_IN: dict[OrganisationKind, tuple[Role, ...]] = {
    OrganisationKind.COOPERATIVE: (Role.COOPERATIVE_MANAGER, Role.COOPERATIVE_CLERK),
    OrganisationKind.BUYER_UNIT: (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER, Role.UNIT_PAYER),
    OrganisationKind.GOVERNMENT: (
        Role.VILLAGE_REVIEWER,
        Role.TOWNSHIP_REVIEWER,
        Role.COUNTY_REVIEWER,
        Role.AUDITOR,
        Role.SUPERVISOR,
    ),
    OrganisationKind.PLATFORM: (Role.OPERATOR,),
}


def temporary_password() -> str:
    """A new random password that is easy to read aloud: `k7m3-9xqw-2m4t` (59 random bits)."""
    groups = ("".join(secrets.choice(READABLE) for _ in range(4)) for _ in range(GROUPS))
    return "-".join(groups)


def roles_given_by(actor: Actor, organisation: Organisation | None) -> tuple[Role, ...]:
    """The roles `actor` may give in `organisation`: the operator everywhere, a manager at home, nobody else."""
    if organisation is None:
        return ()
    at_home = actor.can(Permission.MANAGE_COOPERATIVE) and actor.organisation_id == organisation.id
    return ROLES_IN[organisation.kind] if at_home or actor.can(Permission.MANAGE_USERS) else ()


def add_user(
    session: Session,
    actor: Actor,
    passwords: Passwords,
    *,
    organisation: Organisation,
    login_name: str,
    display_name: str,
    roles: Iterable[Role],
) -> tuple[User, str]:
    """Open an account in `organisation`; return it with its temporary password, which is kept nowhere.

    Raises NotFound for an organisation the actor does not look after, Refused for roles that do not belong there.
    """
    chosen = _checked_roles(actor, organisation, roles)
    if not display_name.strip():
        raise Refused("name_missing", N_("请填写姓名"), field="display_name")
    password = temporary_password()
    user = register_user(
        session,
        passwords,
        login_name=login_name,
        display_name=display_name,
        password=password,
        roles=chosen,
        organisation=organisation,
        password_is_temporary=True,
    )
    _trail(session, actor, "identity.add_user", user)
    return user, password


def change_roles(session: Session, actor: Actor, user: User, *, roles: Iterable[Role]) -> User:
    """Give `user` these roles of the organisation instead of the former ones; others they hold stay.

    Raises NotFound for a user the actor does not look after, Forbidden for oneself, Refused for roles that do not
    belong to the organisation.
    """
    _require_other(actor, user)
    if user.organisation is None:
        raise NotFound
    chosen = _checked_roles(actor, user.organisation, roles)
    for row in [
        row for row in user.roles if row.role in ROLES_IN[user.organisation.kind] and row.role not in chosen
    ]:
        user.roles.remove(row)
    user.roles.extend(UserRole(role=role) for role in chosen if role not in user.role_codes)
    session.flush()
    _trail(session, actor, "identity.change_roles", user)
    return user


def reset_password(session: Session, actor: Actor, passwords: Passwords, user: User) -> str:
    """A new temporary password for a colleague who forgot theirs; ends their sessions and API tokens. Raises as
    change_roles."""
    _require_other(actor, user)
    password = temporary_password()
    user.password_hash = passwords.hash(password)
    user.password_is_temporary = True
    user.session_version += 1
    revoke_all_tokens(session, user)
    _trail(session, actor, "identity.reset_password", user)
    return password


def disable_user(session: Session, actor: Actor, user: User) -> User:
    """Close an account and end its sessions; what the person did stays. Raises as change_roles, or Conflict."""
    _require_other(actor, user)
    if user.disabled_at:
        raise Conflict("already_disabled", N_("这个账号已经停用"))
    user.disabled_at = now()
    user.session_version += 1
    _trail(session, actor, "identity.disable_user", user)
    return user


def enable_user(session: Session, actor: Actor, user: User) -> User:
    """Open a closed account again. Raises as change_roles, or Conflict."""
    _require_other(actor, user)
    if not user.disabled_at:
        raise Conflict("already_enabled", N_("这个账号没有停用"))
    user.disabled_at = None
    _trail(session, actor, "identity.enable_user", user)
    return user


def _checked_roles(actor: Actor, organisation: Organisation, roles: Iterable[Role]) -> tuple[Role, ...]:
    allowed = roles_given_by(actor, organisation)
    if not allowed:
        raise NotFound
    chosen = tuple(dict.fromkeys(roles))
    if not chosen:
        raise Refused("role_missing", N_("请至少选择一个岗位"), field="roles")
    if any(role not in allowed for role in chosen):
        raise Refused("role_elsewhere", N_("所选岗位不属于这个单位，请重新选择"), field="roles")
    if Role.AUDITOR in chosen and len(chosen) > 1:
        raise Refused("auditor_only", N_("核查员只查不办，不能兼任其他岗位"), field="roles")
    return chosen


def _require_other(actor: Actor, user: User) -> None:
    same_body = actor.can(Permission.MANAGE_COOPERATIVE) and actor.organisation_id == user.organisation_id
    if not (same_body or actor.can(Permission.MANAGE_USERS)):
        raise NotFound
    if user.id == actor.user_id:
        raise Forbidden("own_account", N_("不能在这里改动自己的账号，请在“账号与密码”里修改"))


def _trail(session: Session, actor: Actor, action: str, user: User) -> None:
    body = user.organisation
    is_cooperative = body is not None and body.kind is OrganisationKind.COOPERATIVE
    is_unit = body is not None and body.kind is OrganisationKind.BUYER_UNIT
    record_trail(
        session,
        actor,
        action,
        subject=("user", user.public_no),
        cooperative_id=user.organisation_id if is_cooperative else None,
        buyer_unit_id=user.organisation_id if is_unit else None,
        county_code=body.region_code[:6] if body and len(body.region_code) >= 6 else None,
        roles=" ".join(sorted(role.value for role in user.role_codes)),
    )
