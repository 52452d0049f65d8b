"""The page auditors ask for exports on."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.audit.exports.forms import ExportForm
from marketplace.audit.exports.sheets import EXPORTS
from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.downloads.views import hand_in
from marketplace.identity.permissions import Permission
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("audit_exports", __name__, url_prefix="/audit/exports")


@bp.route("", methods=["GET", "POST"])
@requires(Permission.READ_AUDIT)
def index() -> ResponseReturnValue:
    """Choose an export and its days; the worker makes it."""
    form = ExportForm(since=today().replace(month=1, day=1), until=today())
    name = request.form.get("export", "")
    if request.method == "GET":
        return render_template("audit/exports.html", form=form)
    if name in EXPORTS and (days := form.days()) is not None:
        since, until = days
        try:
            return hand_in(
                f"audit_{name}",
                params={"since": since.isoformat(), "until": until.isoformat()},
                title=f"{_(EXPORTS[name].label)} {since.isoformat()} — {until.isoformat()}",
                total_count=EXPORTS[name].count(current_session(), current_actor(), since, until),
            )
        except DomainError as error:
            place_error(form, error)
    return render_template("audit/exports.html", form=form), 422
