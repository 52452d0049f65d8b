"""Shipping, receiving and inspecting on the page: made for a phone at the ramp, working without scripts."""

from __future__ import annotations

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
from marketplace.ordering.forms import ReasonForm, ShipForm
from marketplace.ordering.queries import delivery_by_no, part_by_no
from marketplace.procurement.compliance.queries import certificates_of_lots
from marketplace.procurement.receiving import queries, rules
from marketplace.procurement.receiving.forms import (
    InspectForm,
    PolicyForm,
    RampForm,
    ReceiveForm,
    inspect_form,
    receive_form,
)
from marketplace.web.filters import day
from marketplace.web.forms import place_error, tell
from marketplace.web.jobs import nudge
from marketplace.web.transaction import current_session

bp = Blueprint("receiving", __name__)
P = Permission
RECEIVERS = (P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT)
PARTIES = (*RECEIVERS, P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.PAY_FOR_UNIT, P.FULFIL_ORDERS, P.READ_AUDIT)


@bp.post("/fulfilment/<part_no>/ship")
@requires(P.FULFIL_ORDERS)
def ship(part_no: str) -> ResponseReturnValue:
    """The cooperative sends the goods."""
    session, actor, form = current_session(), current_actor(), ShipForm()
    part = part_by_no(session, actor, part_no)
    if not form.validate_on_submit():
        page = render_template(
            "ordering/part.html", part=part, ship_form=form, reason_form=ReasonForm(formdata=None)
        )
        return page, 422
    try:
        rules.ship_goods(
            session, actor, part, carrier=form.carrier.data or "", waybill_no=form.waybill_no.data or ""
        )
    except DomainError as error:
        tell(error)
    else:
        flash(_("已发货"), "success")
    return redirect(url_for("ordering.part", part_no=part_no), 303)


@bp.get("/deliveries/find")
@requires(*RECEIVERS)
def find() -> ResponseReturnValue:
    """The delivery under a number that was typed or scanned; a scanner may hand over the whole address."""
    typed = request.args.get("no", "").strip().upper().rstrip("/").rpartition("/")[2]
    try:
        part = delivery_by_no(current_session(), current_actor(), typed)
    except NotFound:
        flash(_("没有找到编号为 %(no)s 的到货，请核对送货单", no=typed[:20]), "error")
        return redirect(url_for("ordering.deliveries"), 303)
    return redirect(url_for(".delivery", part_no=part.public_no), 303)


@bp.get("/deliveries/<part_no>")
@requires(*RECEIVERS)
def delivery(part_no: str) -> ResponseReturnValue:
    """One delivery: where the QR code of its delivery note leads."""
    return _delivery_page(part_no)


def _delivery_page(part_no: str, form: ReceiveForm | None = None) -> str:
    session = current_session()
    part = delivery_by_no(session, current_actor(), part_no)
    round_no, delivered = queries.delivered_lines(session, part)
    lots = queries.lots_delivered(session, part)
    return render_template(
        "procurement/receiving/delivery.html",
        part=part,
        round_no=round_no,
        delivered=delivered,
        receipt=queries.receipt_of(session, part, round_no),
        inspections=queries.inspections_of(session, [part.id]),
        lots=lots,
        certificates=certificates_of_lots(
            session, {one.lot_id for shares in lots.values() for one in shares}
        ),
        form=form or receive_form(delivered),
        whole=RampForm(formdata=None),
    )


@bp.post("/deliveries/<part_no>/receive")
@requires(*RECEIVERS)
def receive(part_no: str) -> ResponseReturnValue:
    """The goods have arrived: with one press, or with what was weighed and photographed."""
    session, actor = current_session(), current_actor()
    part = delivery_by_no(session, actor, part_no)
    _round, delivered = queries.delivered_lines(session, part)
    form = receive_form(delivered)
    if not form.validate_on_submit():
        return _delivery_page(part_no, form), 422
    try:
        receipt = rules.receive_goods(
            session,
            actor,
            current_app.extensions["files"],
            part,
            arrival=form.arrival(delivered),
            idempotency_key=request.form.get("idempotency_key"),
        )
    except DomainError as error:
        place_error(form, error)
        return _delivery_page(part_no, form), error.status
    flash(_("已登记收货，请在 %(day)s 前检查并验收", day=day(receipt.inspect_by_on)), "success")
    return redirect(url_for("ordering.order", order_no=part.order.public_no), 303)


