"""The cashier's disputes: what is held, until when evidence is wanted, and the answer."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.disputes import queries, rules
from marketplace.payments.disputes.forms import EvidenceForm
from marketplace.payments.disputes.models import PaymentDispute
from marketplace.payments.gateways.protocol import GatewayRefused
from marketplace.payments.online.views import current_gateway
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session, end_reading, writing_session

bp = Blueprint("disputes", __name__)
READERS = (Permission.MATCH_BANK_LINES, Permission.READ_AUDIT)


@bp.app_context_processor
def context() -> dict[str, object]:
    """For the pages of orders: the disputes of their payments."""
    return {
        "payment_disputes_of": _disputes_of,
        "orders_in_dispute": _orders_in_dispute,
        "dispute_reason": queries.reason_words,
    }


def _disputes_of(order: Order) -> list[PaymentDispute]:
    return queries.disputes_of_order(current_session(), order.id)


def _orders_in_dispute(parts: Iterable[OrderPart]) -> set[int]:
    return queries.undecided_orders(current_session(), [part.order_id for part in parts])


@bp.get("/cashier/disputes")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """Every dispute, what needs an answer first."""
    return render_template(
        "payments/disputes/index.html", page=page_of(current_session(), queries.disputes())
    )


@bp.route("/cashier/disputes/<dispute_no>", methods=["GET", "POST"])
@requires(*READERS)
def dispute(dispute_no: str) -> ResponseReturnValue:
    """One dispute; the cashier sends evidence from here."""
    form = EvidenceForm()
    if form.validate_on_submit():
        try:
            _tell(dispute_no, evidence=rules.evidence_of(form.evidence.data or ""))
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("证据已提交，等待银行裁定"), "success")
            return redirect(url_for(".dispute", dispute_no=dispute_no), 303)
    page = render_template(
        "payments/disputes/dispute.html",
        dispute=queries.dispute_by_no(current_session(), dispute_no),
        form=form,
        may_work=current_actor().can(Permission.MATCH_BANK_LINES),
    )
    return page, 422 if request.method == "POST" else 200


@bp.post("/cashier/disputes/<dispute_no>/accept")
@requires(Permission.MATCH_BANK_LINES)
def accept(dispute_no: str) -> ResponseReturnValue:
    """Accept the loss."""
    try:
        _tell(dispute_no, evidence="")
    except DomainError as error:
        flash(explain(error), "error")
    else:
        flash(_("已接受争议，损失由合作社承担"), "success")
    return redirect(url_for(".dispute", dispute_no=dispute_no), 303)


def _tell(dispute_no: str, *, evidence: str) -> None:
    """Tell the provider, with no transaction open meanwhile, and keep what it answered."""
    actor = current_actor()
    found = queries.dispute_by_no(current_session(), dispute_no)
    rules.require_answerable(actor, found)
    ref, key = found.provider_ref, f"{found.public_no}.{'answer' if evidence else 'accept'}"
    end_reading()
    gateway = current_gateway()
    try:
        told = gateway.answer_dispute(ref, evidence, key) if evidence else gateway.accept_dispute(ref, key)
    except GatewayRefused as error:
        message = N_("付款通道没有接受，请先到通道后台核对这笔争议的状态，再来办理")
        raise GatewayRefused(error.code, error.detail, message) from error
    session = writing_session()
    rules.keep_answer(session, actor, queries.dispute_by_no(session, dispute_no), told, evidence=evidence)
