"""Payout batches: the list, what a new one would hold, one batch with its file and results, and the printed list."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError, NotFound
from marketplace.core.files import FileStore
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.payouts import queries, results, rules
from marketplace.payments.payouts.files import shipped_layouts
from marketplace.payments.payouts.forms import PlanForm, PrepareForm, ResultForm, layout_name
from marketplace.payments.payouts.jobs import SEND_PAYOUTS
from marketplace.payments.payouts.models import BatchState, PayoutBatch, PayoutState, SheetState
from marketplace.web.downloads import download
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("payouts", __name__, url_prefix="/payouts")
reading = requires(Permission.PREPARE_PAYOUTS, Permission.APPROVE_PAYOUTS, Permission.READ_AUDIT)
preparing = requires(Permission.PREPARE_PAYOUTS)
approving = requires(Permission.APPROVE_PAYOUTS)
acting = requires(Permission.PREPARE_PAYOUTS, Permission.APPROVE_PAYOUTS)
UNPROCESSABLE = 422
LONGEST_LIST = 200
PAYOUTS_A_PAGE = 50
PRINTED = 2_000


def current_files() -> FileStore:
    """The deployment's file store."""
    store: FileStore = current_app.extensions["files"]
    return store


def _batch(batch_no: str) -> PayoutBatch:
    return queries.batch_by_no(current_session(), current_actor(), batch_no)


@bp.app_template_global("explain_row")
def explain_row(finding: dict[str, Any]) -> str:
    """The message of a finding of a sheet in the reader's language."""
    message, params = finding["message"], finding["params"]
    text = str(_(message))
    return text % params if params else text


@bp.app_template_global("layout_name")
def named_layout(layout: dict[str, Any]) -> str:
    """What a layout is called in the reader's language."""
    return layout_name(layout)


@bp.get("")
@reading
def batches() -> ResponseReturnValue:
    """The batches, newest first, and what waits."""
    session, actor = current_session(), current_actor()
    page = page_of(session, queries.batches_visible_to(actor))
    return render_template(
        "payments/payouts/batches.html",
        page=page,
        sums=queries.payout_sums(session, [batch.id for batch in page.rows]),
        tasks=queries.tasks_of(session, actor),
        prepares=actor.can(Permission.PREPARE_PAYOUTS),
    )


