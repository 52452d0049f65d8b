"""Reading users, tokens, files and the trail."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, contains_eager

from marketplace.core.clock import end_of, start_of
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.models import ApiToken, Organisation, Role, StoredFile, TrailEntry, User, UserRole
from marketplace.identity.permissions import Permission

PROVINCE_DIGITS = 2


def user_by_login(session: Session, login_name: str) -> User | None:
    """The user with that login name, in any letter case."""
    return session.scalar(select(User).where(User.login_name == login_name.strip().lower()))


def user_of_session_id(session: Session, session_id: str) -> User | None:
    """The user a session cookie names, unless disabled or signed out everywhere since."""
    number, _, version = session_id.rpartition(".")
    user = session.scalar(select(User).where(User.public_no == number, User.disabled_at.is_(None)))
    return user if user and str(user.session_version) == version else None


def token_by_secret(session: Session, secret: str) -> ApiToken | None:
    """The valid token that `secret` is."""
    digest = hashlib.sha256(secret.encode()).digest()
    return session.scalar(
        select(ApiToken).where(ApiToken.token_hash == digest, ApiToken.revoked_at.is_(None))
    )


def tokens_of(session: Session, user_id: int) -> list[ApiToken]:
    """A user's tokens, newest first."""
    return list(
        session.scalars(select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.id.desc()))
    )


def own_file(session: Session, actor: Actor, file_no: str) -> StoredFile:
    """A file the actor may read: of the own organisation, or of one on the own line of places for an official.

    An auditor or reviewer of a county reads files from its cooperatives, not from another county's. Raises NotFound.
    """
    row = session.execute(
        select(StoredFile, Organisation.region_code)
        .outerjoin(Organisation, Organisation.id == StoredFile.organisation_id)
        .where(StoredFile.public_no == file_no)
    ).first()
    if row is None:
        raise NotFound
    file, place = row
    is_official = actor.can(Permission.READ_AUDIT) or actor.can(Permission.ANSWER_REVIEWS)
    on_the_line = place is not None and (
        place.startswith(actor.region_code) or actor.region_code.startswith(place)
    )
    is_own = file.organisation_id is not None and file.organisation_id == actor.organisation_id
    if not (is_own or (is_official and on_the_line)):
        raise NotFound
    return file


@dataclass(frozen=True)
class TrailFilter:
    """What to look for in the trail; an empty field looks for everything. Days are Asia/Shanghai, inclusive."""

    person: str = ""
    action: str = ""
    subject_no: str = ""
    from_on: date | None = None
    until_on: date | None = None


def trail_rows(actor: Actor, wanted: TrailFilter | None = None) -> Select[TrailEntry]:
    """The trail, newest first, as far as the actor may read it: a place sees its own, anybody their own deeds."""
    wanted = wanted or TrailFilter()
    query = select(TrailEntry).order_by(TrailEntry.id.desc())
    if not actor.can(Permission.READ_TRAIL):
        query = query.where(TrailEntry.actor_user_id == actor.user_id)
    elif len(actor.region_code) > PROVINCE_DIGITS:
        query = query.where(TrailEntry.county_code.startswith(actor.region_code[:6], autoescape=True))
    if wanted.person:
        query = query.where(TrailEntry.actor_name.contains(wanted.person, autoescape=True))
    if wanted.action:
        query = query.where(TrailEntry.action.startswith(wanted.action, autoescape=True))
    if wanted.subject_no:
        query = query.where(TrailEntry.subject_no == wanted.subject_no.strip().upper())
    if wanted.from_on:
        query = query.where(TrailEntry.at >= start_of(wanted.from_on))
    if wanted.until_on:
        query = query.where(TrailEntry.at < end_of(wanted.until_on))
    return query


def users_managed_by(
    actor: Actor, *, text: str = "", role: Role | None = None, organisation_id: int | None = None
) -> Select[User]:
    """The accounts the actor looks after, by name: all for the operator, the own organisation's for a manager.

    `text` is a part of the person's, the login or the organisation's name.
    """
    query = (
        select(User).outerjoin(User.organisation).options(contains_eager(User.organisation)).order_by(User.id)
    )
    if not actor.can(Permission.MANAGE_USERS):
        own = actor.organisation_id if actor.can(Permission.MANAGE_COOPERATIVE) else None
        query = query.where(User.organisation_id == own) if own else query.where(User.id.is_(None))
    if organisation_id:
        query = query.where(User.organisation_id == organisation_id)
    if text:
        names = (User.display_name, User.login_name, Organisation.name)
        query = query.where(or_(*(name.contains(text.strip(), autoescape=True) for name in names)))
    if role:
        query = query.where(User.roles.any(UserRole.role == role))
    return query


def user_by_no(session: Session, actor: Actor, user_no: str) -> User:
    """An account the actor looks after. Raises NotFound."""
    user: User | None = session.scalar(users_managed_by(actor).where(User.public_no == user_no))
    if user is None:
        raise NotFound
    return user


def organisation_by_no(session: Session, actor: Actor, organisation_no: str | None) -> Organisation:
    """The organisation whose accounts the actor looks after: the own one, or for the operator any. Raises NotFound."""
    query = select(Organisation)
    if organisation_no:
        query = query.where(Organisation.public_no == organisation_no)
    if not actor.can(Permission.MANAGE_USERS) or not organisation_no:
        query = query.where(Organisation.id == actor.organisation_id)
    organisation = session.scalar(query)
    if organisation is None:
        raise NotFound
    return organisation
