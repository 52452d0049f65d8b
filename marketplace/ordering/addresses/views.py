"""One's own addresses: the list, adding, changing, removing."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.addresses import queries, rules
from marketplace.ordering.addresses.forms import OUTSIDE, AddressForm
from marketplace.ordering.addresses.models import SavedAddress
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("addresses", __name__, url_prefix="/account/addresses")
buyer = requires(Permission.BUY_PERSONALLY)


@bp.get("")
@buyer
def index() -> ResponseReturnValue:
    """The addresses."""
    rows = queries.addresses_of(current_session(), current_actor())
    return render_template("ordering/addresses/index.html", rows=rows, most=rules.MOST)


@bp.route("/new", methods=["GET", "POST"])
@buyer
def new() -> ResponseReturnValue:
    """Keep a new one."""
    return _edit(AddressForm(), None)


@bp.route("/<number>", methods=["GET", "POST"])
@buyer
def edit(number: str) -> ResponseReturnValue:
    """Change one."""
    found = queries.address_by_no(current_session(), current_actor(), number)
    kept = {
        name: getattr(found, name) for name in ("recipient_name", "recipient_phone", "address", "is_default")
    }
    return _edit(AddressForm(data=kept | {"region": found.region_code or OUTSIDE}), found)


def _edit(form: AddressForm, found: SavedAddress | None) -> ResponseReturnValue:
    session = current_session()
    if form.validate_on_submit():
        try:
            rules.save_address(
                session, current_actor(), form.place, is_default=bool(form.is_default.data), instead=found
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("地址已保存"), "success")
            return redirect(url_for(".index"), 303)
    form.offer_regions(session)
    page = render_template("ordering/addresses/edit.html", form=form, is_new=found is None)
    return page, 422 if form.errors else 200


@bp.post("/<number>/default")
@buyer
def default(number: str) -> ResponseReturnValue:
    """Begin checkouts with this one."""
    session, actor = current_session(), current_actor()
    rules.make_default(session, actor, queries.address_by_no(session, actor, number))
    flash(_("已设为默认地址"), "success")
    return redirect(url_for(".index"), 303)


@bp.post("/<number>/remove")
@buyer
def remove(number: str) -> ResponseReturnValue:
    """Forget this one."""
    session, actor = current_session(), current_actor()
    rules.remove_address(session, actor, queries.address_by_no(session, actor, number))
    flash(_("地址已删除"), "success")
    return redirect(url_for(".index"), 303)
