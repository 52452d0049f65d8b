"""A unit's pages of standing orders: what is coming, opening one step by step, one order, one delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from itertools import groupby
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.models import Listing
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.money import format_yuan
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.forms import ReasonForm
from marketplace.ordering.served import for_units
from marketplace.procurement.standing import plans, queries, rules, windows
from marketplace.procurement.standing.forms import (
    AnswerForm,
    LimitForm,
    PlanForm,
    WindowForm,
    minutes,
    read_lines,
    read_price,
    read_units,
    reason_for,
)
from marketplace.procurement.standing.models import (
    DeliveryWindow,
    PriceRule,
    StandingOrder,
    Substitution,
)
from marketplace.procurement.standing.schedule import clock_words
from marketplace.registry.models import BuyerUnit
from marketplace.web.errors import explain
from marketplace.web.forms import place_error, tell
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("standing", __name__, url_prefix="/standing-orders")
P = Permission
UNIT = (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT)
READERS = (*UNIT, P.FULFIL_ORDERS)
WEEKS_AHEAD = 4
PLACE = "procurement/standing/"


@bp.get("")
@requires(*UNIT)
def index() -> ResponseReturnValue:
    """Every standing order of the unit."""
    page = page_of(current_session(), queries.standing_visible_to(current_actor()))
    return render_template(f"{PLACE}index.html", page=page)


@bp.get("/coming")
@requires(*UNIT)
def coming() -> ResponseReturnValue:
    """The deliveries of the next weeks, day by day."""
    session, until = current_session(), today() + timedelta(days=7 * WEEKS_AHEAD)
    query = queries.coming_windows(current_actor(), from_on=today(), until=until)
    found = session.scalars(query.limit(300)).unique().all()
    days = [(day, list(rows)) for day, rows in groupby(found, key=lambda one: one.deliver_on)]
    return render_template(
        f"{PLACE}coming.html", days=days, lines=queries.lines_of(session, found), words=clock_words
    )


@bp.get("/attention")
@requires(P.ORDER_FOR_UNIT)
def attention() -> ResponseReturnValue:
    """Deliveries that are held, and substitutes to answer."""
    page = page_of(current_session(), queries.waiting_windows(current_actor()))
    return render_template(f"{PLACE}attention.html", page=page, words=clock_words)


@bp.get("/new")
@requires(P.ORDER_FOR_UNIT)
@for_units
def choose() -> ResponseReturnValue:
    """Whom the goods are to come from."""
    session = current_session()
    page = page_of(session, queries.sellers())
    return render_template(f"{PLACE}choose.html", page=page, goods=queries.goods_on_sale(session, page.rows))


@bp.route("/new/<cooperative_no>", methods=["GET", "POST"])
@requires(P.ORDER_FOR_UNIT)
@for_units
def open_one(cooperative_no: str) -> ResponseReturnValue:
    """The plan; then its windows and what they cost, to look at; then the standing order."""
    session, actor = current_session(), current_actor()
    cooperative = queries.seller_by_no(session, cooperative_no)
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    if unit is None:
        raise NotFound
    listings = queries.listings_for_sale(session, cooperative)
    form, typed, seen = PlanForm(), request.form, None
    if request.method == "GET":
        form = PlanForm(data=_prefilled(unit), starts_on=today() + timedelta(days=7))
    elif typed.get("step") != "edit" and form.validate_on_submit():
        try:
            plan = form.plan(read_lines(typed, listings))
            if not plan.lines:
                raise Refused("no_line", plans.NO_LINE)
            seen = plans.planned_windows(session, unit, plan)
            if typed.get("step") == "send":
                standing = rules.open_standing_order(
                    session,
                    actor,
                    cooperative=cooperative,
                    plan=plan,
                    idempotency_key=form.idempotency_key.data or "",
                )
                flash(_("长期订单已提交，等待本单位审批人办理"), "success")
                return redirect(url_for(".show", standing_no=standing.public_no), 303)
        except DomainError as error:
            place_error(form, error)
            seen, listings = None, queries.listings_for_sale(session, cooperative)
    context = {"form": form, "typed": typed, "listings": listings, "cooperative": cooperative}
    if seen is not None:
        by_no = {one.public_no: one for one in listings}
        lines = [
            queries.PlannedLine(by_no[wish.listing_no], wish.quantity, wish.price_rule, wish.price_fen)
            for wish in read_lines(typed, listings)
        ]
        return render_template(f"{PLACE}check.html", days=seen, lines=lines, words=clock_words, **context)
    page = render_template(f"{PLACE}plan.html", rules=PriceRule, **context)
    return page, 422 if form.errors else 200


def _prefilled(unit: BuyerUnit) -> dict[str, Any]:
    return {
        "recipient_name": unit.contact_name,
        "recipient_phone": unit.contact_phone,
        "address": unit.address,
        "idempotency_key": PlanForm().idempotency_key.default(),
    }


@bp.get("/<standing_no>")
@requires(*READERS)
def show(standing_no: str) -> ResponseReturnValue:
    """One standing order with its deliveries and its history."""
    return _page_of(_standing(standing_no))


def _standing(standing_no: str) -> StandingOrder:
    return queries.standing_by_no(current_session(), current_actor(), standing_no)


def _page_of(standing: StandingOrder, **forms: Any) -> ResponseReturnValue:
    """The page of a standing order; `forms` with errors stand open in it."""
    session = current_session()
    lines = queries.plan_of(standing)
    page = page_of(session, queries.windows_of(standing))
    each_fen = sum(line.estimate_fen for line in lines)
    limit = LimitForm(up_to=None, up_to_windows=page.total)
    if not limit.up_to.data:
        limit.up_to.data = format_yuan(each_fen * page.total, grouped=False)
    context = {
        "reason_for": reason_for,
        "limit_form": limit,
        "declared": queries.capacity_declared(session, [line.listing.id for line in lines]),
        **forms,
    }
    answer = render_template(
        f"{PLACE}show.html",
        standing=standing,
        lines=lines,
        each_fen=each_fen,
        page=page,
        planned=queries.lines_of(session, page.rows),
        history=queries.history_of(session, standing),
        words=clock_words,
        **context,
    )
    return answer, 422 if any(form.errors for form in forms.values()) else 200


@bp.post("/<standing_no>/approve")
@requires(P.APPROVE_ORDERS, P.ORDER_FOR_UNIT)
def approve(standing_no: str) -> ResponseReturnValue:
    """Let the deliveries pass up to a sum and a number."""
    standing, form = _standing(standing_no), LimitForm()
    if not form.validate_on_submit():
        return _page_of(standing, limit_form=form)
    try:
        rules.approve_standing(
            current_session(),
            current_actor(),
            standing,
            up_to_fen=read_price(form.up_to.data or "", form.up_to.label.text, "up_to"),
            up_to_windows=form.up_to_windows.data or 0,
        )
    except Refused as error:
        place_error(form, error)
        return _page_of(_standing(standing_no), limit_form=form)
    flash(_("已批准，长期订单已送达合作社"), "success")
    return redirect(url_for(".show", standing_no=standing_no), 303)


ENDINGS = {"reject": rules.reject_standing, "pause": rules.pause_standing, "resume": rules.resume_standing,
           "end": rules.end_standing}  # fmt: skip


@bp.post("/<standing_no>/<any(reject, pause, resume, end):verb>")
@requires(P.APPROVE_ORDERS, P.ORDER_FOR_UNIT)
def move(standing_no: str, verb: str) -> ResponseReturnValue:
    """Turn down, pause, resume or end a standing order, with a reason."""
    standing, form = _standing(standing_no), ReasonForm()
    if not form.validate_on_submit():
        flash(_("请写明原因"), "error")
    else:
        ENDINGS[verb](current_session(), current_actor(), standing, reason=form.reason.data or "")
        flash(_("已办理"), "success")
    return redirect(url_for(".show", standing_no=standing_no), 303)


@bp.route("/<standing_no>/windows/<day>", methods=["GET", "POST"])
@requires(*READERS)
def window(standing_no: str, day: str) -> ResponseReturnValue:
    """One delivery, and the form that changes it alone."""
    session, one = current_session(), _window(standing_no, day)
    if request.method == "GET":
        return _window_page(one, _filled(one))
    form, listings = WindowForm(), _listings(one)
    if form.validate_on_submit():
        try:
            windows.change_window(
                session,
                current_actor(),
                one,
                quantities=read_units(request.form, "units", listings),
                deliver_on=form.deliver_on.data,
                slot=plans.Slot(minutes(form.slot_from.data), minutes(form.slot_to.data)),
                reason=form.reason.data or "",
            )
        except DomainError as error:
            place_error(form, error)
            one = _window(standing_no, day)
        else:
            flash(_("这一次已改，其余各次不变"), "success")
            return redirect(url_for(".window", standing_no=standing_no, day=day), 303)
    return _window_page(one, form)


def _window(standing_no: str, day: str) -> DeliveryWindow:
    return queries.window_of(current_session(), _standing(standing_no), day)


def _listings(one: DeliveryWindow) -> list[Listing]:
    return [line.listing for line in queries.lines_of(current_session(), [one])[one.id]]


def _filled(one: DeliveryWindow) -> WindowForm:
    return WindowForm(
        formdata=None,
        deliver_on=one.deliver_on,
        slot_from=time(*divmod(one.slot_from_min, 60)),
        slot_to=time(*divmod(min(one.slot_to_min, 1439), 60)),
    )


def _window_page(one: DeliveryWindow, form: WindowForm) -> ResponseReturnValue:
    session = current_session()
    page = render_template(
        f"{PLACE}window.html",
        window=one,
        standing=one.standing,
        lines=queries.lines_of(session, [one])[one.id],
        proposals=queries.proposals_for(session, one),
        history=queries.history_of_window(session, one),
        form=form,
        typed=request.form,
        reason_for=reason_for,
        answer_form=AnswerForm(formdata=None),
        words=clock_words,
        can_change=windows.is_changeable(one),
        can_answer=windows.is_answerable(one),
    )
    return page, 422 if form.errors else 200


@bp.post("/<standing_no>/windows/<day>/<any(skip, restore):verb>")
@requires(P.ORDER_FOR_UNIT)
def skip(standing_no: str, day: str, verb: str) -> ResponseReturnValue:
    """Do without one delivery, or take it after all."""
    form, act = ReasonForm(), windows.skip_window if verb == "skip" else windows.restore_window
    if not form.validate_on_submit():
        flash(_("请写明原因"), "error")
    else:
        act(current_session(), current_actor(), _window(standing_no, day), reason=form.reason.data or "")
        flash(_("已跳过这一次，其余各次不变") if verb == "skip" else _("这一次照常送货"), "success")
    return redirect(url_for(".window", standing_no=standing_no, day=day), 303)


@bp.post("/<standing_no>/windows/<day>/answer")
@requires(P.ORDER_FOR_UNIT)
def answer(standing_no: str, day: str) -> ResponseReturnValue:
    """Let a held delivery be ordered after all."""
    form, one = AnswerForm(), _window(standing_no, day)
    if not form.validate_on_submit():
        flash(_("请写明原因"), "error")
        return redirect(url_for(".window", standing_no=standing_no, day=day), 303)
    try:
        windows.answer_hold(
            current_session(),
            current_actor(),
            one,
            quantities=read_units(request.form, "units", _listings(one)),
            accepts_prices=bool(form.accepts_prices.data),
            reason=form.reason.data or "",
        )
    except Refused as error:
        current_session().rollback()
        flash(explain(error), "error")
    else:
        nudge("generate deliveries")
        flash(_("已提交，马上重新下单"), "success")
    return redirect(url_for(".window", standing_no=standing_no, day=day), 303)


@bp.post("/<standing_no>/windows/<day>/substitutes/<number>/<any(consent, refuse):verb>")
@requires(P.ORDER_FOR_UNIT)
def answer_substitute(standing_no: str, day: str, number: str, verb: str) -> ResponseReturnValue:
    """Take a substitute for one delivery, or not."""
    session, one, form = current_session(), _window(standing_no, day), ReasonForm()
    proposed = _proposal(queries.proposals_for(session, one), number)
    try:
        windows.answer_substitute(
            session,
            current_actor(),
            proposed,
            consents=verb == "consent",
            reason=form.reason.data or "",
        )
    except Refused as error:
        tell(error)
    else:
        nudge("generate deliveries")
        flash(_("已同意替代，只限这一次") if verb == "consent" else _("已答复合作社"), "success")
    return redirect(url_for(".window", standing_no=standing_no, day=day), 303)


def _proposal(proposals: Sequence[Substitution], number: str) -> Substitution:
    found = next((one for one in proposals if one.public_no == number), None)
    if found is None:
        raise NotFound
    return found
