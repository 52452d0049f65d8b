"""Help: the guide of each role, and the first steps a new reader sees on the desk until they put them away."""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import Markup

from marketplace.core.errors import NotFound
from marketplace.identity import rules
from marketplace.identity.access import current_actor, public, signed_in
from marketplace.identity.guides.queries import read_guide
from marketplace.identity.guides.tours import ABOUT_TRANSFERS, TOURS, Step
from marketplace.identity.models import Role
from marketplace.web.locale import current_locale
from marketplace.web.transaction import current_session

bp = Blueprint("guides", __name__)


@bp.get("/help")
@public
def own() -> ResponseReturnValue:
    """The reader's own guide; a stranger is helped to buy."""
    roles = current_actor().roles
    return redirect(url_for(".guide", name=(min(roles) if roles else Role.STAFF_BUYER).value))


@bp.get("/help/<name>")
@public
def guide(name: str) -> ResponseReturnValue:
    """The guide of one role; all of them are open to everybody."""
    role = Role.known(name)
    if role is None:
        raise NotFound
    found = read_guide(role, current_locale(), address_of=_address_of)
    return render_template(
        "identity/guides/guide.html",
        role=role,
        roles=list(Role),
        title=found.title,
        text=Markup(found.html),  # noqa: S704 - rendered with tags off
        steps=_steps_of(role) if role in current_actor().roles else (),
    )


@bp.post("/help/first-steps/put-away")
@signed_in
def put_away() -> ResponseReturnValue:
    """Do not show the first steps again."""
    rules.put_tour_away(current_session(), current_user)
    flash(_("不再显示，以后在“帮助”里还能看到"), "success")
    return redirect(url_for("reporting.desk"))


def _address_of(name: str) -> str:
    return url_for("static", filename=name)


def _steps_of(role: Role) -> list[Step]:
    hidden = frozenset() if current_app.config["SETTINGS"].bank_transfers else ABOUT_TRANSFERS
    return [
        step
        for step in TOURS[role]
        if step.endpoint in current_app.view_functions and step.endpoint not in hidden
    ]


def first_steps() -> list[Step]:
    """The first steps of who reads, until they are put away; none for a stranger."""
    roles = current_actor().roles
    if not roles or current_user.tour_put_away_at is not None:
        return []
    return _steps_of(min(roles))


def init_guides(app: Flask) -> None:
    """Let the desk ask for the first steps."""
    app.jinja_env.globals["first_steps"] = first_steps
