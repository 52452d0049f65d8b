"""The shelf of a cooperative."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.shelf import queries
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("shelf", __name__)


@bp.get("/workshop/stock")
@requires(Permission.MANAGE_LISTINGS)
def index() -> ResponseReturnValue:
    """Units and lots of each product."""
    page = page_of(current_session(), queries.products_on_shelf(current_actor()))
    shelves = queries.shelves_of(current_session(), page.rows)
    return render_template("ordering/shelf/index.html", page=page, shelves=shelves)
