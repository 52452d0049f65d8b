"""The three lists of a place, filled for what is chosen so far: asked by htmx when a choice changes."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from marketplace.identity.access import signed_in
from marketplace.registry.places.forms import PlaceChoice
from marketplace.web.transaction import current_session

bp = Blueprint("places", __name__)


@bp.get("/places")
@signed_in
def lists() -> ResponseReturnValue:
    """The lists below `?county_code=` and `?township_code=`."""
    form = PlaceChoice(request.args)
    form.offer(current_session())
    return render_template("registry/places/fields.html", form=form)
