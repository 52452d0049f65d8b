"""The statistics of a cooperative."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.reporting.sales.queries import sales_of
from marketplace.web.transaction import current_session

bp = Blueprint("sales", __name__)


@bp.get("/workshop/sales")
@requires(Permission.FULFIL_ORDERS)
def index() -> ResponseReturnValue:
    """Twelve months of settled sales."""
    actor = current_actor()
    if actor.cooperative_id is None:
        raise NotFound
    sales = sales_of(current_session(), actor.cooperative_id, until=today())
    return render_template("reporting/sales.html", sales=sales)
