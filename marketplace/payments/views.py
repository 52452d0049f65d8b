"""Paying: the card checkout and its return, the unit's transfers, the webhook, and the cashier's statements."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import order_by_no
from marketplace.payments import charge_views, notice_views, notices, queries, rules
from marketplace.payments.deposits.queries import deposits_of_amount
from marketplace.payments.forms import ResolveForm, StatementForm
from marketplace.payments.gateways.protocol import BadSignature, PaymentState as ProviderState
from marketplace.payments.late_interest.queries import accruals, interest_of, waiver_of
from marketplace.payments.matching import Claims, near_misses, suggestions_for
from marketplace.payments.models import BankStatement, Payment, PaymentMethod, PaymentState
from marketplace.payments.online import views as online_views
from marketplace.payments.online.rules import choose_method
from marketplace.payments.online.views import current_gateway, payment_page
from marketplace.payments.reconciliation.payouts import payouts_of_amount
from marketplace.payments.statements import (
    import_statement,
    resolve_bank_line,
    resume_statement,
    stop_statement,
)
from marketplace.payments.vouchers.queries import batches_of_amount
from marketplace.web.errors import explain
from marketplace.web.forms import place_error, tell
from marketplace.web.jobs import nudge
from marketplace.web.locale import current_locale
from marketplace.web.paging import page_of
from marketplace.web.progress import Progress, progress_answer
from marketplace.web.transaction import current_session, end_reading, writing_session

bp = Blueprint("payments", __name__)
bp.register_blueprint(charge_views.bp)
bp.register_blueprint(notice_views.bp)
bp.register_blueprint(online_views.bp)


@bp.post("/orders/<order_no>/pay")
@requires(Permission.BUY_PERSONALLY)
def pay(order_no: str) -> ResponseReturnValue:
    """Ask for the payment of an order, once. Where there is but one means, the next page is the provider's."""
    offered = current_gateway().methods
    session, actor = current_session(), current_actor()
    payment = rules.ask_card_payment(session, actor, order=order_by_no(session, actor, order_no))
    if len(offered) > 1:
        return redirect(url_for(".payment", payment_no=payment.public_no), 303)
    choose_method(session, actor, payment, method=offered[0], offered=offered, locale=current_locale())
    return redirect(url_for(".online.checkout", payment_no=payment.public_no), 303)


@bp.get("/payments/<payment_no>")
@requires(
    Permission.BUY_PERSONALLY, Permission.ORDER_FOR_UNIT, Permission.PAY_FOR_UNIT, Permission.READ_AUDIT
)
def payment(payment_no: str) -> ResponseReturnValue:
    """Where a payment stands; for a transfer, the instructions to print. Asks the provider when no notice came yet."""
    found = queries.payment_by_no(current_session(), current_actor(), payment_no)
    if found.method is PaymentMethod.BANK_TRANSFER:
        return _transfer(found)
    if found.state is PaymentState.OPEN and found.provider_ref:
        found = _asked_anew(payment_no, found.provider_ref)
    return payment_page(found)


def _transfer(found: Payment) -> str:
    """The slip of a transfer, with the interest that runs on it or that it left."""
    session = current_session()
    return render_template(
        "payments/transfer.html",
        payment=found,
        account=current_app.config["SETTINGS"],
        running=accruals(session, [found], on=today()).get(found.id),
        claim=interest_of(session, found.id),
        waiver=waiver_of(session, found.id),
        today=today(),
    )


def _asked_anew(payment_no: str, provider_ref: str) -> Payment:
    """The payment after asking the provider, with no transaction open meanwhile."""
    end_reading()
    gateway = current_app.extensions["gateway"]
    answer = notices.look_up_payment(gateway, provider_ref) if gateway else None
    if answer is None or (
        answer.state in {ProviderState.OPEN, ProviderState.PROCESSING} and not answer.failure
    ):
        return queries.payment_by_no(current_session(), current_actor(), payment_no)
    session = writing_session()
    return notices.settle_lookup(session, queries.payment_by_no(session, current_actor(), payment_no), answer)


