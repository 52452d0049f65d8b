"""Who may open which page: every endpoint carries a decision, and one without is refused.

`@public`, `@signed_in` or `@requires(Permission.X)` on a view. Signing in uses a session cookie; the API also takes
a bearer token. The actor is a plain value made from the user once a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Request, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user

from marketplace.core.clock import now
from marketplace.core.errors import Forbidden
from marketplace.identity.actors import VISITOR, Actor, actor_of
from marketplace.identity.models import User
from marketplace.identity.passwords import Passwords
from marketplace.identity.permissions import Permission
from marketplace.identity.queries import token_by_secret, user_of_session_id
from marketplace.web.errors import problem, wants_json
from marketplace.web.transaction import current_session

View = TypeVar("View", bound=Callable[..., Any])
PUBLIC = "public"
SIGNED_IN = "signed_in"
FRAMEWORK_ENDPOINTS = frozenset({"static"})
WITH_A_TEMPORARY_PASSWORD = frozenset({"identity.account", "identity.sign_out"})


def public(view: View) -> View:
    """Anybody may open this."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def signed_in(view: View) -> View:
    """Anybody with an account may open this."""
    view.access = SIGNED_IN  # type: ignore[attr-defined]
    return view


def requires(*permissions: Permission) -> Callable[[View], View]:
    """Only an actor with one of `permissions` may open this."""

    def mark(view: View) -> View:
        view.access = frozenset(permissions)  # type: ignore[attr-defined]
        return view

    return mark


def current_actor() -> Actor:
    """The actor of this request."""
    actor: Actor = g.get("actor", VISITOR)
    return actor


def current_passwords() -> Passwords:
    """The deployment's password hasher."""
    passwords: Passwords = current_app.extensions["passwords"]
    return passwords


def init_access(app: Flask) -> None:
    """Set up Flask-Login and the check before every request."""
    settings = app.config["SETTINGS"]
    app.extensions["passwords"] = Passwords.with_costs(settings.argon2_time_cost, settings.argon2_memory_kib)
    manager = LoginManager()
    manager.session_protection = "basic"
    manager.user_loader(lambda session_id: user_of_session_id(current_session(), session_id))
    manager.request_loader(_user_of_token)
    manager.init_app(app)
    app.before_request(_decide)
    app.context_processor(lambda: {"actor": current_actor(), "Permission": Permission})


def _user_of_token(asked: Request) -> User | None:
    scheme, _, secret = asked.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        return None
    session = current_session()
    token = token_by_secret(session, secret.strip())
    user = session.get(User, token.user_id) if token else None
    if token is None or user is None or user.disabled_at:
        return None
    if token.last_used_at is None or (now() - token.last_used_at).total_seconds() > 3600:
        token.last_used_at = now()
    return user


def _decide() -> ResponseReturnValue | None:
    if request.endpoint is None or request.endpoint in FRAMEWORK_ENDPOINTS:
        return None
    if current_user.is_authenticated:
        g.actor = actor_of(current_user)
        g.user_no = current_user.public_no
        g.locale = current_user.locale
    access = getattr(current_app.view_functions[request.endpoint], "access", None)
    if access == PUBLIC:
        return None
    if access is None:
        abort(404)
    first = _what_comes_first()
    if first is not None:
        return first
    if access != SIGNED_IN and not any(current_actor().can(permission) for permission in access):
        raise Forbidden
    return None


def _what_comes_first() -> ResponseReturnValue | None:
    """Signing in, or choosing a password of one's own; None when both are done."""
    if not current_user.is_authenticated:
        if wants_json():
            return problem(401, "sign_in_required", "Sign in or send a bearer token.")
        return redirect(
            url_for("identity.sign_in", next=request.full_path if request.method == "GET" else None)
        )
    if current_user.password_is_temporary and request.endpoint not in WITH_A_TEMPORARY_PASSWORD:
        if wants_json():
            return problem(
                403, "password_change_required", "Sign in and choose a password of your own first."
            )
        return redirect(url_for("identity.account"))
    return None