@bp.route("/prepare", methods=["GET", "POST"])
@preparing
def prepare() -> ResponseReturnValue:
    """See what a batch would hold, then prepare it."""
    session, actor = current_session(), current_actor()
    scope = queries.scope_of(actor)
    form = PrepareForm()
    asked = PlanForm(request.form if request.method == "POST" else request.args or None)
    asked.offer()
    if not asked.is_submitted() and not request.args:
        asked.layout.data = next(iter(shipped_layouts()))
    is_asked = request.method == "POST" or bool(request.args)
    is_sound = asked.validate() if is_asked else True
    if is_sound and form.validate_on_submit():
        try:
            batch = rules.prepare_batch(
                session,
                actor,
                minimum_fen=asked.minimum.data or 0,
                up_to_on=_day(asked),
                layout_code=asked.layout.data,
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(asked, error)
        else:
            flash(_("已制单，请另一位有复核权限的人复核"), "success")
            return redirect(url_for("payouts.batch", batch_no=batch.public_no), 303)
    plan = None
    if is_sound and asked.minimum.data and asked.layout.data in shipped_layouts():
        plan = queries.plan_of(
            session,
            scope,
            minimum_fen=asked.minimum.data,
            up_to_on=_day(asked),
            layout=shipped_layouts()[asked.layout.data],
        )
    page = render_template(
        "payments/payouts/prepare.html", form=form, asked=asked, plan=plan, most=LONGEST_LIST
    )
    return page, UNPROCESSABLE if asked.errors or form.errors else 200


def _day(form: PlanForm) -> date:
    day = form.up_to_on.data
    if not isinstance(day, date):
        raise NotFound
    return day


@bp.get("/<batch_no>")
@reading
def batch(batch_no: str) -> ResponseReturnValue:
    """One batch: where it stands, what it holds, what the bank said."""
    return _batch_page(_batch(batch_no), ResultForm())


def _batch_page(found: PayoutBatch, form: ResultForm) -> str:
    session, actor = current_session(), current_actor()
    state = PayoutState.known(request.args.get("state", ""))
    own = queries.is_in_scope(actor, found)
    return render_template(
        "payments/payouts/batch.html",
        batch=found,
        form=form,
        state=state,
        sums=queries.payout_sums(session, [found.id])[found.id],
        page=page_of(session, queries.payouts_of(found, state=state), size=PAYOUTS_A_PAGE),
        results=queries.results_of(session, found),
        prepares=own and actor.can(Permission.PREPARE_PAYOUTS),
        approves=own and actor.can(Permission.APPROVE_PAYOUTS) and found.prepared_by != actor.user_id,
        downloads=own,
        corrects=actor.can(Permission.ENROL_HOUSEHOLDS)
        or actor.can(Permission.RECORD_STATUS)
        or actor.can(Permission.VOUCH_FOR_HOUSEHOLDS),
    )


@bp.post("/<batch_no>/approve")
@approving
def approve(batch_no: str) -> ResponseReturnValue:
    """Agree to a batch somebody else prepared; its file is written right after."""
    try:
        rules.approve_batch(current_session(), current_actor(), _batch(batch_no))
    except DomainError as error:
        if isinstance(error, NotFound):
            raise
        current_session().rollback()
        flash(explain(error), "error")
    else:
        nudge(SEND_PAYOUTS)
        flash(_("已复核，银行文件马上生成"), "success")
    return redirect(url_for("payouts.batch", batch_no=batch_no), 303)


@bp.post("/<batch_no>/cancel")
@preparing
def cancel(batch_no: str) -> ResponseReturnValue:
    """Take back a batch nobody has approved."""
    rules.cancel_batch(current_session(), current_actor(), _batch(batch_no))
    flash(_("已撤销，这些款项可以重新制单"), "info")
    return redirect(url_for("payouts.batch", batch_no=batch_no), 303)


@bp.post("/<batch_no>/file")
@acting
def bank_file(batch_no: str) -> ResponseReturnValue:
    """The bank's file; who took it is kept, so it is asked for with a press of a button."""
    found = _batch(batch_no)
    content = rules.open_bank_file(current_session(), current_actor(), current_files(), found)
    media_type = "text/csv" if found.layout["extension"] == "csv" else "text/plain"
    return download(content, media_type, name=f"{found.public_no}.{found.layout['extension']}")


@bp.get("/<batch_no>/list")
@reading
def printed(batch_no: str) -> ResponseReturnValue:
    """The list for the notice board and the file: masked names, last four digits."""
    found, session = _batch(batch_no), current_session()
    payouts = session.scalars(queries.payouts_of(found).limit(PRINTED)).all()
    if found.state is BatchState.CANCELLED:
        raise NotFound
    kept = [payout for payout in payouts if payout.state is not PayoutState.CANCELLED]
    return render_template("payments/payouts/list.html", batch=found, payouts=kept)


@bp.post("/<batch_no>/results")
@preparing
def bring_result(batch_no: str) -> ResponseReturnValue:
    """Bring a result file; the next page shows what it says before anything is taken."""
    form, found = ResultForm(), _batch(batch_no)
    if form.validate_on_submit():
        upload = form.file.data
        try:
            result = results.import_result(
                current_session(),
                current_actor(),
                current_files(),
                found,
                content=upload.read(),
                file_name=upload.filename or "result.csv",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            if result.state is SheetState.TAKEN:
                flash(_("这份文件已经导入过，没有重复办理"), "info")
            address = url_for("payouts.result", batch_no=batch_no, result_no=result.public_no)
            return redirect(address, 303)
    return _batch_page(_batch(batch_no), form), UNPROCESSABLE


@bp.get("/<batch_no>/results/<result_no>")
@acting
def result(batch_no: str, result_no: str) -> ResponseReturnValue:
    """What a result file says: before it is taken against the batch as it stands, afterwards as it was taken."""
    session = current_session()
    found = queries.result_by_no(session, current_actor(), batch_no, result_no)
    examined = None
    if found.state is SheetState.CHECKED:
        examined = results.examine_result(session, current_files(), found)
    findings = [one.as_json() for one in examined.findings[:LONGEST_LIST]] if examined else found.findings
    return render_template(
        "payments/payouts/result.html",
        result=found,
        batch=found.batch,
        examined=examined,
        findings=findings,
        answers=results.Answer,
    )


@bp.post("/<batch_no>/results/<result_no>/take")
@preparing
def take_result(batch_no: str, result_no: str) -> ResponseReturnValue:
    """Take the good rows, all in one."""
    session, actor = current_session(), current_actor()
    found = queries.result_by_no(session, actor, batch_no, result_no)
    try:
        taken = results.take_result(session, actor, current_files(), found)
    except DomainError as error:
        if isinstance(error, NotFound):
            raise
        session.rollback()
        flash(explain(error), "error")
    else:
        message = _(
            "已办理：到账 %(paid)s 笔，失败 %(failed)s 笔", paid=taken.rows_paid, failed=taken.rows_failed
        )
        flash(message, "success")
    return redirect(url_for("payouts.result", batch_no=batch_no, result_no=result_no), 303)
