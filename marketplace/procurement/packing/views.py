"""The packing table on the page: choose orders, confirm them, print pick list and labels, type or upload waybills."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.core.workbooks import XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.states import PartState
from marketplace.procurement.packing import queries, rules, sheets
from marketplace.procurement.packing.forms import WaybillSheetForm
from marketplace.web.downloads import download
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.qr import qr_to
from marketplace.web.transaction import current_session

bp = Blueprint("packing", __name__, url_prefix="/packing")
seller = requires(Permission.FULFIL_ORDERS)


@bp.get("")
@seller
def index() -> ResponseReturnValue:
    """What is to be confirmed (`?state=placed`), and what is to be packed and shipped."""
    return _page()


def _page(
    outcome: rules.Outcome | None = None, form: WaybillSheetForm | None = None, status: int = 200
) -> ResponseReturnValue:
    asked = request.values.get("state", PartState.CONFIRMED.value)
    state = PartState.PLACED if asked == PartState.PLACED.value else PartState.CONFIRMED
    page = page_of(current_session(), queries.parts_to_pack(current_actor(), state))
    shown = render_template(
        "procurement/packing/index.html",
        page=page,
        state=state,
        outcome=outcome,
        form=form or WaybillSheetForm(formdata=None),
        typed=request.form,
    )
    return shown, status


@bp.post("/confirm")
@seller
def confirm() -> ResponseReturnValue:
    """Confirm the orders that were ticked."""
    try:
        outcome = rules.confirm_parts(current_session(), current_actor(), request.form.getlist("part"))
    except DomainError as error:
        flash(explain(error), "error")
        return redirect(url_for(".index", state=PartState.PLACED.value), 303)
    _tell(outcome, _("已确认 %(count)s 张订单", count=len(outcome.done)))
    return redirect(url_for(".index", state=PartState.PLACED.value), 303)


@bp.get("/pick-list")
@seller
def pick() -> ResponseReturnValue:
    """What to fetch from which lot, for the orders that were ticked, or all that wait."""
    session, actor = current_session(), current_actor()
    parts = queries.chosen_parts(session, actor, request.args.getlist("part"))
    picked = queries.pick_list(session, parts)
    return render_template("procurement/packing/pick_list.html", parts=parts, picked=picked)


@bp.get("/labels")
@seller
def labels() -> ResponseReturnValue:
    """A label for each order, to stick on its parcel."""
    parts = queries.chosen_parts(current_session(), current_actor(), request.args.getlist("part"))
    codes = {part.id: qr_to(url_for("receiving.delivery", part_no=part.public_no)) for part in parts}
    return render_template("procurement/packing/labels.html", parts=parts, codes=codes)


@bp.post("/ship")
@seller
def ship() -> ResponseReturnValue:
    """Ship the rows in which a carrier was typed; what is refused keeps what was typed."""
    form = request.form
    numbers = form.getlist("row")
    rows = [
        rules.Waybill(row, number, carrier, form.get(f"waybill-{number}", ""))
        for row, number in enumerate(numbers, start=1)
        if (carrier := form.get(f"carrier-{number}", "").strip()) or form.get(f"waybill-{number}", "").strip()
    ]
    return _shipped(rows)


def _shipped(rows: list[rules.Waybill], form: WaybillSheetForm | None = None) -> ResponseReturnValue:
    try:
        outcome = rules.ship_parts(current_session(), current_actor(), rows)
    except DomainError as error:
        flash(explain(error), "error")
        return _page(form=form, status=422)
    if outcome.done or not outcome.refused:
        flash(_("已发货 %(count)s 张订单", count=len(outcome.done)), "success")
    if outcome.before:
        flash(_("%(count)s 张此前已发货，没有重复登记", count=len(outcome.before)), "success")
    if not outcome.refused:
        return redirect(url_for(".index"), 303)
    return _page(outcome, form, 422)


@bp.get("/waybills.xlsx")
@seller
def sheet() -> Response:
    """What waits to be shipped, as a sheet to fill."""
    parts = queries.chosen_parts(current_session(), current_actor(), [])
    name = _("待发货_%(day)s.xlsx", day=today().isoformat())
    return download(sheets.write_waybills(parts, _), XLSX, name=name)


@bp.post("/waybills")
@seller
def upload() -> ResponseReturnValue:
    """Ship what a filled sheet says."""
    form = WaybillSheetForm()
    if not form.validate_on_submit():
        return _page(form=form, status=422)
    try:
        rows = sheets.read_waybills(form.file.data.read())
    except DomainError as error:
        place_error(form, error)
        return _page(form=form, status=422)
    return _shipped(rows, form)


def _tell(outcome: rules.Outcome, words: str) -> None:
    if outcome.done:
        flash(words, "success")
    for error in outcome.refused.values():
        flash(explain(error), "error")
