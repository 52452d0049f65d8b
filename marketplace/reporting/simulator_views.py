"""The page on which a cooperative tries other linkage rates on its past sales. It asks with GET and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.catalog.offers import read_terms
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import Mechanism
from marketplace.registry.models import Household
from marketplace.reporting import simulator
from marketplace.reporting.simulator import Change
from marketplace.reporting.simulator_sales import Question, Rates
from marketplace.web.errors import explain
from marketplace.web.paging import PAGE_SIZE, Page, requested_page
from marketplace.web.transaction import current_session

bp = Blueprint("simulator", __name__)


@bp.get("/workshop/simulator")
@requires(Permission.MANAGE_LISTINGS)
def simulate() -> ResponseReturnValue:
    """Past sales under other rates: `?listing=&since=&until=&term-<mechanism>=`; the form alone without a span."""
    session, cooperative_id = current_session(), current_actor().cooperative_id
    if cooperative_id is None:
        raise NotFound
    listings = simulator.listings_of(session, cooperative_id)
    chosen = _chosen(listings)
    floor_bp = simulator.floor_of(session, cooperative_id, chosen)
    result, refusal = None, ""
    if "since" in request.args:
        try:
            question = _question(cooperative_id, chosen, floor_bp)
            result = simulator.simulate(session, question)
        except DomainError as error:
            refusal = explain(error)
    shown = _page(result.changes) if result else None
    page = render_template(
        "reporting/simulator.html",
        listings=listings,
        chosen=chosen,
        floor_bp=floor_bp,
        mechanisms=list(MECHANISMS),
        typed=_typed(chosen),
        since=request.args.get("since") or today().replace(month=1, day=1).isoformat(),
        until=request.args.get("until") or today().isoformat(),
        refusal=refusal,
        result=result,
        page=shown,
        households=_households(session, shown.rows if shown else []),
        publish_url=_publish_url(chosen),
    )
    return page, 422 if refusal else 200


def _chosen(listings: Sequence[Listing]) -> Listing | None:
    number = request.args.get("listing", "")
    if not number:
        return None
    found = [listing for listing in listings if listing.public_no == number]
    if not found:
        raise NotFound
    return found[0]


def _question(cooperative_id: int, chosen: Listing | None, floor_bp: int) -> Question:
    try:
        since = date.fromisoformat(request.args.get("since", ""))
        until = date.fromisoformat(request.args.get("until", ""))
    except ValueError:
        raise Refused("span", N_("请选择开始日期和结束日期")) from None
    if until < since:
        raise Refused("span", N_("结束日期不能早于开始日期"))
    rates: Rates | None = read_terms(request.args) or None
    if rates is not None:
        simulator.check_rates(rates, floor_bp=floor_bp)
    return Question(cooperative_id, since, until, rates, chosen.id if chosen else None)


def _typed(chosen: Listing | None) -> dict[Mechanism, str]:
    """What the rate fields hold: as typed, or from the version on sale."""
    typed = {one: request.args.get(f"term-{one.value}", "") for one in MECHANISMS}
    is_first = not any(f"term-{one.value}" in request.args for one in MECHANISMS)
    version = chosen.current_version if chosen and is_first else None
    for term in version.terms if version else []:
        typed[term.mechanism] = f"{term.rate_bp // 100}.{term.rate_bp % 100:02d}"
    return typed


def _page(changes: list[Change]) -> Page[Change]:
    """The requested page, who loses most first; the other way round with `?order=gain`."""
    ordered = changes[::-1] if request.args.get("order") == "gain" else changes
    number = requested_page()
    start = (number - 1) * PAGE_SIZE
    return Page(ordered[start : start + PAGE_SIZE], number, PAGE_SIZE, len(ordered))


def _households(session: Session, changes: list[Change]) -> dict[int, Household]:
    """The households of the page, by id, in one statement."""
    ids = [change.household_id for change in changes]
    found = session.scalars(select(Household).where(Household.id.in_(ids))).unique()
    return {household.id: household for household in found}


def _publish_url(chosen: Listing | None) -> str | None:
    """The page that publishes a new version, with the rates asked for; None before a listing and rates are chosen."""
    rates = {key: value for key, value in request.args.items() if key.startswith("term-") and value.strip()}
    if chosen is None or not rates:
        return None
    return url_for("workshop.offer", product_no=chosen.product.public_no, **rates)
