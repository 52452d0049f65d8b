"""A cooperative's offer: made, made anew, withdrawn, until the deadline; afterwards its outcome is taken note of.

The deadline is the server's: what counts is the clock inside the transaction that holds the request, not when a form
was opened. Nobody else's offer is ever read here.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.queries import is_in_force
from marketplace.catalog.models import Listing, ListingVersion
from marketplace.catalog.prices.agreed import hold_agreed_price
from marketplace.catalog.prices.models import AgreedPriceCheck
from marketplace.catalog.queries import available_units, sale_stop
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.wishes import MAX_QUANTITY
from marketplace.procurement.requests.facts import public_words
from marketplace.procurement.requests.models import (
    OUTCOMES,
    Offer,
    OfferState,
    OfferVersion,
    PurchaseRequest,
    RequestState,
    RequestVersion,
)
from marketplace.procurement.requests.queries import expected_g
from marketplace.registry.cooperatives.queries import admitted_cooperative_of
from marketplace.registry.models import Cooperative
from marketplace.registry.queries import acknowledged_counts

MAX_NOTE = 300


def make_offer(
    session: Session,
    actor: Actor,
    request: PurchaseRequest,
    *,
    listing: Listing,
    units: int,
    unit_price_fen: int,
    deliver_on: date,
    note: str = "",
    idempotency_key: str,
) -> Offer:
    """Offer `units` of an own listing at `unit_price_fen` each, delivered on a day; a further offer replaces the first.

    The same key of the same person gives the first result. Raises Refused for a cooperative that is not admitted, for
    what the request does not allow (price, share, households, day, mass) and for a price above the guard, Conflict when
    it is not open any more or the deadline has come, NotFound for another cooperative's listing.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    cooperative = admitted_cooperative_of(session, actor)
    made = _offer_under_key(session, actor, idempotency_key)
    if made is not None:
        return made
    hold_open(session, request)
    wanted = request.current
    version = _for_sale(actor, listing, wanted)
    households = acknowledged_counts(session, [cooperative.id]).get(cooperative.id, 0)
    share_bp = sum(term.rate_bp for term in version.terms)
    _check_price(version, wanted, unit_price_fen)
    _check_linkage(wanted, share_bp, households)
    if not wanted.deliver_from <= deliver_on <= wanted.deliver_until:
        raise Refused("deliver_on", N_("交货日期须在需求的交货期以内"), field="deliver_on")
    _check_units(session, listing, version, wanted, units, deliver_on)
    held = _hold_price(session, version, listing, unit_price_fen)
    offer = _offer_of(session, cooperative, request)
    certificate = version.certificate
    session.add(
        OfferVersion(
            offer_id=offer.id,
            version=offer.version,
            idempotency_key=idempotency_key,
            request_id=request.id,
            request_version_id=wanted.id,
            deadline_at=wanted.deadline_at,
            ceiling_fen_per_kg=wanted.ceiling_fen_per_kg,
            min_linkage_bp=wanted.min_linkage_bp,
            deliver_from=wanted.deliver_from,
            deliver_until=wanted.deliver_until,
            listing_id=listing.id,
            listing_version_id=version.id,
            units=units,
            unit_price_fen=unit_price_fen,
            net_mass_g=version.net_mass_g,
            price_check_id=held.id,
            linkage_bp=share_bp,
            households=households,
            certificate_no=certificate.number if certificate and is_in_force(certificate, today()) else "",
            deliver_on=deliver_on,
            note=public_words(note, most=MAX_NOTE, field="note"),
            offered_by=actor.user_id,
        )
    )
    session.flush()
    session.expire(offer, ["current", "versions"])
    _note(session, actor, "procurement.make_offer", offer)
    return offer


def _offer_under_key(session: Session, actor: Actor, key: str) -> Offer | None:
    query = (
        select(Offer)
        .join(OfferVersion, OfferVersion.offer_id == Offer.id)
        .where(OfferVersion.offered_by == actor.user_id, OfferVersion.idempotency_key == key)
    )
    return session.scalar(query)


def hold_open(session: Session, request: PurchaseRequest) -> None:
    """Read a request anew, held against being changed meanwhile; offers do not wait for one another.

    Raises Conflict unless it takes offers now, by the clock of this server.
    """
    session.refresh(request, ["state", "version"], with_for_update={"of": PurchaseRequest, "read": True})
    session.expire(request, ["current"])
    if request.state is RequestState.WITHDRAWN:
        raise Conflict("request_withdrawn", N_("这条需求已经撤回，不再接受报价"))
    if request.state is not RequestState.OPEN or now() >= request.current.deadline_at:
        raise Conflict("offers_closed", N_("报价已经截止，不再接受新的报价、修改或撤回"))


def _for_sale(actor: Actor, listing: Listing, wanted: RequestVersion) -> ListingVersion:
    """What the listing says now. Raises NotFound for another cooperative's, Refused when it cannot be offered."""
    if listing.cooperative_id != actor.cooperative_id:
        raise NotFound
    version = listing.current_version
    if version is None or sale_stop(listing, today()) is not None:
        raise Refused("not_for_sale", N_("这个商品现在不在售，不能用来报价"), field="listing")
    path = listing.product.category.path
    if path != wanted.category.path and not path.startswith(wanted.category.path + "/"):
        raise Refused("other_category", N_("这个商品不属于需求的类别"), field="listing")
    return version


