"""Reading requests, offers and supplies, as far as an actor may see them.

Before the deadline nobody reads an offer but the cooperative that made it: the unit is told how many there are.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select
from sqlalchemy.orm import Session, joinedload

from marketplace.catalog.models import Category, Listing, ListingState, Product
from marketplace.core.clock import now, today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Lot
from marketplace.ordering.queries import works_for_unit
from marketplace.procurement.requests.models import (
    OUTCOMES,
    Offer,
    OfferState,
    OfferVersion,
    PurchaseRequest,
    RequestState,
    RequestVersion,
    Supply,
)
from marketplace.registry.models import BuyerUnit, Cooperative
from marketplace.web.tasks import Task

PUBLISHED = (RequestState.OPEN, RequestState.CLOSED, RequestState.AWARDED, RequestState.WITHDRAWN)
IS_CURRENT = (RequestVersion.request_id == PurchaseRequest.id) & (
    RequestVersion.version == PurchaseRequest.version
)


def requests_visible_to(actor: Actor) -> Select[PurchaseRequest]:
    """Requests, newest first: those of the actor's unit; an auditor's are the published ones of its jurisdiction."""
    query = select(PurchaseRequest).order_by(PurchaseRequest.id.desc())
    if actor.can(Permission.READ_AUDIT) and actor.region_code:
        within = BuyerUnit.county_code.startswith(actor.region_code[:6], autoescape=True)
        audited = select(BuyerUnit.id).where(within)
        return query.where(PurchaseRequest.buyer_unit_id.in_(audited), PurchaseRequest.state.in_(PUBLISHED))
    if works_for_unit(actor):
        return query.where(PurchaseRequest.buyer_unit_id == actor.buyer_unit_id)
    return query.where(false())


def in_state(query: Select[PurchaseRequest], state: RequestState) -> Select[PurchaseRequest]:
    """Requests in a state as the clock has it: open ones past their deadline are closed."""
    past = RequestVersion.deadline_at <= now()
    query = query.join(RequestVersion, IS_CURRENT)
    if state is RequestState.OPEN:
        return query.where(PurchaseRequest.state == state, ~past)
    if state is RequestState.CLOSED:
        waiting = (RequestState.OPEN, RequestState.CLOSED)
        return query.where(PurchaseRequest.state.in_(waiting), past)
    return query.where(PurchaseRequest.state == state)


def request_by_no(session: Session, actor: Actor, number: str) -> PurchaseRequest:
    """A request the actor may see. Raises NotFound."""
    request = session.scalar(requests_visible_to(actor).where(PurchaseRequest.public_no == number))
    if request is None:
        raise NotFound
    return request


def is_over(request: PurchaseRequest) -> bool:
    """Whether the deadline of a published request has come, by the clock of this server."""
    return request.state is not RequestState.DRAFT and request.current.deadline_at <= now()


def takes_offers(request: PurchaseRequest) -> bool:
    """Whether a cooperative may offer now."""
    return request.state is RequestState.OPEN and not is_over(request)


def standing_offers_count(session: Session, request: PurchaseRequest) -> int:
    """How many cooperatives have an offer standing."""
    query = select(func.count()).where(Offer.request_id == request.id, Offer.state == OfferState.STANDING)
    return session.scalar(query) or 0


def offers_counts(session: Session, request_ids: Collection[int]) -> dict[int, int]:
    """How many offers each request has or had when it was decided, withdrawn ones left out; in one statement."""
    query = (
        select(Offer.request_id, func.count())
        .where(Offer.request_id.in_(request_ids), Offer.state != OfferState.WITHDRAWN)
        .group_by(Offer.request_id)
    )
    return dict(session.execute(query).all())


def opened_offers(session: Session, request: PurchaseRequest) -> list[Offer]:
    """The offers on a request, sealed until its deadline: an empty list before it. Withdrawn ones are left out."""
    if not is_over(request):
        return []
    query = (
        select(Offer)
        .where(Offer.request_id == request.id, Offer.state != OfferState.WITHDRAWN)
        .options(joinedload(Offer.current).joinedload(OfferVersion.listing_version))
        .order_by(Offer.id)
    )
    return list(session.scalars(query).unique())


def opened_offer_by_no(session: Session, request: PurchaseRequest, number: str) -> Offer:
    """One of `opened_offers`. Raises NotFound."""
    for offer in opened_offers(session, request):
        if offer.public_no == number:
            return offer
    raise NotFound


# --- a cooperative's own ---


def offers_of(actor: Actor) -> Select[Offer]:
    """The offers of the actor's cooperative, newest first."""
    return (
        select(Offer)
        .where(Offer.cooperative_id == (actor.cooperative_id or 0))
        .options(
            joinedload(Offer.request), joinedload(Offer.current).joinedload(OfferVersion.listing_version)
        )
        .order_by(Offer.id.desc())
    )


