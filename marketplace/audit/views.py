"""The auditor's pages: find a number, follow a credit back, follow a line forward, watch what waits."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.audit import queries, trace
from marketplace.core.clock import now
from marketplace.core.errors import NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("audit", __name__, url_prefix="/audit")
audits = requires(Permission.READ_AUDIT)


@bp.get("/")
@audits
def index() -> ResponseReturnValue:
    """Start: type a number, or take one of the newest credits."""
    session, number = current_session(), request.args.get("number", "").strip()
    if number:
        try:
            kind, found = trace.found_number(session, current_actor(), number)
        except NotFound:
            flash(
                _("没有编号为“%(number)s”的入账、订单行或订单，请核对后再查", number=number[:40]), "warning"
            )
        else:
            pages = {"credit": ".credit", "line": ".line", "order": "ordering.order"}
            values = {"credit": "credit_no", "line": "line_no", "order": "order_no"}
            return redirect(url_for(pages[kind], **{values[kind]: found}))
    return render_template(
        "audit/index.html", page=page_of(session, queries.recent_credits(current_actor())), number=number
    )


@bp.get("/settlements")
@audits
def settlements() -> ResponseReturnValue:
    """Settled order lines."""
    return render_template(
        "audit/settlements.html", page=page_of(current_session(), queries.recent_settlements(current_actor()))
    )


@bp.get("/waiting")
@audits
def waiting() -> ResponseReturnValue:
    """Pools that wait for evidence, by age."""
    return render_template(
        "audit/waiting.html",
        page=page_of(current_session(), queries.waiting_pools(current_actor())),
        at=now(),
    )


@bp.get("/credits/<credit_no>")
@audits
def credit(credit_no: str) -> ResponseReturnValue:
    """A credit, back to line, order, acceptance, payment, terms, weights and evidence."""
    return render_template(
        "audit/credit.html", trace=trace.trace_credit(current_session(), current_actor(), credit_no)
    )


@bp.get("/lines/<line_no>")
@audits
def line(line_no: str) -> ResponseReturnValue:
    """A line, forward to every household's share."""
    return render_template(
        "audit/line.html", trace=trace.trace_line(current_session(), current_actor(), line_no)
    )
