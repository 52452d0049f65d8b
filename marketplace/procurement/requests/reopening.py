"""An award that came to nothing: its request takes a decision again.

An order may end before it reaches the cooperative, or because the cooperative cannot deliver; then the other offers
stand again, and so does the one that had won, unless its own cooperative gave it up.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, and_, exists, select, update
from sqlalchemy.orm import Session

from marketplace.identity.actors import SYSTEM, Actor
from marketplace.ordering.models import Order, OrderPart, PartChange
from marketplace.ordering.states import PartEvent, PartState
from marketplace.procurement.forward.models import ForwardOrder, ForwardState
from marketplace.procurement.requests.models import (
    Offer,
    OfferState,
    PurchaseRequest,
    RequestAward,
    RequestEvent,
    RequestReopening,
    RequestState,
)
from marketplace.procurement.requests.rules import BATCH, note_change

ENDED = (ForwardState.DECLINED, ForwardState.WITHDRAWN, ForwardState.ENDED)


def reopen_after_order(
    session: Session, actor: Actor, order: Order, *, reason: str, by_seller: bool = False
) -> PurchaseRequest | None:
    """Take up again the request that `order` was awarded from, if it was; `by_seller` says that the cooperative gave
    it up. Nothing happens a second time."""
    award = session.scalar(select(RequestAward).where(RequestAward.order_id == order.id))
    return _reopen(session, actor, award, reason, by_seller=by_seller) if award else None


def reopen_after_forward(
    session: Session, actor: Actor, forward: ForwardOrder, *, reason: str, by_seller: bool = False
) -> PurchaseRequest | None:
    """The same for an order ahead of which nothing was delivered."""
    award = session.scalar(select(RequestAward).where(RequestAward.forward_id == forward.id))
    if award is None or forward.delivered_units:
        return None
    return _reopen(session, actor, award, reason, by_seller=by_seller)


def _reopen(
    session: Session, actor: Actor, award: RequestAward, reason: str, *, by_seller: bool
) -> PurchaseRequest | None:
    request = session.get_one(
        PurchaseRequest, award.request_id, populate_existing=True, with_for_update={"of": PurchaseRequest}
    )
    session.refresh(award, ["reopening"])
    if request.state is not RequestState.AWARDED or award.reopening is not None:
        return None
    session.add(
        RequestReopening(
            request_id=request.id,
            round=award.round + 1,
            order_id=award.order_id,
            forward_id=award.forward_id,
            reason=reason,
            reopened_by=actor.user_id,
        )
    )
    request.state = RequestState.CLOSED
    decided = Offer.state.in_((OfferState.WON, OfferState.LOST))
    stands = {"state": OfferState.STANDING, "outcome_read_at": None}
    offers = update(Offer).where(Offer.request_id == request.id, decided).values(stands)
    session.execute(offers.execution_options(synchronize_session="fetch"))
    if by_seller:
        award.offer.state = OfferState.WITHDRAWN
    note_change(session, actor, request, RequestEvent.REOPEN, note=reason)
    session.expire(request, ["awards"])
    return request


def reopen_fallen(session: Session) -> int:
    """Take up again the requests whose order was called off or declined; returns how many. A sweep, safe to repeat:
    orders end in rooms that know no requests."""
    awards = session.scalars(_fallen().limit(BATCH)).unique().all()
    for award in awards:
        last = session.scalars(
            select(PartChange)
            .join(OrderPart, OrderPart.id == PartChange.part_id)
            .where(OrderPart.order_id == award.order_id, PartChange.state == PartState.CANCELLED)
            .order_by(PartChange.id.desc())
            .limit(1)
        ).one()
        reason = last.note or PartState.CANCELLED.label
        _reopen(session, SYSTEM, award, reason, by_seller=last.event is PartEvent.DECLINE)
    return len(awards)


def _fallen() -> Select[RequestAward]:
    """The awards that stand although every part of their order was cancelled."""
    return (
        select(RequestAward)
        .join(PurchaseRequest, PurchaseRequest.id == RequestAward.request_id)
        .where(PurchaseRequest.state == RequestState.AWARDED, _is_last(), _is_cancelled())
        .order_by(RequestAward.request_id)
    )


def _is_last() -> ColumnElement[bool]:
    return ~exists().where(
        RequestReopening.request_id == RequestAward.request_id,
        RequestReopening.round == RequestAward.round + 1,
    )


def _is_cancelled() -> ColumnElement[bool]:
    of_order = OrderPart.order_id == RequestAward.order_id
    return and_(
        exists().where(of_order, OrderPart.state == PartState.CANCELLED),
        ~exists().where(of_order, OrderPart.state != PartState.CANCELLED),
    )
