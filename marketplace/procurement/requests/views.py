"""A unit's pages of requests: writing and publishing them, comparing what was offered, and the award."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import SHANGHAI, now, today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.forms import ReasonForm
from marketplace.ordering.rules import Delivery
from marketplace.ordering.served import for_units
from marketplace.ordering.terms import PaymentTerms, terms_in_force
from marketplace.procurement.requests import awarding, board_views, comparison, queries, rules, seller_views
from marketplace.procurement.requests.forms import AheadAwardForm, AwardForm, RequestForm, typed_of
from marketplace.procurement.requests.matching import matches_of_request
from marketplace.procurement.requests.models import (
    Offer,
    PurchaseRequest,
    RequestAward,
    RequestEvent,
    RequestState,
)
from marketplace.registry.buyer_units.queries import own_unit
from marketplace.web.forms import place_error, tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("requests", __name__)
P = Permission
UNIT = (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
READERS = (*UNIT, P.READ_AUDIT)
DAYS_TO_OFFER, DAYS_TO_DELIVER = 3, 14
bp.register_blueprint(board_views.bp)
bp.register_blueprint(seller_views.bp)


@bp.get("/requests")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """The unit's requests, by state. What is past its deadline shows under closed, whatever the sweep has done."""
    state = RequestState.known(request.args.get("state", ""))
    session, query = current_session(), queries.requests_visible_to(current_actor())
    page = page_of(session, queries.in_state(query, state) if state else query)
    counts = queries.offers_counts(session, [row.id for row in page.rows])
    return render_template(
        "procurement/requests/index.html",
        page=page,
        state=state,
        states=RequestState,
        counts=counts,
        now=now(),
    )


@bp.route("/requests/new", methods=["GET", "POST"])
@requires(P.ORDER_FOR_UNIT)
@for_units
def new() -> ResponseReturnValue:
    """Write down what is wanted; `?like=` begins with what an earlier request said."""
    session, actor = current_session(), current_actor()
    policy = _policy()
    form = RequestForm(data=_first_typed(policy)) if request.method == "GET" else RequestForm()
    form.offer(session)
    if form.validate_on_submit():
        try:
            made = rules.post_request(
                session, actor, wanted=form.wanted(policy), idempotency_key=form.idempotency_key.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("需求已保存为草稿，核对无误后请发布"), "success")
            return redirect(url_for(".show", request_no=made.public_no), 303)
    page = render_template("procurement/requests/edit.html", form=form, found=None, offered=0, policy=policy)
    return page, 422 if form.errors else 200


def _policy() -> PaymentTerms:
    """The terms of payment in force today where the unit is."""
    session = current_session()
    return terms_in_force(session, own_unit(session, current_actor()), today())


def _first_typed(policy: PaymentTerms) -> dict[str, object]:
    like = request.args.get("like", "")
    typed = typed_of(queries.request_by_no(current_session(), current_actor(), like)) if like else {}
    deadline = (now() + timedelta(days=DAYS_TO_OFFER)).astimezone(SHANGHAI)
    return {
        "payment_days": policy.days,
        "payment_start": policy.start.value,
        **typed,
        "deadline": deadline.replace(hour=17, minute=0, second=0, microsecond=0),
        "deliver_from": today() + timedelta(days=DAYS_TO_OFFER + 2),
        "deliver_until": today() + timedelta(days=DAYS_TO_DELIVER),
    }


@bp.route("/requests/<request_no>/edit", methods=["GET", "POST"])
@requires(P.ORDER_FOR_UNIT)
def edit(request_no: str) -> ResponseReturnValue:
    """Say something else; once published, as a new version that everybody who offered is told about."""
    session, actor = current_session(), current_actor()
    found = queries.request_by_no(session, actor, request_no)
    policy = _policy()
    form = RequestForm(data=typed_of(found)) if request.method == "GET" else RequestForm()
    form.offer(session)
    if form.validate_on_submit():
        try:
            rules.amend_request(session, actor, found, wanted=form.wanted(policy))
        except DomainError as error:
            place_error(form, error)
            found = queries.request_by_no(session, actor, request_no)
        else:
            flash(_("需求已更新"), "success")
            return redirect(url_for(".show", request_no=request_no), 303)
    offered = queries.standing_offers_count(session, found)
    page = render_template(
        "procurement/requests/edit.html", form=form, found=found, offered=offered, policy=policy
    )
    return page, 422 if form.errors else 200


@bp.get("/requests/<request_no>")
@requires(*READERS)
def show(request_no: str) -> ResponseReturnValue:
    """One request: what it says, how many offered, what fits it, and what became of it."""
    found = queries.request_by_no(current_session(), current_actor(), request_no)
    return _page(found)


def _page(found: PurchaseRequest, form: ReasonForm | None = None) -> str:
    session = current_session()
    return render_template(
        "procurement/requests/show.html",
        found=found,
        current=found.current,
        over=queries.is_over(found),
        today=today(),
        offered=queries.offers_counts(session, [found.id]).get(found.id, 0),
        matches=matches_of_request(session, found) if found.state is not RequestState.AWARDED else [],
        form=form or ReasonForm(formdata=None),
        order_url=_order_url(found.award) if found.award else "",
    )


