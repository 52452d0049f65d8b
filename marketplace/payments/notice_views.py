"""The operator's page of the gateway's notices: every one that came, what became of it, and applying it again."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import Conflict
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.models import NoticeOutcome
from marketplace.payments.replaying import REPLAYABLE, counts_of_notices, notices_of, replay_notice
from marketplace.web.errors import explain
from marketplace.web.jobs import nudge
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("notices", __name__)


@bp.get("/cashier/notices")
@requires(Permission.MATCH_BANK_LINES, Permission.READ_AUDIT)
def index() -> ResponseReturnValue:
    """Every notice, the latest first; `?outcome=` those of one outcome."""
    session = current_session()
    wanted = next((one for one in NoticeOutcome if one.value == request.args.get("outcome")), None)
    counts = counts_of_notices(session)
    tabs = [
        {
            "label": _("全部"),
            "url": url_for(".index"),
            "active": wanted is None,
            "count": sum(counts.values()),
        }
    ]
    tabs += [
        {
            "label": label(outcome),
            "url": url_for(".index", outcome=outcome.value),
            "active": outcome is wanted,
            "count": counts.get(outcome, 0),
        }
        for outcome in NoticeOutcome
    ]
    page = page_of(session, notices_of(wanted))
    may_replay = current_actor().can(Permission.MATCH_BANK_LINES)
    return render_template(
        "payments/notices.html", page=page, tabs=tabs, replayable=REPLAYABLE if may_replay else ()
    )


@bp.post("/cashier/notices/<event_id>/replay")
@requires(Permission.MATCH_BANK_LINES)
def replay(event_id: str) -> ResponseReturnValue:
    """Apply a notice again."""
    try:
        replay_notice(current_session(), current_actor(), current_app.extensions["gateway"], event_id)
    except Conflict as error:
        flash(explain(error), "error")
    else:
        nudge("apply notices")
        flash(_("已放回待处理，马上重新处理"), "success")
    return redirect(url_for(".index"), 303)
