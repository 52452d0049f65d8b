"""Accounts: registering, signing in, changing a password, API tokens, keeping uploaded files.

What one person does to the accounts of others is in `colleagues`.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import (
    ApiToken,
    Organisation,
    OrganisationKind,
    Role,
    StoredFile,
    User,
    UserRole,
)
from marketplace.identity.passwords import Passwords
from marketplace.identity.queries import user_by_login
from marketplace.identity.trail import record_trail

LOGIN_FORM = re.compile(r"^[a-z0-9][a-z0-9._-]{3,39}$")
MAX_TOKENS = 10


def register_user(
    session: Session,
    passwords: Passwords,
    *,
    login_name: str,
    display_name: str,
    password: str,
    roles: tuple[Role, ...],
    organisation: Organisation | None = None,
    password_is_temporary: bool = False,
) -> User:
    """Open an account. Raises Refused when the login name is taken or malformed, or the password weak."""
    login_name = login_name.strip().lower()
    if not LOGIN_FORM.match(login_name):
        raise Refused(
            "login_name_form", N_("登录名须为 4 到 40 位小写字母、数字、点、横线或下划线"), field="login_name"
        )
    if user_by_login(session, login_name):
        raise Refused("login_name_taken", N_("这个登录名已被使用，请换一个"), field="login_name")
    user = User(
        login_name=login_name,
        display_name=display_name.strip(),
        password_hash=passwords.hash(password),
        organisation=organisation,
        roles=[UserRole(role=role) for role in roles],
        password_is_temporary=password_is_temporary,
    )
    session.add(user)
    session.flush()
    record_trail(session, actor_of(user), "identity.register", subject=("user", user.public_no))
    return user


def open_organisation(
    session: Session, *, kind: OrganisationKind, name: str, region_code: str
) -> Organisation:
    """Create an organisation; the registry adds what a cooperative or a buyer unit has beyond it."""
    organisation = Organisation(kind=kind, name=name.strip(), region_code=region_code)
    session.add(organisation)
    session.flush()
    return organisation


def sign_in_user(session: Session, passwords: Passwords, *, login_name: str, password: str) -> User:
    """The user with these credentials. Raises Refused with one message for every cause."""
    user = user_by_login(session, login_name)
    if (
        not passwords.matches(user.password_hash if user else None, password)
        or user is None
        or user.disabled_at
    ):
        raise Refused("wrong_credentials", N_("登录名或密码不正确"), field="password")
    record_trail(session, actor_of(user), "identity.sign_in", subject=("user", user.public_no))
    return user


def change_password(
    session: Session, passwords: Passwords, user: User, *, current: str, password: str
) -> None:
    """Replace the password and end every other session.

    Raises Refused when the current one is wrong, or the new one weak or the same.
    """
    if not passwords.matches(user.password_hash, current):
        raise Refused("wrong_password", N_("当前密码不正确"), field="current")
    if password == current:
        raise Refused("same_password", N_("新密码与当前密码相同，请换一个"), field="password")
    user.password_hash = passwords.hash(password)
    user.password_is_temporary = False
    user.session_version += 1
    record_trail(session, actor_of(user), "identity.change_password", subject=("user", user.public_no))


def issue_token(session: Session, actor: Actor, *, name: str) -> tuple[ApiToken, str]:
    """A new API token and its secret, which is shown once. Raises Refused above MAX_TOKENS live tokens."""
    live = select(ApiToken).where(ApiToken.user_id == actor.user_id, ApiToken.revoked_at.is_(None))
    if len(session.scalars(live).all()) >= MAX_TOKENS:
        raise Refused("too_many_tokens", N_("最多同时保留 %(most)s 个令牌，请先停用不用的"), most=MAX_TOKENS)
    secret = secrets.token_urlsafe(32)
    token = ApiToken(
        user_id=actor.user_id, name=name.strip(), token_hash=hashlib.sha256(secret.encode()).digest()
    )
    session.add(token)
    session.flush()
    record_trail(session, actor, "identity.issue_token", subject=("api_token", token.public_no))
    return token, secret


def revoke_token(session: Session, actor: Actor, token_no: str) -> None:
    """End a token of the actor's own. Raises NotFound."""
    token = session.scalar(
        select(ApiToken).where(ApiToken.public_no == token_no, ApiToken.user_id == actor.user_id)
    )
    if token is None:
        raise NotFound
    token.revoked_at = token.revoked_at or now()
    record_trail(session, actor, "identity.revoke_token", subject=("api_token", token.public_no))


def revoke_all_tokens(session: Session, user: User) -> None:
    """End every token of a user whose password was lost."""
    live = update(ApiToken).where(ApiToken.user_id == user.id, ApiToken.revoked_at.is_(None))
    session.execute(live.values(revoked_at=now()))


def put_tour_away(session: Session, user: User) -> None:
    """Do not show the first steps to this user again. Repeating it keeps the first time."""
    user.tour_put_away_at = user.tour_put_away_at or now()
    session.flush()


def keep_file(
    session: Session,
    actor: Actor,
    files: FileStore,
    *,
    content: bytes,
    name: str,
    media_type: str,
    sealed: bool = False,
) -> StoredFile:
    """Keep an uploaded file for the actor's organisation. Raises Refused when it is empty."""
    if not content:
        raise Refused("empty_file", N_("上传的文件是空的，请重新选择"), field="file")
    file = StoredFile(
        address=files.put(content, sealed=sealed),
        sealed=sealed,
        name=name[-200:],
        media_type=media_type[:100],
        size_bytes=len(content),
        uploaded_by=actor.user_id,
        organisation_id=actor.organisation_id,
    )
    session.add(file)
    session.flush()
    return file