@bp.post("/requests/<request_no>/publish")
@requires(P.ORDER_FOR_UNIT)
@for_units
def publish(request_no: str) -> ResponseReturnValue:
    """Let cooperatives offer."""
    session, actor = current_session(), current_actor()
    found = queries.request_by_no(session, actor, request_no)
    try:
        rules.open_request(session, actor, found)
    except DomainError as error:
        tell(error)
    else:
        flash(_("需求已发布，合作社可以报价了；截止前您只能看到有几家报价"), "success")
    return redirect(url_for(".show", request_no=request_no), 303)


@bp.post("/requests/<request_no>/withdraw")
@requires(P.ORDER_FOR_UNIT)
def withdraw(request_no: str) -> ResponseReturnValue:
    """Call a request off."""
    session, actor, form = current_session(), current_actor(), ReasonForm()
    found = queries.request_by_no(session, actor, request_no)
    if form.validate_on_submit():
        try:
            rules.withdraw_request(session, actor, found, reason=form.reason.data or "")
        except DomainError as error:
            place_error(form, error)
            found = queries.request_by_no(session, actor, request_no)
        else:
            flash(_("需求已撤回，报价的合作社会收到通知"), "success")
            return redirect(url_for(".show", request_no=request_no), 303)
    return _page(found, form), 422


@bp.get("/requests/<request_no>/offers")
@requires(*READERS)
def offers(request_no: str) -> ResponseReturnValue:
    """The opened offers side by side."""
    session, actor = current_session(), current_actor()
    found = queries.request_by_no(session, actor, request_no)
    by = comparison.SortBy.known(request.args.get("by", "")) or comparison.SortBy.PRICE
    return render_template(
        "procurement/requests/offers.html",
        found=found,
        current=found.current,
        over=queries.is_over(found),
        offered=queries.offers_counts(session, [found.id]).get(found.id, 0),
        rows=comparison.compared(session, found, by),
        by=by,
        sorts=comparison.SortBy,
        conditions=comparison.Condition,
        decides=actor.can(P.ORDER_FOR_UNIT)
        and found.state in rules.STATES_OF[RequestEvent.AWARD]
        and queries.is_over(found),
    )


@bp.get("/requests/<request_no>/record")
@requires(*READERS)
def record(request_no: str) -> ResponseReturnValue:
    """The record of the decision, to print, sign and file. Raises NotFound before the deadline."""
    session = current_session()
    found = queries.request_by_no(session, current_actor(), request_no)
    if not queries.is_over(found):
        raise NotFound
    rows = comparison.compared(session, found)
    return render_template(
        "procurement/requests/record.html",
        found=found,
        current=found.current,
        rows=rows,
        conditions=comparison.Condition,
        made_at=found.award.awarded_at if found.award else now(),
    )


@bp.route("/requests/<request_no>/award/<offer_no>", methods=["GET", "POST"])
@requires(P.ORDER_FOR_UNIT)
@for_units
def award(request_no: str, offer_no: str) -> ResponseReturnValue:
    """Give the request to an offer: where the goods go, and why when it is not the cheapest."""
    session, actor = current_session(), current_actor()
    found = queries.request_by_no(session, actor, request_no)
    offer = queries.opened_offer_by_no(session, found, offer_no)
    if found.award is not None and found.award.offer_id == offer.id:  # the same submission came twice
        return redirect(_order_url(found.award), 303)
    is_ahead = awarding.comes_ahead(session, offer)
    form = _award_form(found, is_ahead=is_ahead)
    if form.validate_on_submit():
        try:
            made = _awarded(form, found, offer)
        except DomainError as error:
            place_error(form, error)
            found = queries.request_by_no(session, actor, request_no)
        else:
            flash(_("已定标，采购单已提交审批；其他报价的合作社会收到通知"), "success")
            return redirect(_order_url(made), 303)
    row = next(row for row in comparison.compared(session, found) if row.offer.public_no == offer_no)
    page = render_template(
        "procurement/requests/award.html",
        form=form,
        found=found,
        current=found.current,
        row=row,
        is_ahead=is_ahead,
    )
    return page, 422 if form.errors else 200


def _award_form(found: PurchaseRequest, *, is_ahead: bool) -> AwardForm | AheadAwardForm:
    if is_ahead:
        return AheadAwardForm()
    return AwardForm(data=_goes_to(found)) if request.method == "GET" else AwardForm()


def _awarded(form: AwardForm | AheadAwardForm, found: PurchaseRequest, offer: Offer) -> RequestAward:
    """The award as the form asks for it. Raises DomainError."""
    session, actor = current_session(), current_actor()
    said = {"reason": form.reason.data or "", "idempotency_key": form.idempotency_key.data or ""}
    if isinstance(form, AheadAwardForm):
        deposit_bp = form.deposit.data or 0
        return awarding.award_ahead(session, actor, found, offer, deposit_bp=deposit_bp, **said)
    return awarding.award_request(session, actor, found, offer, delivery=_delivery(form), **said)


def _order_url(award: RequestAward) -> str:
    """Where what was ordered is shown."""
    if award.forward is not None:
        return url_for("forward.show", forward_no=award.forward.public_no)
    assert award.order is not None
    return url_for("ordering.order", order_no=award.order.public_no)


def _goes_to(found: PurchaseRequest) -> dict[str, str]:
    unit = found.unit
    return {
        "recipient_name": unit.contact_name,
        "recipient_phone": unit.contact_phone,
        "address": unit.address,
    }


def _delivery(form: AwardForm) -> Delivery:
    names = ("recipient_name", "recipient_phone", "address", "note")
    return Delivery(**{name: form[name].data or "" for name in names})
