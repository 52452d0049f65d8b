"""Reading users, tokens, files and the trail."""

from __future__ import annotations

import hashlib

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.models import ApiToken, StoredFile, TrailEntry, User
from marketplace.identity.permissions import Permission


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
    return session.scalar(select(ApiToken).where(ApiToken.token_hash == digest, ApiToken.revoked_at.is_(None)))


def tokens_of(session: Session, user_id: int) -> list[ApiToken]:
    """A user's tokens, newest first."""
    return list(session.scalars(select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.id.desc())))


def own_file(session: Session, actor: Actor, file_no: str) -> StoredFile:
    """A file of the actor's own organisation, or any file for an auditor or reviewer. Raises NotFound."""
    file = session.scalar(select(StoredFile).where(StoredFile.public_no == file_no))
    reads_all = actor.can(Permission.READ_AUDIT) or actor.can(Permission.ANSWER_REVIEWS)
    if file is None or not (reads_all or (file.organisation_id and file.organisation_id == actor.organisation_id)):
        raise NotFound
    return file


def trail_rows(actor: Actor) -> Select[tuple[TrailEntry]]:
    """The trail, newest first, as far as the actor may read it: a county sees its own."""
    query = select(TrailEntry).order_by(TrailEntry.id.desc())
    if not actor.can(Permission.READ_TRAIL):
        query = query.where(TrailEntry.actor_user_id == actor.user_id)
    elif actor.county_code:
        query = query.where(TrailEntry.county_code == actor.county_code)
    return query