@bp.post("/deliveries/<part_no>/accept")
@requires(*RECEIVERS)
def accept(part_no: str) -> ResponseReturnValue:
    """The goods are what was ordered: the one press for a delivery without a fault."""
    session, actor = current_session(), current_actor()
    part = delivery_by_no(session, actor, part_no)
    key = request.form.get("idempotency_key")
    rules.inspect_goods(session, actor, current_app.extensions["files"], part, idempotency_key=key)
    nudge("bill accepted parts")
    nudge("settle lines")
    flash(_("已验收，谢谢。货款会按约定记到每一户名下"), "success")
    return redirect(url_for("ordering.order", order_no=part.order.public_no), 303)


@bp.route("/deliveries/<part_no>/inspect", methods=["GET", "POST"])
@requires(*RECEIVERS)
def inspect(part_no: str) -> ResponseReturnValue:
    """Line by line: what is not accepted, and why."""
    session, actor = current_session(), current_actor()
    part = delivery_by_no(session, actor, part_no)
    _round, delivered = queries.delivered_lines(session, part)
    form = inspect_form(delivered)
    if form.validate_on_submit():
        try:
            found = rules.inspect_goods(
                session,
                actor,
                current_app.extensions["files"],
                part,
                verdicts=form.verdicts(delivered),
                note=form.note.data or "",
                idempotency_key=form.idempotency_key.data,
            )
        except DomainError as error:
            place_error(form, error)
            return _inspect_page(part_no, form), error.status
        flash(_("已登记拒收，等待合作社答复；答复前不会产生货款"), "success")
        return redirect(url_for("rejections.rejection", rejection_no=found.public_no), 303)
    return _inspect_page(part_no, form), 422 if form.errors else 200


def _inspect_page(part_no: str, form: InspectForm) -> str:
    session = current_session()
    part = delivery_by_no(session, current_actor(), part_no)
    round_no, delivered = queries.delivered_lines(session, part)
    receipt = queries.receipt_of(session, part, round_no)
    return render_template(
        "procurement/receiving/inspect.html",
        part=part,
        delivered=delivered,
        receipt=receipt,
        weights={line.line_id: line.mass_g for line in receipt.lines} if receipt else {},
        form=form,
        whole=RampForm(formdata=None),
    )


@bp.get("/delivery-files/<file_no>")
@requires(*PARTIES, P.MEDIATE_DISPUTES)
def file(file_no: str) -> ResponseReturnValue:
    """A photo or paper about a delivery, for the parties."""
    found = queries.part_file_by_no(current_session(), current_actor(), file_no)
    content = current_app.extensions["files"].read(found.address, sealed=found.sealed)
    response: Response = send_file(
        BytesIO(content), mimetype=found.media_type, download_name=found.name, as_attachment=False
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response


@bp.route("/receiving-policy", methods=["GET", "POST"])
@requires(P.APPROVE_ORDERS)
def policy() -> ResponseReturnValue:
    """What the unit asks of its deliveries."""
    session, actor = current_session(), current_actor()
    if actor.buyer_unit_id is None:
        raise NotFound
    form = PolicyForm(obj=queries.asked_by(session, actor.buyer_unit_id))
    if form.validate_on_submit():
        try:
            rules.change_policy(
                session,
                actor,
                inspection_days=form.inspection_days.data or 0,
                needs_certificates=form.needs_certificates.data,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("收货要求已保存，从下一批到货起生效"), "success")
            return redirect(url_for("buyer_units.own"), 303)
    page = render_template("procurement/receiving/policy.html", form=form)
    return page, 422 if form.errors else 200