@bp.post("/webhooks/stripe")
@public
def stripe_webhook() -> ResponseReturnValue:
    """Take in the gateway's notice: verified and stored now, applied by the job."""
    try:
        notices.take_notice(
            current_session(),
            current_gateway(),
            payload=request.get_data(),
            signature=request.headers.get("Stripe-Signature", ""),
        )
    except BadSignature as error:
        current_app.logger.warning("webhook with a bad signature from %s", request.remote_addr)
        return {"error": error.code}, 400
    nudge("apply notices")
    return "", 204


@bp.get("/payables")
@requires(Permission.PAY_FOR_UNIT)
def payables() -> ResponseReturnValue:
    """The transfers of the unit: what is due, and what was paid."""
    wanted = PaymentState.PAID if request.args.get("state") == "paid" else PaymentState.OPEN
    session, actor = current_session(), current_actor()
    page = page_of(session, queries.payables_of(actor, wanted))
    is_open = wanted is PaymentState.OPEN
    return render_template(
        "payments/payables.html",
        page=page,
        state=wanted,
        running=accruals(session, page.rows, on=today()) if is_open else {},
        sums=queries.payables_total(session, actor, on=today()) if is_open else None,
        today=today(),
    )


@bp.get("/payables/slip")
@requires(Permission.PAY_FOR_UNIT)
def batch_slip() -> ResponseReturnValue:
    """One slip over several open bills of one cooperative: every code, and what one transfer has to be."""
    session = current_session()
    try:
        bills = queries.bills_together(session, current_actor(), request.args.getlist("bill"))
    except Refused as error:
        flash(explain(error), "error")
        return redirect(url_for(".payables"))
    running = accruals(session, bills, on=today())
    return render_template(
        "payments/batch_slip.html",
        bills=bills,
        total_fen=sum(bill.amount_fen for bill in bills),
        interest_fen=sum(accrual.amount_fen for accrual in running.values()),
        account=current_app.config["SETTINGS"],
        today=today(),
    )