def offer_by_no(session: Session, actor: Actor, number: str) -> Offer:
    """An own offer. Raises NotFound."""
    offer = session.scalar(offers_of(actor).where(Offer.public_no == number))
    if offer is None:
        raise NotFound
    return offer


def own_offer_on(session: Session, actor: Actor, request: PurchaseRequest) -> Offer | None:
    """What the actor's cooperative offered on a request."""
    return session.scalar(offers_of(actor).where(Offer.request_id == request.id))


def listings_to_offer(session: Session, actor: Actor, category: Category) -> list[Listing]:
    """The cooperative's listings for sale within a category, at most a hundred."""
    query = (
        select(Listing)
        .join(Product, Product.id == Listing.product_id)
        .join(Category, Category.code == Product.category_code)
        .where(
            Listing.cooperative_id == (actor.cooperative_id or 0),
            Listing.state == ListingState.PUBLISHED,
            within_category(category),
        )
        .order_by(Listing.id)
        .limit(100)
    )
    return list(session.scalars(query).unique())


def within_category(category: Category) -> ColumnElement[bool]:
    """Categories that are this one or below it."""
    return or_(Category.path == category.path, Category.path.startswith(category.path + "/", autoescape=True))


def supplies_of(actor: Actor) -> Select[Supply]:
    """The supplies of the actor's cooperative, those that still stand first, then the newest."""
    return (
        select(Supply)
        .where(Supply.cooperative_id == (actor.cooperative_id or 0))
        .order_by(Supply.withdrawn_at.is_not(None), Supply.id.desc())
    )


def supply_by_no(session: Session, actor: Actor, number: str) -> Supply:
    """An own supply. Raises NotFound."""
    supply = session.scalar(supplies_of(actor).where(Supply.public_no == number))
    if supply is None:
        raise NotFound
    return supply


