"""A unit's request: written, published, changed, withdrawn, and closed by the clock.

Every change is a new version. Once somebody has offered, a change leaves at least a day to answer it, and offers to an
earlier version no longer count until their cooperatives confirm them: nobody is held to terms it never saw.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import Category
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.rules import required_reason
from marketplace.procurement.requests.facts import Wanted, check_wanted
from marketplace.procurement.requests.models import (
    Offer,
    OfferState,
    PurchaseRequest,
    RequestChange,
    RequestEvent,
    RequestState,
    RequestVersion,
)
from marketplace.procurement.requests.queries import standing_offers_count
from marketplace.registry.models import Region, RegionLevel

TIME_TO_ANSWER = timedelta(hours=24)
BATCH = 200
STATES_OF = {
    RequestEvent.AMEND: (RequestState.DRAFT, RequestState.OPEN),
    RequestEvent.OPEN: (RequestState.DRAFT,),
    RequestEvent.WITHDRAW: (RequestState.DRAFT, RequestState.OPEN, RequestState.CLOSED),
    RequestEvent.AWARD: (RequestState.OPEN, RequestState.CLOSED),
}


def post_request(session: Session, actor: Actor, *, wanted: Wanted, idempotency_key: str) -> PurchaseRequest:
    """Write down what the actor's unit wants, as a draft. The same key of the same person gives the first one.

    Raises Refused naming the field for what cannot be asked (see facts.py).
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    if actor.buyer_unit_id is None or actor.user_id is None:
        raise NotFound
    first = _request_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    _check(session, wanted)
    request = PurchaseRequest(
        buyer_unit_id=actor.buyer_unit_id, posted_by=actor.user_id, idempotency_key=idempotency_key
    )
    try:
        with session.begin_nested():
            session.add(request)
    except IntegrityError:  # the same submission came twice at the same moment, and the other one was first
        first = _request_under_key(session, actor, idempotency_key)
        if first is None:
            raise
        return first
    _write_version(session, actor, request, wanted)
    note_change(session, actor, request, RequestEvent.POST)
    return request


def _request_under_key(session: Session, actor: Actor, key: str) -> PurchaseRequest | None:
    query = select(PurchaseRequest).where(
        PurchaseRequest.posted_by == actor.user_id, PurchaseRequest.idempotency_key == key
    )
    return session.scalar(query)


def _check(session: Session, wanted: Wanted) -> None:
    check_wanted(wanted)
    if session.get(Category, wanted.category_code) is None:
        raise Refused("category", N_("请选择商品类别"), field="category_code")
    county = session.get(Region, wanted.county_code) if wanted.county_code else None
    if wanted.county_code and (county is None or county.level is not RegionLevel.COUNTY):
        raise Refused("county", N_("请选择一个县"), field="county_code")


def _write_version(session: Session, actor: Actor, request: PurchaseRequest, wanted: Wanted) -> None:
    session.add(
        RequestVersion(
            request_id=request.id, version=request.version, written_by=actor.user_id, **wanted.columns
        )
    )
    session.flush()
    session.expire(request, ["current"])


def note_change(
    session: Session, actor: Actor, request: PurchaseRequest, event: RequestEvent, *, note: str = ""
) -> None:
    """Keep a step of a request's life in its history and in the trail."""
    session.add(
        RequestChange(
            request_id=request.id,
            event=event,
            state=request.state,
            version=request.version,
            actor_user_id=actor.user_id,
            actor_name=actor.name,
            note=note,
        )
    )
    record_trail(
        session,
        actor,
        f"procurement.{event.value}_request",
        subject=("purchase_request", request.public_no),
        buyer_unit_id=request.buyer_unit_id,
        version=request.version,
    )
    session.flush()
    session.expire(request, ["changes"])


