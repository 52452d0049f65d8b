"""The award: an offer becomes the unit's order, or its order ahead of goods that are not there yet; once a round.

Whoever orders for the unit proposes it; the order then waits for an approver as every order does, who is never the
same person. The agreed price goes into the order line; what the listing says must still be as good as when it was
offered.
"""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.prices.agreed import require_fair_agreed
from marketplace.catalog.queries import available_units
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import MAX_NOTE, Delivery, place_order
from marketplace.ordering.terms import PaymentTerms
from marketplace.procurement.forward.models import ForwardOrder
from marketplace.procurement.forward.rules import Price, order_ahead
from marketplace.procurement.requests.comparison import cheapest_of, fen_per_kg, is_current
from marketplace.procurement.requests.models import (
    Offer,
    OfferState,
    OfferVersion,
    PurchaseRequest,
    RequestAward,
    RequestEvent,
    RequestReopening,
    RequestState,
    RequestVersion,
)
from marketplace.procurement.requests.queries import expected_g, opened_offers
from marketplace.procurement.requests.rules import hold_request, note_change


def award_request(
    session: Session,
    actor: Actor,
    request: PurchaseRequest,
    offer: Offer,
    *,
    reason: str,
    delivery: Delivery,
    idempotency_key: str,
) -> RequestAward:
    """Give a request to one of its opened offers: an order at the agreed price, to be approved by somebody else.

    `reason` is a must when another offer is cheaper by the kilogram. The same key of the same person gives the first
    award. Raises NotFound for another unit's request or an offer on another one, Conflict before the deadline, when it
    was awarded or withdrawn, when the days to deliver are over, when the offer answers an earlier version or its
    listing has changed for the worse, and whatever `place_order` raises, such as too little stock.
    """
    made = _award_under_key(session, actor, request, idempotency_key)
    if made is not None:
        return made
    is_cheapest = _may_win(session, actor, request, offer)
    words = _reason(reason, is_cheapest=is_cheapest)
    order = _ordered(session, actor, offer, request.current, delivery, idempotency_key)
    return _decide(session, actor, request, offer, is_cheapest=is_cheapest, reason=words, order_id=order.id)


def award_ahead(
    session: Session,
    actor: Actor,
    request: PurchaseRequest,
    offer: Offer,
    *,
    reason: str,
    deposit_bp: int,
    idempotency_key: str,
) -> RequestAward:
    """Give a request to an opened offer of goods that are not all in stock yet: an order before the harvest at the
    agreed price and terms of payment, with a deposit of `deposit_bp`, which goes through its own approval.

    Raises as `award_request` does, Conflict when the goods are in stock by now, and whatever `order_ahead` raises.
    """
    made = _award_under_key(session, actor, request, idempotency_key)
    if made is not None:
        return made
    is_cheapest = _may_win(session, actor, request, offer)
    words = _reason(reason, is_cheapest=is_cheapest)
    if not comes_ahead(session, offer):
        raise Conflict("in_stock", N_("这些货现在都有库存，请刷新后直接定标下单"))
    offered = offer.current
    forward = order_ahead(
        session,
        actor,
        listing=offered.listing,
        units=offered.units,
        price=Price.agreed(offered.unit_price_fen, offered.net_mass_g, _terms_of(request.current)),
        deposit_bp=deposit_bp,
        harvest_on=max(offered.deliver_on, today()),
        note=offered.note,
        idempotency_key=idempotency_key,
    )
    return _decide(
        session, actor, request, offer, is_cheapest=is_cheapest, reason=words, forward_id=forward.id
    )


def comes_ahead(session: Session, offer: Offer) -> bool:
    """Whether an offer needs goods that are expected by its day and not in stock yet."""
    offered = offer.current
    product_id = offered.listing.product_id
    in_stock = available_units(session, [product_id])[product_id]
    expected = expected_g(session, product_id, by=offered.deliver_on) // offered.net_mass_g
    return in_stock < offered.units <= in_stock + expected


def _may_win(session: Session, actor: Actor, request: PurchaseRequest, offer: Offer) -> bool:
    """Hold the request for a decision on `offer`; returns whether it is the cheapest. Raises Conflict, NotFound."""
    hold_request(session, actor, request, RequestEvent.AWARD)
    wanted = request.current
    if now() < wanted.deadline_at:
        raise Conflict("sealed", N_("报价还没有截止，现在不能定标"))
    if today() > wanted.deliver_until:
        raise Conflict("window_over", N_("需求的交货期已经过去，不能再定标；请撤回后重新发布需求"))
    offers = opened_offers(session, request)
    if all(one.id != offer.id for one in offers):
        raise NotFound
    if not is_current(request, offer.current):
        raise Conflict("offer_outdated", N_("这个报价针对修改前的需求，合作社没有重新确认，不能中选"))
    _require_as_good(offer.current)
    _require_fair_now(session, offer.current)
    return fen_per_kg(offer.current) == cheapest_of(request, offers)


