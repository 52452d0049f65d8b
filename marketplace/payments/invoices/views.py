"""Invoices: what a cooperative has to invoice, handing one in, its page for both sides, the payer's answer."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.uploads import uploaded_document
from marketplace.payments.invoices import queries, rules
from marketplace.payments.invoices.forms import InvoiceForm, ReturnForm
from marketplace.payments.invoices.models import Invoice, InvoiceKind, InvoiceState
from marketplace.web.downloads import download
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("invoices", __name__)
P = Permission
READERS = (P.FULFIL_ORDERS, P.PAY_FOR_UNIT, P.READ_AUDIT)
TO_CORRECT = "to_correct"


@bp.get("/invoices")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """The invoices of the cooperative or of the unit, by state; at first what the payer has to check."""
    session, actor = current_session(), current_actor()
    asked = request.args.get("state", "")
    state = InvoiceState(asked) if asked in set(InvoiceState) else None
    corrects = asked == TO_CORRECT and actor.can(P.FULFIL_ORDERS)
    query = queries.invoices_to_correct(actor) if corrects else queries.invoices_in_state(actor, state)
    return render_template(
        "payments/invoices/index.html",
        page=page_of(session, query),
        state=TO_CORRECT if corrects else state,
        states=InvoiceState,
    )


@bp.get("/invoices/to-invoice")
@requires(P.FULFIL_ORDERS)
def to_invoice() -> ResponseReturnValue:
    """Accepted deliveries without an invoice, to choose from."""
    page = page_of(current_session(), queries.parts_to_invoice(current_actor()), scalars=False)
    return render_template("payments/invoices/to_invoice.html", page=page)


@bp.route("/invoices/new", methods=["GET", "POST"])
@requires(P.FULFIL_ORDERS)
def new() -> ResponseReturnValue:
    """Hand in the invoice over the parts that the address names."""
    session, actor = current_session(), current_actor()
    part_nos = list(dict.fromkeys(request.args.getlist("part")))
    if not part_nos:
        flash(_("请先选择要开票的订单"), "error")
        return redirect(url_for(".to_invoice"))
    parts = queries.parts_by_nos(session, actor, part_nos)
    nets = queries.nets_of(session, [part.id for part in parts])
    form = InvoiceForm(issued_on=today(), amount=sum(nets.values()))
    answer = _taken(form, lambda fields: rules.upload_invoice(session, actor, part_nos=part_nos, **fields))
    if answer is not None:
        return answer
    parts = queries.parts_by_nos(session, actor, part_nos)
    page = render_template(
        "payments/invoices/new.html", form=form, parts=parts, nets=nets, total_fen=sum(nets.values())
    )
    return page, 422 if form.errors else 200


@bp.route("/invoices/<invoice_no>/red-letter", methods=["GET", "POST"])
@requires(P.FULFIL_ORDERS)
def red_letter(invoice_no: str) -> ResponseReturnValue:
    """Hand in the red letter for what was refunded since."""
    session, actor = current_session(), current_actor()
    original = queries.invoice_by_no(session, actor, invoice_no)
    over_fen = queries.over_fen_of(session, original)
    form = InvoiceForm(issued_on=today(), amount=max(over_fen, 0))
    answer = _taken(form, lambda fields: rules.upload_red_letter(session, actor, original=original, **fields))
    if answer is not None:
        return answer
    original = queries.invoice_by_no(session, actor, invoice_no)
    page = render_template(
        "payments/invoices/red_letter.html",
        form=form,
        invoice=original,
        over_fen=over_fen,
        parts=queries.parts_of_invoice(session, original),
    )
    return page, 422 if form.errors else 200


def _taken(form: InvoiceForm, upload: Callable[[dict[str, object]], Invoice]) -> ResponseReturnValue | None:
    """The way to the invoice that was handed in; None when the form is to be shown, with what was wrong."""
    if not form.validate_on_submit():
        return None
    try:
        invoice = upload(
            {
                "number": form.number.data or "",
                "code": form.code.data or "",
                "issued_on": form.issued_on.data,
                "amount_fen": form.amount.data or 0,
                "file": uploaded_document(form.file, with_ofd=True),
                "idempotency_key": form.idempotency_key.data or "",
            }
        )
    except DomainError as error:
        place_error(form, error)
        return None
    flash(_("发票已上传，等待付款单位核对"), "success")
    return redirect(url_for(".invoice", invoice_no=invoice.public_no), 303)


@bp.get("/invoices/<invoice_no>")
@requires(*READERS)
def invoice(invoice_no: str) -> ResponseReturnValue:
    """One invoice, with the deliveries it is over."""
    return _page(queries.invoice_by_no(current_session(), current_actor(), invoice_no))


def _page(found: Invoice, form: ReturnForm | None = None) -> str:
    session, actor = current_session(), current_actor()
    is_own = actor.buyer_unit_id == found.buyer_unit_id and actor.can(P.PAY_FOR_UNIT)
    is_goods = found.kind is InvoiceKind.GOODS
    return render_template(
        "payments/invoices/invoice.html",
        invoice=found,
        parts=queries.parts_of_invoice(session, found),
        over_fen=queries.over_fen_of(session, found) if is_goods else 0,
        checks=is_own and found.state is InvoiceState.UPLOADED,
        form=form or ReturnForm(formdata=None),
    )


@bp.get("/invoices/<invoice_no>/file")
@requires(*READERS)
def file(invoice_no: str) -> ResponseReturnValue:
    """The document itself, for both sides."""
    found = queries.invoice_by_no(current_session(), current_actor(), invoice_no).file
    content = current_app.extensions["files"].read(found.address, sealed=found.sealed)
    return download(content, found.media_type, name=found.name)


@bp.post("/invoices/<invoice_no>/confirm")
@requires(P.PAY_FOR_UNIT)
def confirm(invoice_no: str) -> ResponseReturnValue:
    """The payer found it right."""
    session, actor = current_session(), current_actor()
    try:
        rules.confirm_invoice(session, actor, queries.invoice_by_no(session, actor, invoice_no))
    except DomainError as error:
        if error.status in {403, 404}:
            raise
        session.rollback()
        flash(explain(error), "error")
    else:
        flash(_("发票已核对"), "success")
    return redirect(url_for(".invoice", invoice_no=invoice_no), 303)


@bp.post("/invoices/<invoice_no>/return")
@requires(P.PAY_FOR_UNIT)
def send_back(invoice_no: str) -> ResponseReturnValue:
    """The payer sends it back with a reason."""
    session, actor, form = current_session(), current_actor(), ReturnForm()
    found = queries.invoice_by_no(session, actor, invoice_no)
    if form.validate_on_submit():
        try:
            rules.return_invoice(session, actor, found, reason=form.reason.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("发票已退回，合作社会看到原因"), "success")
            return redirect(url_for(".invoice", invoice_no=invoice_no), 303)
    return _page(queries.invoice_by_no(session, actor, invoice_no), form), 422
