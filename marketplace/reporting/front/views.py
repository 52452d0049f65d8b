"""Home, and the map of counties with a table beside it. Open to everybody."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from werkzeug.datastructures import MultiDict

from marketplace.catalog.asking import read_request
from marketplace.catalog.content.read import in_season
from marketplace.catalog.queries import category_tree
from marketplace.catalog.stories.queries import newest_stories
from marketplace.catalog.views.storefront import category_name, current_engine, shown_listings
from marketplace.core.clock import today
from marketplace.identity.access import public
from marketplace.registry.queries import counties
from marketplace.reporting.front import queries
from marketplace.web.transaction import current_session

bp = Blueprint("front", __name__)
HOME_SIZE = 12
MOST_SOLD = 6
MOST_IN_SEASON = 10


@bp.get("/")
@public
def home() -> ResponseReturnValue:
    """What this is, what is ripe, what stands first by priority entry, the pilots, and where the last sales went."""
    session = current_session()
    result = current_engine().search(read_request(MultiDict(), page=1, size=HOME_SIZE))
    kinds = {one.code: one.count for one in result.facets.category}
    places = {one.code: one.count for one in result.facets.county}
    tree = category_tree(session)
    known = {category.code: category for category in tree}
    ripe = [known[code] for code in in_season(today().month) if code in known and kinds.get(code)]
    return render_template(
        "reporting/front/home.html",
        shown=shown_listings(result.listing_nos),
        families=[(one, kinds.get(one.code, 0)) for one in tree if one.path.count("/") == 1],
        ripe=[(one, kinds[one.code]) for one in ripe[:MOST_IN_SEASON]],
        pilots=[(one, places.get(one.code, 0)) for one in counties(session, only_pilot=True)],
        sold=queries.recently_sold(session, most=MOST_SOLD),
        stories=newest_stories(session),
        month=format_date(today(), "LLLL"),
        name_of=category_name,
    )


@bp.get("/counties")
@public
def county_table() -> ResponseReturnValue:
    """Linked households and sales of each county, as a map and as a table."""
    figures, totals = queries.county_figures(current_session())
    return render_template("reporting/front/counties.html", figures=figures, totals=totals)


@bp.get("/counties.json")
@public
def county_data() -> ResponseReturnValue:
    """The same figures for the map: by county code; null where withheld. Sums in fen."""
    figures, _totals = queries.county_figures(current_session())
    return {
        row.county.code: {
            "name": row.county.name,
            "cooperatives": row.cooperatives,
            "households": row.households,
            "sales_fen": row.sales_fen,
        }
        for row in figures
    }