def _require_as_good(offered: OfferVersion) -> None:
    """Raise Conflict when the listing is not as good as it was when it was offered."""
    version = offered.listing.current_version
    share_bp = sum(term.rate_bp for term in version.terms) if version else 0
    if version is None or version.net_mass_g != offered.net_mass_g or share_bp < offered.linkage_bp:
        raise Conflict(
            "listing_worse",
            N_("商品在报价以后改了规格或降低了归农户的比例，请合作社恢复后再定标，或选择其他报价"),
        )


def _require_fair_now(session: Session, offered: OfferVersion) -> None:
    """Raise Conflict when the price, fair when it was offered, is above the guard by now."""
    try:
        require_fair_agreed(
            session,
            offered.listing.product,
            unit_price_fen=offered.unit_price_fen,
            net_mass_g=offered.net_mass_g,
            field="offer",
        )
    except Refused as above:
        raise Conflict(above.code, above.message, **above.params) from above


def _decide(
    session: Session,
    actor: Actor,
    request: PurchaseRequest,
    offer: Offer,
    *,
    is_cheapest: bool,
    reason: str,
    order_id: int | None = None,
    forward_id: int | None = None,
) -> RequestAward:
    """The row of the decision, and what becomes of the offers. Raises Conflict when a colleague was quicker."""
    before = session.scalar(
        select(func.max(RequestReopening.round)).where(RequestReopening.request_id == request.id)
    )
    award = RequestAward(
        request_id=request.id,
        round=before or 1,
        reopened_round=before,
        offer_id=offer.id,
        offer_version_id=offer.current.id,
        order_id=order_id,
        forward_id=forward_id,
        is_cheapest=is_cheapest,
        reason=reason,
        awarded_by=actor.user_id,
        awarder_name=actor.name,
    )
    try:
        with session.begin_nested():
            session.add(award)
    except IntegrityError as taken:
        raise Conflict("awarded", N_("这条需求刚刚已由同事定标，请刷新后查看")) from taken
    request.state = RequestState.AWARDED
    session.execute(
        update(Offer)
        .where(Offer.request_id == request.id, Offer.state == OfferState.STANDING, Offer.id != offer.id)
        .values(state=OfferState.LOST)
    )
    offer.state = OfferState.WON
    note_change(session, actor, request, RequestEvent.AWARD, note=award.reason)
    session.expire(request, ["awards"])
    return award


def _award_under_key(
    session: Session, actor: Actor, request: PurchaseRequest, key: str
) -> RequestAward | None:
    own_order = (Order.buyer_user_id == actor.user_id) & (Order.idempotency_key == key)
    own_forward = (ForwardOrder.ordered_by == actor.user_id) & (ForwardOrder.idempotency_key == key)
    query = (
        select(RequestAward)
        .outerjoin(Order, Order.id == RequestAward.order_id)
        .outerjoin(ForwardOrder, ForwardOrder.id == RequestAward.forward_id)
        .where(RequestAward.request_id == request.id, own_order | own_forward)
    )
    return session.scalar(query)


def _reason(reason: str, *, is_cheapest: bool) -> str:
    text = reason.strip()
    if not text and not is_cheapest:
        raise Refused(
            "reason_missing", N_("中选的不是每千克最便宜的报价，请写明理由，记录中会保留"), field="reason"
        )
    if len(text) > MAX_NOTE:
        raise Refused("reason_long", N_("原因最多 %(most)s 个字"), field="reason", most=MAX_NOTE)
    return text


def _terms_of(wanted: RequestVersion) -> PaymentTerms:
    return PaymentTerms(wanted.payment_days, wanted.payment_start, wanted.late_rate_bp, wanted.payment_basis)


def _ordered(
    session: Session,
    actor: Actor,
    offer: Offer,
    wanted: RequestVersion,
    delivery: Delivery,
    idempotency_key: str,
) -> Order:
    """The order of an awarded offer."""
    offered = offer.current
    listing, version = offered.listing, offered.listing.current_version
    return place_order(
        session,
        actor,
        kind=OrderKind.CANTEEN,
        idempotency_key=idempotency_key,
        lines=[(listing.public_no, offered.units)],
        delivery=delivery,
        seen={listing.public_no: (version.version, offered.units)} if version else None,
        terms=_terms_of(wanted),
        deliver_on=max(offered.deliver_on, today()),
        prices={listing.public_no: offered.unit_price_fen},
    )
