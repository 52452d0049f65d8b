"""Vouchers on the page: a unit's batches, the sheet that is shown once, the counter, and the cashier's returns."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from marketplace.catalog.queries import listing_by_no
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.served import for_units
from marketplace.payments.by_hand import lines_of_amount
from marketplace.payments.deposits.forms import MatchForm
from marketplace.payments.queries import queued_line_by_no
from marketplace.payments.refunds.forms import SerialForm
from marketplace.payments.vouchers import counter as counter_rules, queries, rules
from marketplace.payments.vouchers.forms import BatchForm, CounterForm
from marketplace.payments.vouchers.models import BatchState
from marketplace.registry.cooperatives.queries import admitted_cooperatives
from marketplace.registry.models import Cooperative
from marketplace.web.forms import place_error, tell
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.qr import qr_to
from marketplace.web.transaction import current_session

bp = Blueprint("vouchers", __name__)
P = Permission
READERS = (
    P.ORDER_FOR_UNIT,
    P.APPROVE_ORDERS,
    P.RECEIVE_FOR_UNIT,
    P.PAY_FOR_UNIT,
    P.FULFIL_ORDERS,
    P.MATCH_BANK_LINES,
    P.READ_AUDIT,
)


@bp.get("/vouchers")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """The batches the reader may see; the cashier begins with what has to be sent back."""
    session, actor = current_session(), current_actor()
    page = page_of(session, queries.batches_visible_to(actor))
    sends = actor.can(P.MATCH_BANK_LINES)
    return render_template(
        "payments/vouchers/index.html",
        page=page,
        redeemed=queries.redeemed_counts(session, [row.id for row in page.rows]),
        returns=session.scalars(queries.returns_to_send().limit(50)).all() if sends else [],
        form=SerialForm(formdata=None),
    )


@bp.route("/vouchers/new", methods=["GET", "POST"])
@requires(P.ORDER_FOR_UNIT)
@for_units
def new() -> ResponseReturnValue:
    """Ask for a batch."""
    session, actor, form = current_session(), current_actor(), BatchForm()
    form.offer(list(session.scalars(admitted_cooperatives())))
    if form.validate_on_submit():
        cooperative = session.scalar(
            select(Cooperative).where(Cooperative.public_no == form.cooperative.data)
        )
        if cooperative is None:
            raise NotFound
        terms = rules.Terms(form.count.data or 0, form.face.data or 0, form.valid_until.data)
        try:
            batch = rules.ask_batch(
                session,
                actor,
                cooperative=cooperative,
                terms=terms,
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已提交，等待审批"), "success")
            return redirect(url_for(".show", batch_no=batch.public_no), 303)
    return render_template("payments/vouchers/new.html", form=form), 422 if form.errors else 200


@bp.get("/vouchers/<batch_no>")
@requires(*READERS)
def show(batch_no: str) -> ResponseReturnValue:
    """One batch: how to pay it, and how far it is used."""
    session = current_session()
    batch = queries.batch_by_no(session, current_actor(), batch_no)
    settings = current_app.config["SETTINGS"]
    payee = {
        "name": settings.bank_payee,
        "account_no": settings.bank_account_no,
        "bank": settings.bank_name,
    }
    awaited = batch.state is BatchState.OPEN and current_actor().can(P.MATCH_BANK_LINES)
    return render_template(
        "payments/vouchers/show.html",
        batch=batch,
        redeemed=queries.redeemed_counts(session, [batch.id]).get(batch.id, 0),
        payee=payee,
        lines=lines_of_amount(session, batch.total_fen) if awaited else [],
        form=MatchForm(formdata=None),
    )


@bp.post("/vouchers/<batch_no>/match")
@requires(P.MATCH_BANK_LINES)
def match(batch_no: str) -> ResponseReturnValue:
    """A queued bank line pays for this batch."""
    session, actor, form = current_session(), current_actor(), MatchForm()
    batch = queries.batch_by_no(session, actor, batch_no)
    line = queued_line_by_no(session, form.line.data or "")
    try:
        rules.match_batch(session, actor, batch, line, note=form.note.data or "")
    except DomainError as error:
        tell(error)
    else:
        flash(_("已登记处理结果"), "success")
    return redirect(url_for(".show", batch_no=batch_no), 303)


@bp.post("/vouchers/<batch_no>/approve")
@requires(P.APPROVE_ORDERS)
def approve(batch_no: str) -> ResponseReturnValue:
    """Let a batch be paid."""
    session, actor = current_session(), current_actor()
    rules.approve_batch(session, actor, queries.batch_by_no(session, actor, batch_no))
    flash(_("已批准，付款人可以按汇款码转账"), "success")
    return redirect(url_for(".show", batch_no=batch_no), 303)


@bp.post("/vouchers/<batch_no>/cancel")
@requires(P.ORDER_FOR_UNIT, P.APPROVE_ORDERS)
def cancel(batch_no: str) -> ResponseReturnValue:
    """Call a batch off."""
    session, actor = current_session(), current_actor()
    rules.cancel_batch(session, actor, queries.batch_by_no(session, actor, batch_no))
    flash(_("已取消，请不要再付款"), "success")
    return redirect(url_for(".show", batch_no=batch_no), 303)


@bp.post("/vouchers/<batch_no>/print")
@requires(P.ORDER_FOR_UNIT)
def print_sheet(batch_no: str) -> ResponseReturnValue:
    """The sheet of vouchers: this answer alone holds the codes."""
    session, actor = current_session(), current_actor()
    batch = queries.batch_by_no(session, actor, batch_no)
    codes = rules.print_vouchers(session, actor, batch, current_app.extensions["data_key"])
    return render_template(
        "payments/vouchers/sheet.html",
        batch=batch,
        codes=codes,
        qr_to=qr_to,
        redeem_at=url_for("voucher_spending.redeem"),
    )


@bp.route("/counter", methods=["GET", "POST"])
@requires(P.FULFIL_ORDERS)
def counter() -> ResponseReturnValue:
    """Enter a code: what it is worth; then hand over goods for it."""
    session, actor, form = current_session(), current_actor(), CounterForm()
    key, voucher = current_app.extensions["data_key"], None
    form.offer(queries.listings_at_counter(session, actor))
    redeems = request.form.get("do") == "redeem"
    if request.method == "POST" and (form.validate() if redeems else form.code.validate(form)):
        code = form.code.data or ""
        try:
            voucher = counter_rules.find_voucher(session, actor, code, key)
            if redeems:
                listing = listing_by_no(session, form.listing.data)
                used = counter_rules.redeem_voucher(
                    session, actor, code=code, key=key, listing=listing, quantity=form.quantity.data or 0
                )
                nudge("bill accepted parts")
                flash(_("已核销，请把商品交给持券人；单号 %(number)s", number=used.public_no), "success")
                return redirect(url_for(".counter"), 303)
        except DomainError as error:
            place_error(form, error)
            voucher = None
            form.offer(queries.listings_at_counter(session, actor))
    page = render_template("payments/vouchers/counter.html", form=form, voucher=voucher)
    return page, 422 if form.errors else 200


@bp.post("/vouchers/returns/<return_no>")
@requires(P.MATCH_BANK_LINES)
def returned(return_no: str) -> ResponseReturnValue:
    """What was not used of a batch was transferred back."""
    session, form = current_session(), SerialForm()
    found = queries.return_by_no(session, return_no)
    try:
        rules.mark_returned(session, current_actor(), found, serial_no=form.serial_no.data or "")
    except DomainError as error:
        tell(error)
    else:
        flash(_("已登记退回"), "success")
    return redirect(url_for(".index"), 303)