def _check_price(version: ListingVersion, wanted: RequestVersion, unit_price_fen: int) -> None:
    if unit_price_fen <= 0:
        raise Refused("price", N_("单价须大于 0"), field="unit_price")
    if unit_price_fen * 1000 > wanted.ceiling_fen_per_kg * version.net_mass_g:
        highest = wanted.ceiling_fen_per_kg * version.net_mass_g // 1000
        raise Refused(
            "over_ceiling",
            N_("折合每千克的价格超过了需求的最高价，每%(unit)s最多 %(yuan)s 元"),
            field="unit_price",
            unit=version.unit_name,
            yuan=f"{highest // 100}.{highest % 100:02d}",
        )


def _hold_price(
    session: Session, version: ListingVersion, listing: Listing, unit_price_fen: int
) -> AgreedPriceCheck:
    """The price held against the guard. Raises Refused above its bound."""
    return hold_agreed_price(
        session,
        listing.product,
        unit_price_fen=unit_price_fen,
        net_mass_g=version.net_mass_g,
        field="unit_price",
    )


def _check_linkage(wanted: RequestVersion, share_bp: int, households: int) -> None:
    if share_bp < wanted.min_linkage_bp:
        raise Refused(
            "linkage_low",
            N_("这个商品归农户的比例低于需求的要求，请先提高比例再报价"),
            field="listing",
        )
    if wanted.min_households is not None and households < wanted.min_households:
        raise Refused(
            "households_few",
            N_("需求要求至少带动 %(wanted)s 户，合作社现有 %(own)s 户"),
            field="listing",
            wanted=wanted.min_households,
            own=households,
        )


def _check_units(
    session: Session,
    listing: Listing,
    version: ListingVersion,
    wanted: RequestVersion,
    units: int,
    deliver_on: date,
) -> None:
    """Raise Refused for no units, for more than is wanted, or for more than is in stock and expected by that day."""
    if not 1 <= units <= MAX_QUANTITY:
        raise Refused("quantity", N_("数量须在 1 到 %(most)s 之间"), field="units", most=MAX_QUANTITY)
    enough = -(-wanted.mass_g // version.net_mass_g)
    if units > enough:
        raise Refused(
            "more_than_wanted",
            N_("需求的数量折合 %(units)s %(unit)s，报价不能超过"),
            field="units",
            units=enough,
            unit=version.unit_name,
        )
    in_stock = available_units(session, [listing.product_id])[listing.product_id]
    expected = expected_g(session, listing.product_id, by=deliver_on) // version.net_mass_g
    if units > in_stock + expected:
        raise Refused(
            "more_than_stock",
            N_(
                "现有库存 %(stock)s %(unit)s，交货日前预计还有 %(expected)s %(unit)s；请减少数量，或先发布供应预告"
            ),
            field="units",
            stock=in_stock,
            expected=expected,
            unit=version.unit_name,
        )


def _offer_of(session: Session, cooperative: Cooperative, request: PurchaseRequest) -> Offer:
    """The cooperative's one offer on a request, moved to a further version, or a new one."""
    own = select(Offer).where(Offer.request_id == request.id, Offer.cooperative_id == cooperative.id)
    own = own.with_for_update(of=Offer).execution_options(populate_existing=True)
    offer = session.scalar(own)
    if offer is None:
        offer = Offer(request_id=request.id, cooperative_id=cooperative.id)
        try:
            with session.begin_nested():
                session.add(offer)
        except IntegrityError:  # a colleague offered at the same moment: then this is a further version
            offer = session.scalars(own).one()
        else:
            return offer
    offer.version += 1
    offer.state = OfferState.STANDING
    session.flush()
    return offer


def withdraw_offer(session: Session, actor: Actor, offer: Offer) -> Offer:
    """Take an offer back before the deadline. Raises NotFound for another's, Conflict when it is too late."""
    _require_own(actor, offer)
    hold_open(session, offer.request)
    session.refresh(offer, ["state"], with_for_update={"of": Offer})
    if offer.state is not OfferState.STANDING:
        raise Conflict("offer_withdrawn", N_("这个报价已经撤回"))
    offer.state = OfferState.WITHDRAWN
    _note(session, actor, "procurement.withdraw_offer", offer)
    return offer


def read_outcome(session: Session, actor: Actor, offer: Offer) -> Offer:
    """The cooperative has taken note of what became of its offer. Raises Conflict while nothing did."""
    _require_own(actor, offer)
    if offer.state not in OUTCOMES:
        raise Conflict("no_outcome", N_("这个报价还没有结果"))
    if offer.outcome_read_at is None:
        offer.outcome_read_at = now()
        _note(session, actor, "procurement.read_outcome", offer)
    return offer


def _require_own(actor: Actor, offer: Offer) -> None:
    if offer.cooperative_id != actor.cooperative_id:
        raise NotFound
    actor.require(Permission.MANAGE_LISTINGS)


def _note(session: Session, actor: Actor, action: str, offer: Offer) -> None:
    """A trail without the price: other people read the trail before the deadline."""
    record_trail(
        session,
        actor,
        action,
        subject=("offer", offer.public_no),
        cooperative_id=offer.cooperative_id,
        version=offer.version,
    )
    session.flush()
