"""Pages of the price guard: the list of references anybody may read, what a county watches, explaining a price, and the
policy of a place."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.models import Product
from marketplace.catalog.prices import policies, queries, rules
from marketplace.catalog.prices.forms import ExplanationForm, PolicyForm
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.queries import category_tree, listing_of_product, own_product
from marketplace.catalog.views.product_facts import category_name
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan, parse_yuan
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.errors import explain as explain_error
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("prices", __name__)
P = Permission


@bp.get("/prices")
@public
def index() -> ResponseReturnValue:
    """What goods cost per kilogram, of which day and from where."""
    session, wanted = current_session(), request.args.get("category", "")
    tree = category_tree(session)
    known = {category.code: category for category in tree}
    query = queries.reference_list(category_code=wanted if wanted in known else "", on=today())
    page = page_of(session, query)
    return render_template(
        "catalog/prices/index.html",
        page=page,
        tree=tree,
        wanted=wanted,
        name_of=category_name,
        usual=queries.rules_in_force(session, {queries.PROVINCE}, today())[queries.PROVINCE],
        places=queries.place_names(session, {row.region_code for row in page.rows}, in_full=False),
    )


@bp.get("/prices/watch")
@requires(P.MANAGE_LISTINGS, P.MANAGE_REFERENCE_PRICES)
def watch() -> ResponseReturnValue:
    """Explanations and their answers (`?show=flags`: prices on sale that look odd)."""
    session, actor = current_session(), current_actor()
    flags = request.args.get("show") == "flags"
    if flags:
        own = actor.cooperative_id is not None
        query = queries.unexplained_low(actor) if own else queries.flagged_checks(actor)
        page = page_of(session, query)
        listings = queries.shown_listings(session, page.rows)
        return render_template(
            "catalog/prices/flags.html",
            page=page,
            per_kg=per_kg_fen,
            listings=listings,
            by_product={row.product_id: row for row in listings.values()},
        )
    explained = page_of(session, queries.explanations_in(actor))
    return render_template(
        "catalog/prices/watch.html",
        page=explained,
        cases=queries.case_numbers(session, explained.rows),
        per_kg=per_kg_fen,
    )


@bp.route("/prices/policy", methods=["GET", "POST"])
@requires(P.MANAGE_REFERENCE_PRICES)
def policy() -> ResponseReturnValue:
    """What holds in the actor's place, what is proposed for it, and what held before; proposing another."""
    session, actor = current_session(), current_actor()
    place = policies.place_of(actor)
    held = queries.rules_in_force(session, {place}, today())[place]
    form = PolicyForm(data={**vars(held), "from_on": today() + timedelta(days=1)})
    if form.validate_on_submit():
        try:
            policies.propose_policy(
                session, actor, rules=form.rules, from_on=form.from_on.data, basis=form.basis.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("规则已提出，请另一位同事确认；确认后从生效日起执行"), "success")
            return redirect(url_for(".policy"), 303)
    page = render_template(
        "catalog/prices/policy.html",
        form=form,
        held=held,
        waiting=policies.waiting_proposal(session, actor),
        place=queries.place_names(session, [place]).get(place, place),
        page=page_of(session, policies.policies_over(actor)),
        today=today(),
    )
    return page, 422 if form.errors else 200


@bp.post("/prices/policy/<proposal_no>/<any(confirm, refuse, withdraw):step>")
@requires(P.MANAGE_REFERENCE_PRICES)
def decide_policy(proposal_no: str, step: str) -> ResponseReturnValue:
    """Confirm or refuse what a colleague has proposed, or take one's own proposal back."""
    session, actor = current_session(), current_actor()
    proposal = policies.proposal_by_no(session, actor, proposal_no)
    try:
        if step == "withdraw":
            policies.withdraw_policy(session, actor, proposal)
        else:
            answer = request.form.get("answer", "")
            policies.decide_policy(session, actor, proposal, agrees=step == "confirm", answer=answer)
    except (Refused, Conflict) as error:
        session.rollback()
        flash(explain_error(error), "error")
    else:
        said = {"confirm": _("已确认，到生效日起执行"), "refuse": _("已退回"), "withdraw": _("已撤回")}
        flash(said[step], "success")
    return redirect(url_for(".policy"), 303)


@bp.route("/workshop/products/<product_no>/price", methods=["GET", "POST"])
@requires(P.MANAGE_LISTINGS)
def explain(product_no: str) -> ResponseReturnValue:
    """Say why a product costs more or less than the same goods elsewhere; what was said before is listed."""
    session, actor = current_session(), current_actor()
    product = own_product(session, actor, product_no)
    form = ExplanationForm(price=_asked_price(product))
    if form.validate_on_submit():
        try:
            rules.explain_price(
                session,
                actor,
                product,
                tiers=[(1, _price(form.price.data or ""))],
                reason=form.reason.data or "",
                file=uploaded_document(form.file),
            )
        except DomainError as error:
            place_error(form, error)
            product = own_product(session, actor, product_no)
        else:
            flash(_("价格说明已提交，县里核定后会通知您"), "success")
            return redirect(url_for(".explain", product_no=product_no), 303)
    finding = rules.assess_price(session, product, [(1, _readable(form.price.data))])
    page = render_template(
        "catalog/prices/explain.html",
        product=product,
        form=form,
        finding=finding,
        explanations=queries.explanations_of(session, product),
        per_kg=per_kg_fen,
    )
    return page, 422 if form.errors else 200


def _asked_price(product: Product) -> str:
    """The price the form begins with: that of the address, else the one on sale."""
    asked = request.args.get("price", "")[:16]
    listing = listing_of_product(current_session(), product)
    if asked or listing is None or listing.current_version is None:
        return asked
    return format_yuan(listing.current_version.tiers[-1].unit_price_fen, grouped=False)


def _price(typed: str) -> int:
    try:
        price_fen = parse_yuan(typed)
    except ValueError:
        price_fen = 0
    if not 0 < price_fen <= 100_000_00:
        raise Refused("price", N_("请填写金额，最多两位小数，不超过 10 万元"), field="price")
    return price_fen


def _readable(typed: str | None) -> int:
    """The price typed, one fen where none can be read: to show the reference all the same."""
    try:
        return min(max(1, parse_yuan(typed or "")), 100_000_00)
    except ValueError:
        return 1
