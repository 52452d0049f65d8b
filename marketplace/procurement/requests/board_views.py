"""The public board of demand and supply. It names no unit and no person: a unit shows as its kind and county."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from marketplace.catalog.models import Category
from marketplace.identity.access import current_actor, public
from marketplace.identity.permissions import Permission
from marketplace.procurement.requests import queries
from marketplace.procurement.requests.forms import category_choices
from marketplace.registry.queries import counties
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("board", __name__)
SIDES = ("demand", "supply")
MAX_WORDS = 40


@bp.get("/board")
@public
def index() -> ResponseReturnValue:
    """Open requests, or supplies, filtered by category, county and words."""
    session = current_session()
    side = request.args.get("side", "") if request.args.get("side", "") in SIDES else SIDES[0]
    category = session.get(Category, request.args.get("category", "")[:40])
    wanted: dict[str, Any] = {
        "category": category,
        "county_code": request.args.get("county", "")[:6],
        "text": request.args.get("q", "")[:MAX_WORDS],
    }
    query = queries.open_requests(**wanted) if side == "demand" else queries.open_supplies(**wanted)
    return render_template(
        "procurement/requests/board.html",
        page=page_of(session, query),
        side=side,
        category=category,
        wanted=wanted,
        categories=category_choices(session),
        counties=counties(session),
        filtered=any(wanted.values()),
    )


@bp.get("/board/<request_no>")
@public
def posted(request_no: str) -> ResponseReturnValue:
    """One request as the public reads it; a cooperative offers from here."""
    session, actor = current_session(), current_actor()
    found = queries.board_request_by_no(session, request_no)
    return render_template(
        "procurement/requests/posted.html",
        found=found,
        current=found.current,
        taking=queries.takes_offers(found),
        own=queries.own_offer_on(session, actor, found) if actor.can(Permission.MANAGE_LISTINGS) else None,
    )