def expected_g(session: Session, product_id: int, *, by: date) -> int:
    """Grams of a product that its cooperative's standing supplies promise until a day, beyond what was weighed in.

    What a named lot has received counts as stock already, so it is taken off what is expected of that lot.
    """
    usable = func.coalesce(Lot.received_g * Lot.yield_bp // 10_000, 0)
    query = (
        select(Supply.mass_g, usable)
        .outerjoin(Lot, Lot.id == Supply.lot_id)
        .where(
            Supply.product_id == product_id,
            Supply.withdrawn_at.is_(None),
            Supply.ready_from <= by,
            Supply.ready_until >= today(),
        )
    )
    return sum(max(0, mass_g - int(received)) for mass_g, received in session.execute(query))


# --- the public board ---


def open_requests(
    *, category: Category | None = None, county_code: str = "", text: str = ""
) -> Select[PurchaseRequest]:
    """Published requests that take offers now, the nearest deadline first."""
    query = (
        select(PurchaseRequest)
        .join(RequestVersion, IS_CURRENT)
        .join(BuyerUnit, BuyerUnit.id == PurchaseRequest.buyer_unit_id)
        .where(PurchaseRequest.state == RequestState.OPEN, RequestVersion.deadline_at > now())
        .order_by(RequestVersion.deadline_at, PurchaseRequest.id)
    )
    if category is not None:
        query = query.join(Category, Category.code == RequestVersion.category_code).where(
            within_category(category)
        )
    if county_code:
        query = query.where(
            or_(RequestVersion.county_code == county_code, BuyerUnit.county_code == county_code)
        )
    if text.strip():
        words = text.strip()
        query = query.where(
            or_(
                RequestVersion.title.contains(words, autoescape=True),
                RequestVersion.specification.contains(words, autoescape=True),
            )
        )
    return query


def board_request_by_no(session: Session, number: str) -> PurchaseRequest:
    """A request that was published. Raises NotFound for a draft."""
    request = session.scalar(
        select(PurchaseRequest).where(
            PurchaseRequest.public_no == number, PurchaseRequest.state.in_(PUBLISHED)
        )
    )
    if request is None:
        raise NotFound
    return request


def open_supplies(
    *, category: Category | None = None, county_code: str = "", text: str = ""
) -> Select[Supply]:
    """Supplies that still stand, the earliest ready first."""
    query = (
        select(Supply)
        .join(Cooperative, Cooperative.id == Supply.cooperative_id)
        .where(standing_supply())
        .order_by(Supply.ready_from, Supply.id)
    )
    if category is not None:
        query = query.join(Category, Category.code == Supply.category_code).where(within_category(category))
    if county_code:
        query = query.where(Cooperative.county_code == county_code)
    if text.strip():
        words = text.strip()
        query = query.where(
            or_(
                Supply.commodity.contains(words, autoescape=True),
                Supply.note.contains(words, autoescape=True),
            )
        )
    return query


def standing_supply() -> ColumnElement[bool]:
    """A supply that was not taken back and is not over."""
    return and_(Supply.withdrawn_at.is_(None), Supply.ready_until >= today())


# --- what waits ---


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """A unit: requests to decide. A cooperative: offers to confirm against a changed request, and outcomes."""
    if actor.can(Permission.ORDER_FOR_UNIT) and actor.buyer_unit_id is not None:
        due = (
            select(PurchaseRequest.id)
            .join(RequestVersion, IS_CURRENT)
            .where(
                PurchaseRequest.buyer_unit_id == actor.buyer_unit_id,
                PurchaseRequest.state.in_((RequestState.OPEN, RequestState.CLOSED)),
                RequestVersion.deadline_at <= now(),
            )
        )
        counted = [(NN_("%(count)s 条需求已截止，请比价定标"), due, "requests.index", {"state": "closed"})]
    elif actor.can(Permission.MANAGE_LISTINGS) and actor.cooperative_id is not None:
        own = Offer.cooperative_id == actor.cooperative_id
        counted = [
            (
                NN_("%(count)s 条需求在您报价后有修改，请重新确认报价"),
                outdated_offers().where(own),
                "requests.selling.own_offers",
                {},
            ),
            (
                NN_("%(count)s 个报价有了结果"),
                select(Offer.id).where(own, Offer.state.in_(OUTCOMES), Offer.outcome_read_at.is_(None)),
                "requests.selling.own_offers",
                {},
            ),
        ]
    else:
        return []
    tasks = [
        Task(
            message, session.scalar(select(func.count()).select_from(query.subquery())) or 0, endpoint, values
        )
        for message, query, endpoint, values in counted
    ]
    return [task for task in tasks if task.count]


def outdated_offers() -> Select[int]:
    """The ids of offers that stand on an earlier version of a request which still takes offers."""
    return (
        select(Offer.id)
        .join(OfferVersion, (OfferVersion.offer_id == Offer.id) & (OfferVersion.version == Offer.version))
        .join(PurchaseRequest, PurchaseRequest.id == Offer.request_id)
        .join(RequestVersion, IS_CURRENT)
        .where(
            Offer.state == OfferState.STANDING,
            PurchaseRequest.state == RequestState.OPEN,
            RequestVersion.deadline_at > now(),
            OfferVersion.request_version_id != RequestVersion.id,
        )
    )
