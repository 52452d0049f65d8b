"""The operator's page of the search index: what it holds, making it anew, how far that is."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.rebuilds import queries, rules
from marketplace.catalog.rebuilds.jobs import REBUILD
from marketplace.catalog.rebuilds.models import IndexRebuild
from marketplace.catalog.views.storefront import current_engine
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.progress import Progress, progress_answer
from marketplace.web.transaction import current_session

bp = Blueprint("rebuilds", __name__)


def progress_of(rebuild: IndexRebuild) -> Progress:
    """How far an open rebuild is."""
    is_asked = rebuild.cancel_asked_at is not None
    message = N_("正在取消…") if is_asked else rebuild.state.label
    return Progress(message, rebuild.done_count, max(rebuild.total_count, 1), can_stop=not is_asked)


@bp.get("/operations/search")
@requires(Permission.MANAGE_SEARCH)
def index() -> ResponseReturnValue:
    """The state of the index and its rebuilds."""
    session = current_session()
    rebuild = queries.open_rebuild(session)
    return render_template(
        "catalog/rebuilds/index.html",
        status=current_engine().status(),
        engine=current_app.config["SETTINGS"].search,
        waiting=queries.waiting_changes(session),
        rebuild=rebuild,
        progress=progress_of(rebuild) if rebuild else None,
        page=page_of(session, queries.rebuilds()),
    )


@bp.get("/operations/search/progress")
@requires(Permission.MANAGE_SEARCH)
def progress() -> ResponseReturnValue:
    """The part of the page that tells how far the open rebuild is; the page asks for it each second."""
    rebuild = queries.open_rebuild(current_session())
    return progress_answer(progress_of(rebuild) if rebuild else None, url_for(".progress"))


@bp.post("/operations/search/rebuild")
@requires(Permission.MANAGE_SEARCH)
def ask() -> ResponseReturnValue:
    """Have the index made anew."""
    try:
        rules.ask_for_rebuild(current_session(), current_actor())
    except Conflict as refusal:
        flash(_(refusal.message), "warning")
    else:
        nudge(REBUILD)
        flash(_("已安排重建，期间搜索照常可用。"), "success")
    return redirect(url_for("rebuilds.index"))


@bp.post("/operations/search/cancel")
@requires(Permission.MANAGE_SEARCH)
def cancel() -> ResponseReturnValue:
    """Stop the open rebuild."""
    try:
        rules.cancel_rebuild(current_session(), current_actor())
    except Conflict as refusal:
        flash(_(refusal.message), "warning")
    else:
        flash(_("已要求取消，索引保持原样。"), "success")
    return redirect(url_for("rebuilds.index"))
