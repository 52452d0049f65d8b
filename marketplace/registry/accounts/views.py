"""The page on which the clerk of a village opens a household's account and hands over its first password."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, current_passwords, requires
from marketplace.identity.permissions import Permission
from marketplace.registry.accounts.forms import HouseholdAccountForm
from marketplace.registry.accounts.rules import open_household_account
from marketplace.registry.queries import household_by_no
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("household_accounts", __name__)


@bp.route("/households/<household_no>/account", methods=["GET", "POST"])
@requires(Permission.VOUCH_FOR_HOUSEHOLDS)
def open_account(household_no: str) -> ResponseReturnValue:
    """Open the account; its temporary password is on the answering page and never again."""
    session, actor = current_session(), current_actor()
    household = household_by_no(session, actor, household_no)
    form = HouseholdAccountForm()
    if form.validate_on_submit():
        try:
            user, password = open_household_account(
                session, actor, current_passwords(), household, login_name=form.login_name.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            return render_template(
                "registry/accounts/opened.html", household=household, user=user, password=password
            )
    page = render_template("registry/accounts/open.html", household=household, form=form)
    return page, 422 if form.errors else 200
