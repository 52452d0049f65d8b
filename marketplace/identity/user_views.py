"""The accounts of others: a cooperative's manager adds colleagues, the operator looks after every account."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.core.errors import DomainError
from marketplace.identity import colleagues, queries
from marketplace.identity.access import current_actor, current_passwords, requires
from marketplace.identity.forms import RoleField, RolesForm, UserForm, UserSearchForm
from marketplace.identity.models import Organisation, Role, User
from marketplace.identity.permissions import Permission
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("users", __name__, url_prefix="/users")
managers = requires(Permission.MANAGE_USERS, Permission.MANAGE_COOPERATIVE)


def _offer(field: RoleField, organisation: Organisation | None) -> None:
    given = colleagues.roles_given_by(current_actor(), organisation)
    field.choices = [SelectChoice(role.value, label(role)) for role in given]


def _ticked(field: RoleField) -> list[Role]:
    return [Role(code) for code in field.data or []]


def _user(user_no: str) -> User:
    return queries.user_by_no(current_session(), current_actor(), user_no)


@bp.get("")
@managers
def index() -> ResponseReturnValue:
    """The accounts the actor looks after."""
    form = UserSearchForm(request.args)
    form.role.choices = [
        SelectChoice("", _("全部")),
        *(SelectChoice(role.value, label(role)) for role in Role),
    ]
    role = Role(form.role.data) if form.validate() and form.role.data else None
    rows = queries.users_managed_by(current_actor(), text=form.q.data or "", role=role)
    page = page_of(current_session(), rows)
    return render_template("identity/users.html", form=form, page=page)


@bp.route("/new", methods=["GET", "POST"])
@managers
def add() -> ResponseReturnValue:
    """Open an account for a colleague, or as the operator in any organisation (`?organisation=`)."""
    session, actor = current_session(), current_actor()
    organisation = queries.organisation_by_no(session, actor, request.args.get("organisation"))
    form = UserForm()
    _offer(form.roles, organisation)
    if form.validate_on_submit():
        try:
            user, password = colleagues.add_user(
                session,
                actor,
                current_passwords(),
                organisation=organisation,
                login_name=form.login_name.data or "",
                display_name=form.display_name.data or "",
                roles=_ticked(form.roles),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            return render_template("identity/password_once.html", user=user, password=password, is_new=True)
    page = render_template("identity/user_new.html", form=form, organisation=organisation)
    return page, 422 if form.errors else 200


@bp.route("/<user_no>", methods=["GET", "POST"])
@managers
def show(user_no: str) -> ResponseReturnValue:
    """One account: its duties, a new password, closing it."""
    user = _user(user_no)
    form = RolesForm(data={"roles": [role.value for role in user.role_codes]})
    _offer(form.roles, user.organisation)
    if form.validate_on_submit():
        try:
            colleagues.change_roles(current_session(), current_actor(), user, roles=_ticked(form.roles))
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("岗位已更新"), "success")
            return redirect(url_for("users.show", user_no=user_no))
    page = render_template("identity/user.html", form=form, user=user)
    return page, 422 if form.errors else 200


@bp.post("/<user_no>/password")
@managers
def reset_password(user_no: str) -> ResponseReturnValue:
    """A new temporary password, on the answering page and never again."""
    user = _user(user_no)
    password = colleagues.reset_password(current_session(), current_actor(), current_passwords(), user)
    return render_template("identity/password_once.html", user=user, password=password, is_new=False)


@bp.post("/<user_no>/disable")
@managers
def disable(user_no: str) -> ResponseReturnValue:
    """Close an account."""
    colleagues.disable_user(current_session(), current_actor(), _user(user_no))
    flash(_("账号已停用，不能再登录"), "success")
    return redirect(url_for("users.show", user_no=user_no))


@bp.post("/<user_no>/enable")
@managers
def enable(user_no: str) -> ResponseReturnValue:
    """Open a closed account again."""
    colleagues.enable_user(current_session(), current_actor(), _user(user_no))
    flash(_("账号已恢复，可以登录"), "success")
    return redirect(url_for("users.show", user_no=user_no))
