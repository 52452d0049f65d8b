"""What becomes of a rejection: replaced, contested, withdrawn; who may say so, and only once."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role, StoredFile
from marketplace.ordering.states import PartState
from marketplace.payments.models import Payment
from marketplace.payments.refunds.answers import agree_rejection
from marketplace.procurement.receiving import queries, rejections, rules
from marketplace.procurement.receiving.goods import lots_after_replacement
from marketplace.procurement.receiving.models import (
    DisputeStatement,
    Inspection,
    Outcome,
    RejectionOutcome,
    Replacement,
    Side,
)
from marketplace.procurement.receiving.photos import Upload
from tests.conftest import HeldClock
from tests.factories.identity import actor_with, official_with
from tests.factories.receiving import Delivery, arrived, photo, reject
from tests.factories.registry import (
    OTHER_COUNTY_VILLAGE,
    BuyerUnitFactory,
    CooperativeFactory,
    RegionFactory,
    actor_at,
)
from tests.factories.trade import UNIT_G, Offer, lot_for, offer
from tests.ordering.test_concurrency import all_at_once


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory())


@pytest.fixture
def delivery(session: Session, files: FileStore, offered: Offer) -> Delivery:
    return arrived(session, files, (offered, 10))


@pytest.fixture
def rejection(session: Session, files: FileStore, delivery: Delivery) -> Inspection:
    """Three of ten units rejected."""
    return reject(session, files, delivery, 3)


@pytest.fixture
def mediator(session: Session) -> Actor:
    return actor_with(Role.COUNTY_REVIEWER)


def outcomes(session: Session) -> list[Outcome]:
    return list(session.scalars(select(RejectionOutcome.outcome).order_by(RejectionOutcome.inspection_id)))


# --- who answers, and how often ---


def test_only_the_cooperative_concerned_answers(
    session: Session, files: FileStore, delivery: Delivery, rejection: Inspection, mediator: Actor
) -> None:
    strangers = (actor_at(CooperativeFactory()), delivery.receiver, mediator, actor_with(Role.AUDITOR))
    for stranger in strangers:
        with pytest.raises((NotFound, Forbidden)):
            agree_rejection(session, stranger, rejection, reason="同意")
        with pytest.raises(NotFound):
            rejections.replace_goods(session, stranger, rejection, carrier="自送")
        with pytest.raises(NotFound):
            rejections.contest_rejection(session, stranger, files, rejection, words="不认可")
    for stranger in (actor_at(CooperativeFactory()), delivery.manager, actor_at(BuyerUnitFactory())):
        with pytest.raises(NotFound):
            rejections.withdraw_rejection(session, stranger, rejection, reason="收下")
    assert delivery.part.state is PartState.PART_REJECTED
    assert outcomes(session) == []


def test_another_cooperative_does_not_see_the_rejection(session: Session, rejection: Inspection) -> None:
    own = actor_at(rejection.part.cooperative)
    assert queries.rejection_by_no(session, own, rejection.public_no) is rejection
    for stranger in (actor_at(CooperativeFactory()), actor_at(BuyerUnitFactory())):
        with pytest.raises(NotFound):
            queries.rejection_by_no(session, stranger, rejection.public_no)


def test_a_rejection_is_answered_once(
    session: Session, files: FileStore, delivery: Delivery, rejection: Inspection
) -> None:
    agree_rejection(session, delivery.manager, rejection)
    again = (
        lambda: agree_rejection(session, delivery.manager, rejection),
        lambda: rejections.replace_goods(session, delivery.manager, rejection, carrier="自送"),
        lambda: rejections.contest_rejection(session, delivery.manager, files, rejection, words="不认可"),
        lambda: rejections.withdraw_rejection(session, delivery.receiver, rejection, reason="收下"),
        lambda: rejections.make_statement(session, delivery.receiver, files, rejection, words="补充"),
    )
    for answer in again:
        with pytest.raises(Conflict) as refused:
            answer()
        assert refused.value.code == "answered"
    assert outcomes(session) == [Outcome.AGREED]
    assert delivery.part.state is PartState.ACCEPTED


def test_of_two_answers_at_the_same_moment_one_counts(
    session: Session, engine: Engine, delivery: Delivery, rejection: Inspection
) -> None:
    number, clerk = rejection.public_no, actor_at(delivery.part.cooperative, Role.COOPERATIVE_CLERK)
    session.commit()

    def agreeing(own: Session) -> object:
        found = queries.rejection_by_no(own, delivery.manager, number)
        return agree_rejection(own, delivery.manager, found).outcome

    def replacing(own: Session) -> object:
        found = queries.rejection_by_no(own, clerk, number)
        rejections.replace_goods(own, clerk, found, carrier="自送")
        return Outcome.REPLACED

    answers = all_at_once(engine, [agreeing, replacing])
    session.expire_all()
    [outcome] = outcomes(session)
    assert outcome in answers
    assert set(answers) & {"answered", "moved_meanwhile", "state_refuses"}
    assert session.scalar(select(func.count()).select_from(Replacement)) == (outcome is Outcome.REPLACED)
    assert session.scalar(select(func.count()).select_from(Payment)) == (outcome is Outcome.AGREED)


def test_the_buyer_takes_the_goods_after_all(
    session: Session, delivery: Delivery, rejection: Inspection, clock: HeldClock
) -> None:
    clock.advance(hours=1)
    outcome = rejections.withdraw_rejection(session, delivery.receiver, rejection, reason="复检合格")
    assert (outcome.outcome, outcome.side, outcome.reason) == (Outcome.WITHDRAWN, Side.BUYER, "复检合格")
    assert (delivery.part.state, delivery.part.accepted_at) == (PartState.ACCEPTED, clock.now)


# --- other goods ---


def test_replaced_goods_draw_on_lots_again_and_only_they_are_inspected(
    session: Session, files: FileStore, offered: Offer, delivery: Delivery, rejection: Inspection
) -> None:
    replacement = rejections.replace_goods(session, delivery.manager, rejection, carrier=" 自送 ")
    session.refresh(offered.lot)
    assert offered.lot.committed_g == 13 * UNIT_G
    assert [(line.units, [lot.mass_g for lot in line.lots]) for line in replacement.lines] == [(3, [1_500])]
    assert (delivery.part.state, delivery.part.carrier) == (PartState.SHIPPED, "自送")
    rules.receive_goods(session, delivery.receiver, files, delivery.part)
    with pytest.raises(Refused):
        reject(session, files, delivery, 4)
    second = reject(session, files, delivery, 1)
    [line] = second.lines
    assert (second.round, line.units, line.accepted_units, line.rejected_units) == (2, 3, 2, 1)
    with pytest.raises(Conflict) as refused:
        rejections.replace_goods(session, delivery.manager, second, carrier="自送")
    assert refused.value.code == "replaced_before"
    session.refresh(offered.lot)
    assert offered.lot.committed_g == 13 * UNIT_G
    assert outcomes(session) == [Outcome.REPLACED]


def test_nothing_is_replaced_beyond_stock(session: Session, files: FileStore, clock: HeldClock) -> None:
    scarce = offer(session, CooperativeFactory(), units=12)
    delivery = arrived(session, files, (scarce, 10))
    rejection = reject(session, files, delivery, 3)
    session.commit()
    with pytest.raises(Conflict) as refused:
        rejections.replace_goods(session, delivery.manager, rejection, carrier="自送")
    assert refused.value.code == "out_of_stock"
    session.rollback()
    session.refresh(scarce.lot)
    assert scarce.lot.committed_g == 10 * UNIT_G
    assert delivery.part.state is PartState.PART_REJECTED
    assert outcomes(session) == []


def test_a_replacement_needs_a_carrier(session: Session, delivery: Delivery, rejection: Inspection) -> None:
    for carrier in (" ", "车" * 41):
        with pytest.raises(Refused):
            rejections.replace_goods(session, delivery.manager, rejection, carrier=carrier)
    assert delivery.part.state is PartState.PART_REJECTED


def test_the_lots_of_replaced_goods_weigh_in_their_place(
    session: Session, files: FileStore, offered: Offer, delivery: Delivery, rejection: Inspection
) -> None:
    assert lots_after_replacement([(1, 500), (2, 1_500)], {}) == [(1, 500), (2, 1_500)]
    assert lots_after_replacement([(1, 500), (2, 1_500)], {3: 2_000}) == [(3, 4_000_000)]
    assert lots_after_replacement([(1, 1_000), (2, 3_000)], {2: 500, 3: 500}) == [
        (1, 3_000_000),
        (2, 11_000_000),
        (3, 2_000_000),
    ]
    session.refresh(offered.lot)
    offered.lot.received_g = offered.lot.committed_g  # the first lot is sold out
    session.flush()
    later = lot_for(session, offered, units=5, harvested_on=offered.lot.harvested_on)
    rejections.replace_goods(session, delivery.manager, rejection, carrier="自送")
    weights = queries.weights_of_lots(session, [delivery.line.id])
    assert weights == {delivery.line.id: [(offered.lot.id, 5_000 * 3_500), (later.id, 1_500 * 5_000)]}


# --- disputes ---


def test_both_sides_and_the_county_are_heard(
    session: Session, files: FileStore, delivery: Delivery, rejection: Inspection, mediator: Actor
) -> None:
    with pytest.raises(NotFound):
        queries.rejection_by_no(session, mediator, rejection.public_no)
    with pytest.raises(Refused):
        rejections.contest_rejection(session, delivery.manager, files, rejection, words="  ")
    session.refresh(delivery.part)
    rejections.contest_rejection(
        session,
        delivery.manager,
        files,
        rejection,
        words="装车时完好，有照片",
        uploads=(photo(), Upload(b"%PDF-1.7 a paper", "装车单.pdf")),
        idempotency_key="a-key-of-16-signs",
    )
    assert delivery.part.state is PartState.DISPUTED
    rejections.contest_rejection(
        session, delivery.manager, files, rejection, words="再说一遍", idempotency_key="a-key-of-16-signs"
    )
    rejections.make_statement(session, delivery.receiver, files, rejection, words="卸车时已经压坏")
    assert queries.rejection_by_no(session, mediator, rejection.public_no) is rejection
    rejections.make_statement(session, mediator, files, rejection, words="请双方三日内补充材料")
    said = queries.statements_of(session, rejection)
    assert [(one.side, one.words) for one in said] == [
        (Side.COOPERATIVE, "装车时完好，有照片"),
        (Side.BUYER, "卸车时已经压坏"),
        (Side.MEDIATOR, "请双方三日内补充材料"),
    ]
    kept = session.scalars(select(StoredFile).order_by(StoredFile.id)).all()
    assert [(file.media_type, file.sealed) for file in kept] == [
        ("image/webp", True),
        ("application/pdf", True),
    ]
    for reader in (delivery.receiver, delivery.manager, mediator):
        assert queries.part_file_by_no(session, reader, kept[0].public_no) is kept[0]
    with pytest.raises(NotFound):
        queries.part_file_by_no(session, actor_at(CooperativeFactory()), kept[0].public_no)


def contested(session: Session, files: FileStore, delivery: Delivery, rejection: Inspection) -> None:
    rejections.contest_rejection(session, delivery.manager, files, rejection, words="装车时完好")


def test_a_mediator_of_another_county_has_no_say(
    session: Session, files: FileStore, delivery: Delivery, rejection: Inspection
) -> None:
    contested(session, files, delivery, rejection)
    elsewhere = RegionFactory(code=OTHER_COUNTY_VILLAGE).code[:6]
    stranger = actor_of(official_with(Role.COUNTY_REVIEWER, elsewhere))
    with pytest.raises(NotFound):
        queries.rejection_by_no(session, stranger, rejection.public_no)
    acts = (
        lambda: agree_rejection(session, stranger, rejection, reason="应退"),
        lambda: rejections.withdraw_rejection(session, stranger, rejection, reason="应收"),
        lambda: rejections.make_statement(session, stranger, files, rejection, words="我来说"),
    )
    for act in acts:
        with pytest.raises(NotFound):
            act()
    assert queries.tasks_of(session, stranger) == []
    assert delivery.part.state is PartState.DISPUTED
    assert outcomes(session) == []


def test_a_dispute_ends_with_a_reason_by_either_side_or_the_county(
    session: Session, files: FileStore, offered: Offer, mediator: Actor
) -> None:
    ends = {
        "manager": (agree_rejection, Outcome.AGREED, Side.COOPERATIVE),
        "receiver": (rejections.withdraw_rejection, Outcome.WITHDRAWN, Side.BUYER),
        "county agrees": (agree_rejection, Outcome.AGREED, Side.MEDIATOR),
        "county accepts": (rejections.withdraw_rejection, Outcome.WITHDRAWN, Side.MEDIATOR),
    }
    for who, (end, outcome, side) in ends.items():
        delivery = arrived(session, files, (offered, 10), key=f"the-order-for-{who}")
        rejection = reject(session, files, delivery, 3)
        contested(session, files, delivery, rejection)
        [task] = queries.tasks_of(session, mediator)
        assert (task.count, task.endpoint) == (1, "rejections.disputes")
        actor = getattr(delivery, who, mediator)
        with pytest.raises(DomainError) as refused:
            end(session, actor, rejection, reason=" ")
        assert refused.value.code == "reason_missing"
        session.refresh(delivery.part)
        assert delivery.part.state is PartState.DISPUTED
        ended = end(session, actor, rejection, reason="双方核对照片后商定")
        assert (ended.outcome, ended.side) == (outcome, side)
        assert delivery.part.state is PartState.ACCEPTED
        assert queries.tasks_of(session, mediator) == []
    assert session.scalar(select(func.count()).select_from(DisputeStatement)) == 4


def test_who_bought_the_goods_does_not_mediate_about_them(
    session: Session, files: FileStore, delivery: Delivery, rejection: Inspection
) -> None:
    contested(session, files, delivery, rejection)
    both = Actor(
        user_id=delivery.receiver.user_id,
        name=delivery.receiver.name,
        roles=frozenset({Role.UNIT_RECEIVER, Role.COUNTY_REVIEWER}),
        organisation_id=delivery.receiver.organisation_id,
        organisation_kind=delivery.receiver.organisation_kind,
        region_code=delivery.receiver.region_code,
    )
    assert queries.side_of(both, delivery.part) is Side.BUYER
    with pytest.raises(NotFound):
        agree_rejection(session, both, rejection, reason="应退")
    assert delivery.part.state is PartState.DISPUTED
