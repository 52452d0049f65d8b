"""Refunds on the page: a buyer asks, the cooperative decides, the cashier sends back what no channel sends."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.disputes.queries import undecided_payments
from marketplace.payments.models import PaymentMethod
from marketplace.payments.refunds import queries, rules, sending
from marketplace.payments.refunds.forms import AgreeForm, DeclineForm, RefundForm, SerialForm, form_for
from marketplace.payments.refunds.models import Refund, RefundState
from marketplace.procurement.receiving.forms import uploads_of
from marketplace.procurement.receiving.photos import keep_photos
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("refunds", __name__)
P = Permission
ASKERS = (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT, P.RECEIVE_FOR_UNIT)
READERS = (*ASKERS, P.FULFIL_ORDERS, P.PAY_FOR_UNIT, P.MATCH_BANK_LINES, P.READ_AUDIT)


@bp.route("/orders/<order_no>/parts/<part_no>/refunds", methods=["GET", "POST"])
@requires(*ASKERS)
def ask(order_no: str, part_no: str) -> ResponseReturnValue:
    """Ask money back for lines of a part, and see what was asked before."""
    session, actor = current_session(), current_actor()
    part = queries.part_to_refund(session, actor, order_no, part_no)
    lines = queries.refundable_lines(session, part)
    form = form_for(lines, whole=part.state in queries.BEFORE_SHIPPING)
    if form.validate_on_submit():
        try:
            photos = keep_photos(
                session,
                actor,
                current_app.extensions["files"],
                uploads_of(form.photos),
                field="photos",
            )
            refund = rules.ask_refund(
                session,
                actor,
                part=part,
                quantities=_quantities(form, lines),
                reason=form.reason.data or "",
                idempotency_key=form.idempotency_key.data or "",
                photos=photos,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("退款申请已提交，等待合作社处理"), "success")
            return redirect(url_for(".refund", refund_no=refund.public_no), 303)
    earlier = [one for one in queries.refunds_of_order(session, part.order_id) if one.part_id == part.id]
    page = render_template(
        "payments/refunds/ask.html",
        part=part,
        lines=lines,
        form=form,
        refunds=earlier,
        open=queries.is_refundable(part) and any(one.left for one in lines),
    )
    return page, 422 if form.errors else 200


def _quantities(form: RefundForm, lines: list[queries.Refundable]) -> dict[str, int]:
    numbers = [one.line.public_no for one in lines if one.line.public_no in form]
    return {number: form[number].data or 0 for number in numbers}


@bp.get("/refunds")
@requires(*READERS)
def requests() -> ResponseReturnValue:
    """Refunds the reader may see, by state; a cooperative begins with what it has to decide."""
    actor = current_actor()
    wanted = request.args.get("state", RefundState.ASKED.value if actor.can(P.FULFIL_ORDERS) else "")
    state = RefundState(wanted) if wanted in list(RefundState) else None
    page = page_of(current_session(), queries.refunds_in_state(actor, state))
    counts = queries.refund_counts(current_session(), actor)
    return render_template(
        "payments/refunds/index.html", page=page, state=state, states=RefundState, counts=counts
    )


@bp.get("/refunds/<refund_no>")
@requires(*READERS)
def refund(refund_no: str) -> ResponseReturnValue:
    """One refund, to decide or to print."""
    found = queries.refund_by_no(current_session(), current_actor(), refund_no)
    return _page(found)


def _page(found: Refund, agree: AgreeForm | None = None, decline: DeclineForm | None = None) -> str:
    actor = current_actor()
    decides = found.state is RefundState.ASKED and actor.cooperative_id == found.cooperative_id
    return render_template(
        "payments/refunds/refund.html",
        refund=found,
        sends=actor.can(P.MATCH_BANK_LINES) and queries.waits_for_transfer(found),
        decides=decides and actor.can(P.FULFIL_ORDERS),
        agree_form=agree or AgreeForm(formdata=None),
        decline_form=decline or DeclineForm(formdata=None),
    )


@bp.get("/refunds/<refund_no>/photos/<file_no>")
@requires(*READERS)
def photo(refund_no: str, file_no: str) -> ResponseReturnValue:
    """A photo of a refund, for whoever may see the refund."""
    found = queries.refund_by_no(current_session(), current_actor(), refund_no)
    file = next((one.file for one in found.files if one.file.public_no == file_no), None)
    if file is None:
        raise NotFound
    content = current_app.extensions["files"].read(file.address, sealed=file.sealed)
    response: Response = send_file(BytesIO(content), mimetype=file.media_type, download_name=file.name)
    response.headers["Cache-Control"] = "private, no-store"
    return response


@bp.post("/refunds/<refund_no>/agree")
@requires(P.FULFIL_ORDERS)
def agree(refund_no: str) -> ResponseReturnValue:
    """The cooperative agrees."""
    session, form = current_session(), AgreeForm()
    found = queries.refund_by_no(session, current_actor(), refund_no)
    if not form.validate_on_submit():
        return _page(found, agree=form), 422
    try:
        rules.agree_refund(session, current_actor(), found, note=form.note.data or "")
    except DomainError as error:
        place_error(form, error)
        return _page(queries.refund_by_no(session, current_actor(), refund_no), agree=form), error.status
    if found.method is PaymentMethod.CARD:
        nudge("send refunds")
    flash(_("已同意退款"), "success")
    return redirect(url_for(".refund", refund_no=refund_no), 303)


@bp.post("/refunds/<refund_no>/decline")
@requires(P.FULFIL_ORDERS)
def decline(refund_no: str) -> ResponseReturnValue:
    """The cooperative does not agree."""
    session, form = current_session(), DeclineForm()
    found = queries.refund_by_no(session, current_actor(), refund_no)
    if not form.validate_on_submit():
        return _page(found, decline=form), 422
    try:
        rules.decline_refund(session, current_actor(), found, reason=form.reason.data or "")
    except DomainError as error:
        place_error(form, error)
        return _page(queries.refund_by_no(session, current_actor(), refund_no), decline=form), error.status
    flash(_("已登记不同意，买方会看到理由"), "success")
    return redirect(url_for(".refund", refund_no=refund_no), 303)


@bp.get("/cashier/refunds")
@requires(P.MATCH_BANK_LINES)
def transfers() -> ResponseReturnValue:
    """Money a person has to send back, with where it came from."""
    session = current_session()
    page = page_of(session, queries.refunds_by_hand())
    payers = queries.payers_of(session, [row.payment_id for row in page.rows if row.payment_id])
    form = SerialForm(formdata=None)
    return render_template(
        "payments/refunds/transfers.html",
        page=page,
        payers=payers,
        disputed=undecided_payments(session, [row.payment_id for row in page.rows if row.payment_id]),
        by_hand=queries.is_by_hand,
        form=form,
    )


@bp.post("/cashier/refunds/<refund_no>")
@requires(P.MATCH_BANK_LINES)
def returned(refund_no: str) -> ResponseReturnValue:
    """The buyer's share of a refund was transferred back."""
    return _returned(refund_no, sending.mark_returned)


@bp.post("/cashier/refunds/<refund_no>/unit")
@requires(P.MATCH_BANK_LINES)
def returned_to_unit(refund_no: str) -> ResponseReturnValue:
    """What vouchers paid of a refund was transferred to the unit that bought them."""
    return _returned(refund_no, sending.mark_unit_returned)


def _returned(refund_no: str, mark: Callable[..., Refund]) -> ResponseReturnValue:
    session, form = current_session(), SerialForm()
    found = queries.refund_by_hand(session, refund_no)
    try:
        mark(session, current_actor(), found, serial_no=form.serial_no.data or "")
    except DomainError as error:
        session.rollback()
        flash(explain(error), "error")
    else:
        flash(_("已登记退回"), "success")
    return redirect(url_for(".transfers"), 303)
