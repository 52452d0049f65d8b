"""Opening the account of a household. Whoever opens it knows the first password only until the household signs in."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.colleagues import temporary_password
from marketplace.identity.models import Role, User
from marketplace.identity.passwords import Passwords
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import register_user
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Household


def open_household_account(
    session: Session, actor: Actor, passwords: Passwords, household: Household, *, login_name: str
) -> tuple[User, str]:
    """Open the account of a household of the actor's village; return it with its temporary password.

    Raises NotFound outside the village, Conflict when the household has an account, Refused for a bad login name.
    """
    actor.require(Permission.VOUCH_FOR_HOUSEHOLDS)
    if not actor.region_code or not household.village_code.startswith(actor.region_code):
        raise NotFound
    if household.user_id is not None:
        raise Conflict("household_has_account", N_("这户已经有账号，忘记密码请联系平台重置"))
    password = temporary_password()
    user = register_user(
        session,
        passwords,
        login_name=login_name,
        display_name=household.head_name,
        password=password,
        roles=(Role.HOUSEHOLD,),
        password_is_temporary=True,
    )
    household.user_id = user.id
    session.flush()
    record_trail(
        session,
        actor,
        "registry.open_household_account",
        subject=("household", household.public_no),
        household_id=household.id,
        county_code=household.county_code,
    )
    return user, password
