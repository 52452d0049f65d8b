"""The API of orders: a buyer's own and its unit's, with parts, lines and where each stands."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields

from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.queries import order_by_no, orders_visible_to
from marketplace.ordering.states import PartState
from marketplace.web.api import CursorSchema, page_of_items
from marketplace.web.transaction import current_session

bp = Blueprint("orders_api", __name__, url_prefix="/api/v1/orders", description="Orders, newest first.")
READERS = requires(
    Permission.BUY_PERSONALLY,
    Permission.ORDER_FOR_UNIT,
    Permission.APPROVE_ORDERS,
    Permission.RECEIVE_FOR_UNIT,
    Permission.PAY_FOR_UNIT,
    Permission.READ_AUDIT,
)


class LineSchema(Schema):
    """What was bought, as it was at the time."""

    no = fields.String(required=True)
    title = fields.String(required=True)
    unit = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price_fen = fields.Integer(required=True)
    net_fen = fields.Integer(required=True)
    certificate = fields.String(required=True, allow_none=True)


class PartSchema(Schema):
    """What one cooperative delivers."""

    no = fields.String(required=True)
    cooperative = fields.String(required=True)
    state = fields.String(required=True, metadata={"enum": [state.value for state in PartState]})
    total_fen = fields.Integer(required=True)
    freight_fen = fields.Integer(required=True)
    accepted_at = fields.AwareDateTime(required=True, allow_none=True)
    paid_at = fields.AwareDateTime(required=True, allow_none=True)
    lines = fields.List(fields.Nested(LineSchema), required=True)


class OrderSchema(Schema):
    """One order; every line points back to it through its part."""

    no = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": [kind.value for kind in OrderKind]})
    placed_at = fields.AwareDateTime(required=True)
    total_fen = fields.Integer(required=True)
    parts = fields.List(fields.Nested(PartSchema), required=True)


class OrderPageSchema(Schema):
    """Orders, newest first. `next` is the cursor of the following page, null at the end."""

    items = fields.List(fields.Nested(OrderSchema), required=True)
    next = fields.String(required=True, allow_none=True)


def order_document(order: Order) -> dict[str, Any]:
    """`order` as OrderSchema writes it."""
    return {
        "no": order.public_no,
        "kind": order.kind.value,
        "placed_at": order.placed_at,
        "total_fen": order.total_fen,
        "parts": [
            {
                "no": part.public_no,
                "cooperative": part.cooperative.public_no,
                "state": part.state.value,
                "total_fen": part.total_fen,
                "freight_fen": part.freight_fen,
                "accepted_at": part.accepted_at,
                "paid_at": part.paid_at,
                "lines": [
                    {
                        "no": line.public_no,
                        "title": line.title,
                        "unit": line.unit_name,
                        "quantity": line.quantity,
                        "unit_price_fen": line.unit_price_fen,
                        "net_fen": line.net_fen,
                        "certificate": line.certificate_no or None,
                    }
                    for line in part.lines
                ],
            }
            for part in order.parts
        ],
    }


@bp.route("/")
@READERS
@bp.arguments(CursorSchema, location="query")
@bp.response(200, OrderPageSchema)
def list_orders(asked: dict[str, Any]) -> dict[str, Any]:
    """The orders the reader may see; follow `next` through `after`."""
    session, actor, limit = current_session(), current_actor(), asked["limit"]
    query = orders_visible_to(actor).limit(limit + 1)
    if "after" in asked:
        query = query.where(Order.id < order_by_no(session, actor, asked["after"]).id)
    return page_of_items([order_document(order) for order in session.scalars(query).unique()], limit=limit)


@bp.route("/<string:order_no>")
@READERS
@bp.response(200, OrderSchema)
def show_order(order_no: str) -> dict[str, Any]:
    """One order."""
    return order_document(order_by_no(current_session(), current_actor(), order_no))
