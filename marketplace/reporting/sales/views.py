"""What sold, with a chart: for a cooperative its sales, for a unit its purchases, for an official its jurisdiction."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order
from marketplace.ordering.queries import UNIT_DUTIES
from marketplace.payments.models import Settlement
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.reporting.sales.queries import sales_of
from marketplace.web.transaction import current_session

bp = Blueprint("sales", __name__)


@bp.get("/workshop/sales")
@requires(Permission.FULFIL_ORDERS)
def index() -> ResponseReturnValue:
    """Twelve months of a cooperative's settled sales."""
    actor = current_actor()
    if actor.cooperative_id is None:
        raise NotFound
    return _page("cooperative", Settlement.cooperative_id == actor.cooperative_id)


@bp.get("/unit-purchases")
@requires(*UNIT_DUTIES)
def unit() -> ResponseReturnValue:
    """Twelve months of what a unit bought, accepted and paid."""
    actor = current_actor()
    if actor.buyer_unit_id is None:
        raise NotFound
    return _page("unit", Order.buyer_unit_id == actor.buyer_unit_id)


@bp.get("/region-sales")
@requires(Permission.READ_QUOTAS)
def region() -> ResponseReturnValue:
    """Twelve months of what the cooperatives of a jurisdiction sold."""
    return _page("region", Settlement.cooperative_id.in_(cooperatives_within(current_actor())))


def _page(view: str, whose: ColumnElement[bool]) -> str:
    sales = sales_of(current_session(), whose, until=today())
    return render_template("reporting/sales.html", sales=sales, view=view)