def hold_request(session: Session, actor: Actor, request: PurchaseRequest, event: RequestEvent) -> None:
    """Read an own request anew, held against a second mover.

    Raises NotFound for another unit's, Conflict when its state does not allow the event.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    if request.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    session.refresh(request, ["state", "version"], with_for_update={"of": PurchaseRequest})
    session.expire(request, ["current"])
    if request.state not in STATES_OF[event]:
        raise Conflict(
            "request_state",
            N_("需求现在是“%(state)s”，不能进行“%(event)s”"),
            state=request.state,
            event=event,
        )


def amend_request(
    session: Session, actor: Actor, request: PurchaseRequest, *, wanted: Wanted
) -> PurchaseRequest:
    """Say something else, as a further version. Saying the same again changes nothing.

    Raises NotFound for another unit's, Conflict when it is over, Refused for what cannot be asked, or for a deadline
    that leaves those who offered less than a day to answer.
    """
    hold_request(session, actor, request, RequestEvent.AMEND)
    current = request.current
    if request.state is RequestState.OPEN and current.deadline_at <= now():
        raise Conflict("request_over", N_("报价已经截止，不能再修改；可以定标，或撤回后重新发布"))
    if all(getattr(current, name) == value for name, value in wanted.columns.items()):
        return request
    _check(session, wanted)
    offered = standing_offers_count(session, request)
    if offered and wanted.deadline_at < now() + TIME_TO_ANSWER:
        raise Refused(
            "time_to_answer",
            N_("已有 %(count)s 家报价，修改后须至少留 24 小时让他们重新确认，请推迟截止时间"),
            field="deadline",
            count=offered,
        )
    request.version += 1
    _write_version(session, actor, request, wanted)
    note_change(session, actor, request, RequestEvent.AMEND)
    return request


def open_request(session: Session, actor: Actor, request: PurchaseRequest) -> PurchaseRequest:
    """Publish a draft on the board: from now on cooperatives may offer.

    Raises NotFound for another unit's, Conflict when it is no draft, Refused when its deadline has passed meanwhile.
    """
    hold_request(session, actor, request, RequestEvent.OPEN)
    if request.current.deadline_at <= now():
        raise Refused("deadline_past", N_("报价截止时间已经过去，请先修改截止时间再发布"), field="deadline")
    request.state, request.opened_at = RequestState.OPEN, now()
    note_change(session, actor, request, RequestEvent.OPEN)
    return request


def withdraw_request(
    session: Session, actor: Actor, request: PurchaseRequest, *, reason: str
) -> PurchaseRequest:
    """Call a request off, before or after its deadline; who offered is told.

    Raises NotFound for another unit's, Conflict when it was awarded or withdrawn, Refused without a reason.
    """
    note = required_reason(reason, N_("请写明撤回需求的原因，报价的合作社会看到"))
    hold_request(session, actor, request, RequestEvent.WITHDRAW)
    request.state = RequestState.WITHDRAWN
    session.execute(
        update(Offer)
        .where(Offer.request_id == request.id, Offer.state == OfferState.STANDING)
        .values(state=OfferState.VOID)
    )
    note_change(session, actor, request, RequestEvent.WITHDRAW, note=note)
    return request


def close_due_requests(session: Session) -> int:
    """Mark open requests whose deadline has passed as closed; returns how many.

    A sweep for lists and history: no rule waits for it, because each compares the deadline with the clock itself.
    """
    due = session.scalars(
        select(PurchaseRequest)
        .join(
            RequestVersion,
            (RequestVersion.request_id == PurchaseRequest.id)
            & (RequestVersion.version == PurchaseRequest.version),
        )
        .where(PurchaseRequest.state == RequestState.OPEN, RequestVersion.deadline_at <= now())
        .order_by(PurchaseRequest.id)
        .limit(BATCH)
        .with_for_update(of=PurchaseRequest, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    for request in due:
        request.state = RequestState.CLOSED
        note_change(session, SYSTEM, request, RequestEvent.CLOSE)
    return len(due)
