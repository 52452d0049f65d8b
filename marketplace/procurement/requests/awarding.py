"""The award: an offer becomes the unit's order, once for each request.

Whoever orders for the unit proposes it; the order then waits for an approver as every order does, who is never the
same person. The agreed price goes into the order line; what the listing says must still be as good as when it was
offered.
"""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import MAX_NOTE, Delivery, place_order
from marketplace.ordering.terms import PaymentTerms
from marketplace.procurement.requests.comparison import cheapest_of, fen_per_kg, is_current
from marketplace.procurement.requests.models import (
    Offer,
    OfferState,
    PurchaseRequest,
    RequestAward,
    RequestEvent,
    RequestState,
    RequestVersion,
)
from marketplace.procurement.requests.queries import opened_offers
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
    was awarded or withdrawn, when the offer answers an earlier version or its listing has changed for the worse, and
    whatever `place_order` raises, such as too little stock.
    """
    made = _award_under_key(session, actor, request, idempotency_key)
    if made is not None:
        return made
    hold_request(session, actor, request, RequestEvent.AWARD)
    wanted = request.current
    if now() < wanted.deadline_at:
        raise Conflict("sealed", N_("报价还没有截止，现在不能定标"))
    offers = opened_offers(session, request)
    if all(one.id != offer.id for one in offers):
        raise NotFound
    if not is_current(request, offer.current):
        raise Conflict("offer_outdated", N_("这个报价针对修改前的需求，合作社没有重新确认，不能中选"))
    lowest = cheapest_of(request, offers)
    is_cheapest = fen_per_kg(offer.current) == lowest
    order = _ordered(session, actor, offer, wanted, delivery, idempotency_key)
    award = RequestAward(
        request_id=request.id,
        offer_id=offer.id,
        offer_version_id=offer.current.id,
        order_id=order.id,
        is_cheapest=is_cheapest,
        reason=_reason(reason, is_cheapest=is_cheapest),
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
    session.expire(request, ["award"])
    return award


def _award_under_key(
    session: Session, actor: Actor, request: PurchaseRequest, key: str
) -> RequestAward | None:
    query = (
        select(RequestAward)
        .join(Order, Order.id == RequestAward.order_id)
        .where(
            RequestAward.request_id == request.id,
            Order.buyer_user_id == actor.user_id,
            Order.idempotency_key == key,
        )
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


def _ordered(
    session: Session,
    actor: Actor,
    offer: Offer,
    wanted: RequestVersion,
    delivery: Delivery,
    idempotency_key: str,
) -> Order:
    """The order of an awarded offer. Raises Conflict when its listing is not as good as it was when it was offered."""
    offered = offer.current
    listing, version = offered.listing, offered.listing.current_version
    share_bp = sum(term.rate_bp for term in version.terms) if version else 0
    if version is None or version.net_mass_g != offered.net_mass_g or share_bp < offered.linkage_bp:
        raise Conflict(
            "listing_worse",
            N_("商品在报价以后改了规格或降低了归农户的比例，请合作社恢复后再定标，或选择其他报价"),
        )
    terms = PaymentTerms(wanted.payment_days, wanted.payment_start, wanted.late_rate_bp, wanted.payment_basis)
    return place_order(
        session,
        actor,
        kind=OrderKind.CANTEEN,
        idempotency_key=idempotency_key,
        lines=[(listing.public_no, offered.units)],
        delivery=delivery,
        seen={listing.public_no: (version.version, offered.units)},
        terms=terms,
        deliver_on=max(offered.deliver_on, today()),
        prices={listing.public_no: offered.unit_price_fen},
    )
