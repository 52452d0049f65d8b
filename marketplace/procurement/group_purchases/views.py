"""The pages of group purchases: opening one, taking part, and the packing list."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.queries import listing_by_no
from marketplace.core.clock import SHANGHAI, now
from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.forms import QuantityForm
from marketplace.ordering.models import OrderKind
from marketplace.ordering.served import require_served, serves_persons, serves_units
from marketplace.procurement.group_purchases import queries, rules
from marketplace.procurement.group_purchases.forms import GroupForm, ShareForm
from marketplace.procurement.group_purchases.models import Paying
from marketplace.registry.models import BuyerUnit
from marketplace.web.forms import place_error, tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("group_purchases", __name__)
P = Permission
OPENERS = (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT)
READERS = (*OPENERS, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
DAYS_OPEN = 3


@bp.get("/groups")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """The group purchases of one's body."""
    session, actor = current_session(), current_actor()
    page = page_of(session, queries.groups_visible_to(actor))
    counts = queries.members_counts(session, [row.id for row in page.rows])
    return render_template(
        "procurement/group_purchases/index.html",
        page=page,
        counts=counts,
        is_open=queries.is_open,
        has_body=actor.organisation_id is not None,
    )


@bp.route("/groups/new", methods=["GET", "POST"])
@requires(*OPENERS)
def new() -> ResponseReturnValue:
    """Open a group purchase."""
    session, actor = current_session(), current_actor()
    ways = _ways(actor)
    form = GroupForm(data=_first_typed(actor, ways)) if request.method == "GET" else GroupForm()
    form.offer(ways)
    if form.validate_on_submit():
        try:
            group = rules.open_group(
                session, actor, plan=form.plan, idempotency_key=form.idempotency_key.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("拼单已发起，把这一页的地址发给同事就可以参加"), "success")
            return redirect(url_for(".show", group_no=group.public_no), 303)
    return render_template("procurement/group_purchases/new.html", form=form), 422 if form.errors else 200


def _ways(actor: Actor) -> list[Paying]:
    """Who may pay: the union where the actor spends its money, or each person; as far as the deployment sells to them.
    Raises NotServed when nobody is left."""
    pays_for_unit = actor.can(P.ORDER_FOR_UNIT) and actor.buyer_unit_id is not None
    ways = [Paying.UNION] if pays_for_unit and serves_units() else []
    ways += [Paying.EACH] if serves_persons() else []
    if not ways:
        require_served(OrderKind.UNION if pays_for_unit else OrderKind.PERSONAL)
    return ways


def _first_typed(actor: Actor, ways: list[Paying]) -> dict[str, object]:
    deadline = (now() + timedelta(days=DAYS_OPEN)).astimezone(SHANGHAI)
    unit = current_session().get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    return {
        "deadline": deadline.replace(hour=17, minute=0, second=0, microsecond=0),
        "paying": ways[0].value,
        "recipient_name": unit.contact_name if unit else actor.name,
        "recipient_phone": unit.contact_phone if unit else "",
        "address": unit.address if unit else "",
    }


@bp.get("/groups/<group_no>")
@requires(*READERS)
def show(group_no: str) -> ResponseReturnValue:
    """One group purchase: what is wanted together, and one's own part. Its address is the link to join."""
    session, actor = current_session(), current_actor()
    group = queries.group_by_no(session, actor, group_no)
    members = queries.members_of(session, group)
    own = next((one for one in members if one.user_id == actor.user_id), None)
    totals = queries.totals_of(members)
    return render_template(
        "procurement/group_purchases/show.html",
        group=group,
        address=current_app.config["SETTINGS"].public_url + url_for(".show", group_no=group.public_no),
        members=members,
        totals=totals,
        prices={total.listing.id: total.price_fen for total in totals},
        own=own,
        is_open=queries.is_open(group),
        hands_out=queries.may_hand_out(actor, group),
        form=QuantityForm(),
    )


