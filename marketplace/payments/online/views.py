"""The buyer's way to the provider: choose a means, go to its page or scan its code, and see what came of it."""

from __future__ import annotations

import segno
from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.core.errors import Conflict, DomainError
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments import rules
from marketplace.payments.gateways.protocol import (
    CheckoutRequest,
    GatewayRefused,
    OnlineMethod,
    PaymentGateway,
)
from marketplace.payments.models import Payment, PaymentMethod
from marketplace.payments.online.attempts import last_attempt, open_attempt
from marketplace.payments.online.closing import close_page, keep_closed, left_pages
from marketplace.payments.online.forms import MethodForm
from marketplace.payments.online.models import AttemptState, PaymentAttempt
from marketplace.payments.online.rules import (
    attempt_request,
    choose_method,
    keep_opened,
    keep_refused,
    method_of,
)
from marketplace.payments.online.words import failure_words
from marketplace.payments.queries import payment_by_no
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.locale import current_locale, label
from marketplace.web.transaction import current_session, end_reading, writing_session

bp = Blueprint("online", __name__)


def current_gateway() -> PaymentGateway:
    """The deployment's gateway for paying on line. Raises Conflict when that is switched off."""
    gateway: PaymentGateway | None = current_app.extensions["gateway"]
    if gateway is None:
        raise Conflict("cards_off", N_("本站未开通在线付款，请联系平台"))
    return gateway


@bp.post("/payments/<payment_no>/method")
@requires(Permission.BUY_PERSONALLY)
def choose(payment_no: str) -> ResponseReturnValue:
    """Keep the means the buyer chose; the next page goes to the provider."""
    session, actor = current_session(), current_actor()
    payment = payment_by_no(session, actor, payment_no)
    form = MethodForm()
    if form.validate_on_submit():
        try:
            choose_method(
                session,
                actor,
                payment,
                method=method_of(form.method.data or ""),
                offered=current_gateway().methods,
                locale=current_locale(),
            )
        except DomainError as error:
            if error.field is None:
                raise
            place_error(form, error)
        else:
            return redirect(url_for(".checkout", payment_no=payment_no), 303)
    return payment_page(payment, form=form), 422


@bp.get("/payments/<payment_no>/checkout")
@requires(Permission.BUY_PERSONALLY)
def checkout(payment_no: str) -> ResponseReturnValue:
    """Go to the provider's page of the means that was chosen; coming back opens no second one."""
    session, here = current_session(), url_for("payments.payment", payment_no=payment_no)
    payment = payment_by_no(session, current_actor(), payment_no)
    attempt = open_attempt(session, payment.id)
    if payment.method is not PaymentMethod.CARD or not rules.is_awaited(payment) or attempt is None:
        return redirect(here)
    if attempt.provider_ref:
        return redirect(here if attempt.qr_text else attempt.redirect_url, 303)
    left = left_pages(session, payment_id=payment.id)
    if left:
        return _close(left, payment_no)
    ours = current_app.config["SETTINGS"].public_url
    return _open(
        attempt.id, attempt_request(payment, attempt, success_url=ours + here, cancel_url=ours + here), here
    )


def _close(left: list[tuple[int, str | None]], payment_no: str) -> ResponseReturnValue:
    """Close what was open before, then come back to open the new page. What was paid meanwhile needs no other page."""
    end_reading()  # no transaction stays open while the provider thinks
    gateway = current_gateway()
    answers = {key: close_page(gateway, ref) for key, ref in left if ref}
    session = writing_session()
    ended = [keep_closed(session, key, answers.get(key)) for key, _ref in left]
    if not all(ended):
        flash(_("上一次打开的付款页面还没有关闭，请稍后再试；若已付款，请等待结果，不要重复付款。"), "error")
        return redirect(url_for("payments.payment", payment_no=payment_no), 303)
    return redirect(url_for(".checkout", payment_no=payment_no), 303)


def _open(key: int, asked: CheckoutRequest, here: str) -> ResponseReturnValue:
    """Open the page of an attempt. Without an answer the next try sends the same under the same key; after a clear no
    it begins another attempt."""
    end_reading()
    try:
        opened = current_gateway().open_checkout(asked)
    except DomainError as error:
        if isinstance(error, GatewayRefused):
            keep_refused(writing_session(), key, error)
        flash(explain(error), "error")
        return redirect(here)
    if not keep_opened(writing_session(), key, opened) or opened.qr_text:
        return redirect(here, 303)
    return redirect(opened.redirect_url, 303)


def payment_page(payment: Payment, *, form: MethodForm | None = None) -> str:
    """The page of an online payment: what is to be paid, by which means, and what became of the last try."""
    session = current_session()
    attempt = last_attempt(session, payment.id)
    gateway: PaymentGateway | None = current_app.extensions["gateway"]
    offered = gateway.methods if gateway else ()
    form = form or MethodForm(formdata=None, method=_preselected(attempt, offered))
    form.method.choices = [SelectChoice(method.value, label(method)) for method in offered]
    is_open = attempt is not None and attempt.state is AttemptState.OPEN
    return render_template(
        "payments/payment.html",
        payment=payment,
        awaited=rules.is_awaited(payment),
        form=form,
        attempt=attempt if is_open else None,
        failure=_(failure_words(attempt.failure)) if attempt and attempt.failure else None,
        has_ended=attempt is not None and attempt.state is AttemptState.CLOSED,
        scan=segno.make(attempt.qr_text, micro=False).svg_data_uri(scale=5)
        if is_open and attempt.qr_text
        else None,
    )


def _preselected(attempt: PaymentAttempt | None, offered: tuple[OnlineMethod, ...]) -> str:
    if attempt is not None and attempt.method in offered:
        return attempt.method.value
    return offered[0].value if offered else ""