@bp.route("/cashier/statements", methods=["GET", "POST"])
@requires(Permission.MATCH_BANK_LINES)
def statements() -> ResponseReturnValue:
    """Import a bank statement, and see the earlier ones."""
    form, session = StatementForm(), current_session()
    if form.validate_on_submit():
        upload = form.file.data
        try:
            statement = import_statement(
                session,
                current_actor(),
                current_app.extensions["files"],
                content=upload.read(),
                file_name=upload.filename or "statement.csv",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            nudge("settle lines")
            return redirect(url_for(".statement", statement_no=statement.public_no), 303)
    page = page_of(session, queries.statements())
    waiting = [
        task for task in queries.tasks_of(session, current_actor()) if task.endpoint == "payments.queue"
    ]
    answer = render_template("payments/statements.html", form=form, page=page, tasks=waiting)
    return answer, 422 if form.errors else 200


@bp.get("/cashier/statements/<statement_no>")
@requires(Permission.MATCH_BANK_LINES)
def statement(statement_no: str) -> ResponseReturnValue:
    """One statement, line by line, and how far it is taken in."""
    found = queries.statement_by_no(current_session(), statement_no)
    page = page_of(current_session(), queries.lines_of(found), size=50)
    return render_template(
        "payments/statement.html",
        statement=found,
        page=page,
        progress=_taking(found),
        trouble=_words_of(found.trouble) if found.trouble else "",
    )


def _words_of(trouble: dict[str, Any]) -> str:
    """Why a statement stopped by itself, in the reader's language."""
    message, params = trouble["message"], trouble["params"]
    return str(_(message)) % params


def _taking(statement: BankStatement) -> Progress | None:
    """How far a statement is taken in; None when nothing goes on."""
    if not statement.is_open:
        return None
    return Progress(N_("正在逐笔入账"), statement.lines_done, statement.lines_total)


@bp.get("/cashier/statements/<statement_no>/progress")
@requires(Permission.MATCH_BANK_LINES)
def statement_progress(statement_no: str) -> ResponseReturnValue:
    """The progress alone, asked every second."""
    found = queries.statement_by_no(current_session(), statement_no)
    return progress_answer(_taking(found), url_for(".statement_progress", statement_no=statement_no))


@bp.post("/cashier/statements/<statement_no>/stop")
@requires(Permission.MATCH_BANK_LINES)
def stop_taking(statement_no: str) -> ResponseReturnValue:
    """Take in no more of a statement."""
    session = current_session()
    try:
        found = stop_statement(session, current_actor(), queries.statement_by_no(session, statement_no))
    except Conflict as error:
        tell(error)
    else:
        flash(_("已停下：前 %(done)s 笔已入账，其余没有动", done=found.lines_done), "success")
    return redirect(url_for(".statement", statement_no=statement_no), 303)


@bp.post("/cashier/statements/<statement_no>/resume")
@requires(Permission.MATCH_BANK_LINES)
def resume_taking(statement_no: str) -> ResponseReturnValue:
    """Go on with a statement that was stopped."""
    session = current_session()
    resume_statement(session, current_actor(), queries.statement_by_no(session, statement_no))
    return redirect(url_for(".statement", statement_no=statement_no), 303)


@bp.get("/cashier/queue")
@requires(Permission.MATCH_BANK_LINES)
def queue() -> ResponseReturnValue:
    """Money that fits nothing by itself."""
    session = current_session()
    lines = page_of(session, queries.queued_lines())
    found = session.scalars(queries.queued_notices().limit(50)).all()
    return render_template("payments/queue.html", page=lines, notices=found)


@bp.route("/cashier/queue/<line_no>", methods=["GET", "POST"])
@requires(Permission.MATCH_BANK_LINES)
def resolve_line(line_no: str) -> ResponseReturnValue:
    """Settle one queued line."""
    session = current_session()
    line = queries.queued_line_by_no(session, line_no)
    candidates = suggestions_for(session, line)
    form = ResolveForm()
    form.payment.choices = [SelectChoice(c.key, _shown_claims(c)) for c in candidates] + [
        SelectChoice("", _("不对应任何应付款"))
    ]
    if form.validate_on_submit():
        chosen = next((c for c in candidates if c.key == form.payment.data), None)
        if form.payment.data and chosen is None:
            raise NotFound
        try:
            resolve_bank_line(session, current_actor(), line, claims=chosen, note=form.note.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            nudge("settle lines")
            flash(_("已登记处理结果"), "success")
            return redirect(url_for(".queue"), 303)
    near = near_misses(session, line)
    page = render_template(
        "payments/resolve_line.html",
        form=form,
        line=line,
        candidates=candidates,
        near=near,
        deposits=session.scalars(deposits_of_amount(line.amount_fen)).all(),
        batches=session.scalars(batches_of_amount(line.amount_fen)).all(),
        payouts=payouts_of_amount(session, line.amount_fen),
    )
    return page, 422 if form.errors else 200


def _shown_claims(claims: Claims) -> str:
    """Who owes it to whom, and the codes it should have come with."""
    words = [
        f"{bill.order.buyer_unit.name} · {bill.part.cooperative.name} · {bill.remittance_code}"
        for bill in claims.bills
        if bill.part is not None and bill.order.buyer_unit is not None
    ]
    words += [
        f"{_('逾期利息')} · {interest.buyer_unit.name} · {interest.cooperative.name} · {interest.remittance_code}"
        for interest in claims.interests
    ]
    if claims.accrued_fen:
        words.append(_("加逾期利息 ¥%(amount)s", amount=format_yuan(claims.accrued_fen)))
    return " + ".join(words)


@bp.post("/cashier/notices/<event_id>")
@requires(Permission.MATCH_BANK_LINES)
def resolve_notice(event_id: str) -> ResponseReturnValue:
    """A queued notice has been dealt with."""
    try:
        notices.resolve_notice(
            current_session(), current_actor(), event_id, note=request.form.get("note", "")
        )
    except Refused as error:
        flash(explain(error), "error")
    else:
        flash(_("已登记处理结果"), "success")
    return redirect(url_for(".queue"), 303)