@bp.route("/groups/put/<listing_no>", methods=["GET", "POST"])
@requires(P.BUY_PERSONALLY)
def put(listing_no: str) -> ResponseReturnValue:
    """Want a listing in one of the open groups."""
    session, actor = current_session(), current_actor()
    listing = listing_by_no(session, listing_no)
    groups = list(session.scalars(queries.open_groups(actor).limit(50)))
    form = ShareForm(name=actor.name) if request.method == "GET" else ShareForm()
    form.offer(groups)
    if form.validate_on_submit():
        group = queries.group_by_no(session, actor, form.group.data)
        try:
            if group.paying is Paying.EACH:
                require_served(OrderKind.PERSONAL)
            rules.put_share(
                session,
                actor,
                group,
                listing=listing,
                quantity=form.quantity.data or 0,
                name=form.name.data or "",
            )
        except DomainError as error:
            place_error(form, error)
            listing = listing_by_no(session, listing_no)
        else:
            flash(_("已放进拼单“%(name)s”，截止前可以修改或退出", name=group.name), "success")
            return redirect(url_for(".show", group_no=group.public_no), 303)
    page = render_template("procurement/group_purchases/put.html", form=form, listing=listing, groups=groups)
    return page, 422 if form.errors else 200


@bp.post("/groups/<group_no>/shares/<listing_no>")
@requires(P.BUY_PERSONALLY)
def change(group_no: str, listing_no: str) -> ResponseReturnValue:
    """Change the units wanted of a listing; zero takes it out."""
    session, actor, form = current_session(), current_actor(), QuantityForm()
    group = queries.group_by_no(session, actor, group_no)
    if not form.validate_on_submit():
        flash(_("数量须是 1 到 100000 的整数"), "error")
        return redirect(url_for(".show", group_no=group_no), 303)
    try:
        if form.quantity.data:
            if queries.member_of(session, actor, group) is None:
                raise NotFound
            listing = listing_by_no(session, listing_no)
            rules.put_share(session, actor, group, listing=listing, quantity=form.quantity.data)
        else:
            rules.take_out_share(session, actor, group, listing_no=listing_no)
    except Conflict as error:
        tell(error)
    return redirect(url_for(".show", group_no=group_no), 303)


@bp.post("/groups/<group_no>/leave")
@requires(P.BUY_PERSONALLY)
def leave(group_no: str) -> ResponseReturnValue:
    """Take no part any more."""
    session, actor = current_session(), current_actor()
    rules.leave_group(session, actor, queries.group_by_no(session, actor, group_no))
    flash(_("已退出拼单"), "success")
    return redirect(url_for(".show", group_no=group_no), 303)


@bp.post("/groups/<group_no>/cancel")
@requires(*OPENERS)
def cancel(group_no: str) -> ResponseReturnValue:
    """Call a group off."""
    session, actor = current_session(), current_actor()
    rules.cancel_group(session, actor, queries.group_by_no(session, actor, group_no))
    flash(_("拼单已取消，没有下单"), "success")
    return redirect(url_for(".show", group_no=group_no), 303)


@bp.get("/groups/<group_no>/packing")
@requires(*READERS)
def packing(group_no: str) -> ResponseReturnValue:
    """Who gets what, to print. Raises NotFound for anybody but the organiser and the receiver."""
    session, actor = current_session(), current_actor()
    group = queries.group_by_no(session, actor, group_no)
    if not queries.may_hand_out(actor, group):
        raise NotFound
    members = queries.members_of(session, group)
    return render_template(
        "procurement/group_purchases/packing.html",
        group=group,
        rows=[member for member in members if queries.gets_goods(group, member)],
        left=[member for member in members if not queries.gets_goods(group, member)],
    )


@bp.post("/groups/<group_no>/members/<member_no>/handed")
@requires(*READERS)
def handed(group_no: str, member_no: str) -> ResponseReturnValue:
    """Tick that somebody has got the goods."""
    session, actor = current_session(), current_actor()
    group = queries.group_by_no(session, actor, group_no)
    member = rules.hand_over(session, actor, group, member_no=member_no)
    flash(_("%(name)s 已领取", name=member.name), "success")
    return redirect(url_for(".packing", group_no=group_no), 303)
