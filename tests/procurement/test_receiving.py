"""Receiving and inspecting: what is noted, what is refused, and what nobody inspects in time."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, StoredFile, TrailEntry
from marketplace.ordering.states import PartState
from marketplace.payments.models import Payment
from marketplace.payments.rules import bill_accepted_parts
from marketplace.procurement.compliance.rules import issue_certificate
from marketplace.procurement.receiving import queries, rules
from marketplace.procurement.receiving.goods import working_days_after
from marketplace.procurement.receiving.models import (
    Inspection,
    InspectionLine,
    PartFile,
    Receipt,
    RejectReason,
)
from marketplace.procurement.receiving.photos import Upload
from tests.conftest import HeldClock
from tests.factories.receiving import (
    Delivery,
    arrived,
    arrived_at_home,
    confirmed,
    photo,
    reject,
    shipped,
    verdict,
)
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import Offer, offer
from tests.ordering.test_concurrency import all_at_once


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory())


def nothing_inspected(session: Session, delivery: Delivery) -> bool:
    session.refresh(delivery.part)
    count = session.scalar(select(func.count()).select_from(Inspection))
    return delivery.part.state is PartState.RECEIVED and not count and delivery.part.accepted_at is None


# --- bad input ---


@pytest.mark.parametrize(
    ("found", "code", "field"),
    [
        (verdict(11), "rejected_units", "rejected"),
        (verdict(-1), "rejected_units", "rejected"),
        (verdict(0), "nothing_rejected", None),
        (verdict(2, None), "reason_missing", "reason"),
        (verdict(2, RejectReason.SPOILED, "  "), "words_missing", "words"),
        (verdict(2, RejectReason.SPOILED, "烂" * 301), "words_long", "words"),
        (
            rules.Verdict(2, RejectReason.DAMAGED, "破了", (Upload(b"GIF89a no picture", "a.gif"),)),
            "picture_format",
            "photos",
        ),
        (rules.Verdict(2, RejectReason.DAMAGED, "破了", (photo(),) * 7), "too_many_files", "photos"),
    ],
)
def test_a_verdict_that_cannot_be_is_refused_beside_its_field(
    session: Session, files: FileStore, offered: Offer, found: rules.Verdict, code: str, field: str | None
) -> None:
    delivery = arrived(session, files, (offered, 10))
    with pytest.raises(Refused) as refused:
        rules.inspect_goods(
            session, delivery.receiver, files, delivery.part, verdicts={delivery.line.public_no: found}
        )
    assert refused.value.code == code
    assert refused.value.field == (f"{field}-{delivery.line.public_no}" if field else "rejected")
    assert nothing_inspected(session, delivery)


def test_the_lines_of_another_delivery_are_not_inspected(
    session: Session, files: FileStore, offered: Offer
) -> None:
    own, other = (
        arrived(session, files, (offered, 2)),
        arrived(session, files, (offered, 3), key="another-order-x"),
    )
    with pytest.raises(NotFound):
        rules.inspect_goods(
            session, own.receiver, files, own.part, verdicts={other.line.public_no: verdict(1)}
        )
    assert nothing_inspected(session, own)


def test_nobody_inspects_for_another_unit_nor_without_the_duty(
    session: Session, files: FileStore, offered: Offer
) -> None:
    delivery = arrived(session, files, (offered, 2))
    strangers = (
        actor_at(BuyerUnitFactory()),
        actor_at(delivery.unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_PAYER),
        delivery.manager,
    )
    for stranger in strangers:
        for verdicts in (None, {delivery.line.public_no: verdict(1)}):
            with pytest.raises(NotFound):
                rules.inspect_goods(session, stranger, files, delivery.part, verdicts=verdicts)
    assert nothing_inspected(session, delivery)


@pytest.mark.parametrize(
    ("arrival", "code"),
    [
        ({"mass_g": 0}, "mass"),
        ({"mass_g": -5}, "mass"),
        ({"temperature_dc": 2_000}, "temperature"),
        ({"remark": "长" * 301}, "words_long"),
        ({"photos": (Upload(b"%PDF-1.7", "a.pdf"),)}, "picture_format"),
        ({"photos": (Upload(b"", "empty.jpg"),)}, "picture_empty"),
    ],
)
def test_what_cannot_have_arrived_is_refused(
    session: Session, files: FileStore, offered: Offer, arrival: dict, code: str
) -> None:
    delivery = shipped(session, (offered, 2))
    weights = {delivery.line.public_no: arrival["mass_g"]} if "mass_g" in arrival else {}
    others = {name: value for name, value in arrival.items() if name != "mass_g"}
    noted = rules.Arrival(weights=weights, **others)
    with pytest.raises(Refused) as refused:
        rules.receive_goods(session, delivery.receiver, files, delivery.part, arrival=noted)
    session.refresh(delivery.part)
    assert refused.value.code == code
    assert delivery.part.state is PartState.SHIPPED
    assert session.scalar(select(func.count()).select_from(Receipt)) == 0


# --- receiving ---


def test_what_arrived_is_noted_and_the_days_to_inspect_begin(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = shipped(session, (offered, 2))
    noted = rules.Arrival({delivery.line.public_no: 990}, 45, " 车厢干净 ", (photo(),))
    receipt = rules.receive_goods(
        session, delivery.receiver, files, delivery.part, arrival=noted, idempotency_key="a-key-of-16-signs"
    )
    assert (receipt.round, receipt.temperature_dc, receipt.remark) == (1, 45, "车厢干净")
    assert [line.mass_g for line in receipt.lines] == [990]
    assert receipt.inspect_by_on == date(2026, 6, 4)  # Monday 1 June and three working days
    [kept] = session.scalars(select(StoredFile)).all()
    assert (kept.media_type, kept.sealed, kept.name) == ("image/webp", True, "photo.webp")
    assert files.read(kept.address, sealed=True)[8:12] == b"WEBP"
    again = rules.receive_goods(
        session, delivery.receiver, files, delivery.part, idempotency_key="a-key-of-16-signs"
    )
    assert again is receipt
    with pytest.raises(Conflict):
        rules.receive_goods(session, delivery.receiver, files, delivery.part)
    assert delivery.part.received_at == clock.now


def test_weekends_are_no_working_days() -> None:
    assert working_days_after(date(2026, 6, 5), 3) == date(2026, 6, 10)  # a Friday
    assert working_days_after(date(2026, 12, 31), 1) == date(2027, 1, 1)
    assert working_days_after(date(2026, 6, 6), 1) == date(2026, 6, 8)


def test_a_unit_sets_its_days_and_the_goods_at_hand_keep_theirs(
    session: Session, files: FileStore, offered: Offer
) -> None:
    unit = BuyerUnitFactory()
    first = arrived(session, files, (offered, 2), unit=unit)
    approver = actor_at(unit, Role.UNIT_APPROVER)
    for days in (0, 16):
        with pytest.raises(Refused):
            rules.change_policy(session, approver, inspection_days=days, needs_certificates=False)
    with pytest.raises(Forbidden):
        rules.change_policy(
            session, actor_at(unit, Role.UNIT_RECEIVER), inspection_days=7, needs_certificates=False
        )
    rules.change_policy(session, approver, inspection_days=7, needs_certificates=False)
    kept = session.scalars(
        select(TrailEntry).where(TrailEntry.action == "procurement.change_receiving")
    ).one()
    assert (kept.subject_kind, kept.subject_no) == ("buyer_unit", unit.public_no)
    second = arrived(session, files, (offered, 2), unit=unit, key="the-second-order")
    assert rules.last_day(session, first.part) == date(2026, 6, 4)
    assert rules.last_day(session, second.part) == date(2026, 6, 10)


# --- certificates ---


def test_a_unit_that_asks_for_certificates_gets_nothing_without(session: Session, offered: Offer) -> None:
    unit = BuyerUnitFactory()
    rules.change_policy(
        session, actor_at(unit, Role.UNIT_APPROVER), inspection_days=3, needs_certificates=True
    )
    delivery = confirmed(session, (offered, 2), unit=unit)
    with pytest.raises(Refused) as refused:
        rules.ship_goods(session, delivery.manager, delivery.part, carrier="自送", waybill_no="")
    assert refused.value.code == "certificate_missing"
    assert refused.value.params == {"lot": offered.lot.lot_no}
    assert delivery.part.state is PartState.CONFIRMED
    certificate = issue_certificate(session, delivery.manager, lot=offered.lot, promise=" 不用禁药 ")
    assert (certificate.version, certificate.mass_g, certificate.goods) == (1, 50_000, "油茶籽")
    assert (certificate.producer, certificate.promise) == (offered.cooperative.name, "不用禁药")
    assert certificate.origin.endswith("鳌溪村委会")
    rules.ship_goods(session, delivery.manager, delivery.part, carrier="自送", waybill_no="")
    assert delivery.part.state is PartState.SHIPPED


def test_a_certificate_is_issued_once_for_a_quantity_and_by_its_own_cooperative(
    session: Session, offered: Offer
) -> None:
    manager = actor_at(offered.cooperative)
    with pytest.raises(NotFound):
        issue_certificate(session, actor_at(CooperativeFactory()), lot=offered.lot, promise="不用禁药")
    with pytest.raises(Refused):
        issue_certificate(session, manager, lot=offered.lot, promise=" ")
    issue_certificate(session, manager, lot=offered.lot, promise="不用禁药")
    with pytest.raises(Conflict):
        issue_certificate(session, manager, lot=offered.lot, promise="不用禁药")
    offered.lot.received_g += 1_000
    session.flush()
    assert issue_certificate(session, manager, lot=offered.lot, promise="不用禁药").version == 2


# --- inspecting ---


def test_a_delivery_is_accepted_whole_with_one_press(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived(session, files, (offered, 10))
    clock.advance(hours=2)
    inspection = rules.inspect_goods(
        session, delivery.receiver, files, delivery.part, idempotency_key="a-key-of-16-signs"
    )
    again = rules.inspect_goods(
        session, delivery.receiver, files, delivery.part, idempotency_key="a-key-of-16-signs"
    )
    assert again is inspection
    [line] = inspection.lines
    assert (line.units, line.accepted_units, line.rejected_units) == (10, 10, 0)
    assert (delivery.part.state, delivery.part.accepted_at) == (PartState.ACCEPTED, clock.now)


def test_some_of_a_delivery_is_rejected_with_reason_words_and_photo(
    session: Session, files: FileStore, offered: Offer
) -> None:
    oil = offer(session, offered.cooperative)
    delivery = arrived(session, files, (offered, 10), (oil, 4))
    second = delivery.part.lines[1]
    found = rules.Verdict(3, RejectReason.SPOILED, " 瓶口漏油 ", (photo(),))
    inspection = rules.inspect_goods(
        session, delivery.receiver, files, delivery.part, verdicts={second.public_no: found}
    )
    assert [(line.accepted_units, line.rejected_units) for line in inspection.lines] == [(10, 0), (1, 3)]
    assert (inspection.lines[1].reason, inspection.lines[1].words) == (RejectReason.SPOILED, "瓶口漏油")
    assert session.scalar(select(func.count()).select_from(PartFile)) == 1
    assert (delivery.part.state, delivery.part.accepted_at) == (PartState.PART_REJECTED, None)
    assert bill_accepted_parts(session) == 0
    assert session.scalars(select(Payment)).all() == []


def inspecting(receiver: Actor, files: FileStore, part_no: str, units: int):
    def work(own: Session) -> object:
        part = queries.deliveries_of(receiver).where(rules.OrderPart.public_no == part_no)
        found = own.scalars(part).unique().one()
        verdicts = {found.lines[0].public_no: verdict(units)} if units else None
        return rules.inspect_goods(own, receiver, files, found, verdicts=verdicts).public_no

    return work


def test_of_two_receivers_of_the_same_delivery_one_inspects(
    session: Session, engine: Engine, files: FileStore, offered: Offer
) -> None:
    delivery = arrived(session, files, (offered, 10))
    colleague = actor_at(delivery.unit, Role.UNIT_RECEIVER)
    session.commit()
    answers = all_at_once(
        engine,
        [
            inspecting(delivery.receiver, files, delivery.part.public_no, 0),
            inspecting(colleague, files, delivery.part.public_no, 3),
        ],
    )
    session.expire_all()
    [inspection] = session.scalars(select(Inspection)).all()
    assert inspection.public_no in answers
    assert set(answers) & {"moved_meanwhile", "state_refuses", "inspected"}
    expected = PartState.PART_REJECTED if inspection.has_rejections else PartState.ACCEPTED
    assert delivery.part.state is expected


LINE = """
    INSERT INTO inspection_line (inspection_id, round, line_id, line_quantity, unit_price_fen, units,
        accepted_units, rejected_units, words)
    SELECT id, 1, {{other}}, {}, 5000, {}, {}, {}, '' FROM inspection
"""
AGAIN = """
    INSERT INTO inspection (public_no, part_id, round, has_rejections, note, inspected_by, inspected_at)
    SELECT 'YS-0000000000', part_id, round, has_rejections, note, inspected_by, inspected_at FROM inspection
"""


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE inspection_line SET accepted_units = 11",
        "DELETE FROM inspection",
        AGAIN,
        LINE.format(10, 11, 11, 0),  # more than was sold
        LINE.format(11, 11, 11, 0),  # than was sold, whatever one says was sold
        LINE.format(10, 10, 11, -1),
        LINE.format(10, 10, 9, 1),  # rejected without a reason
        LINE.format(10, 9, 9, 0),  # one unit nobody looked at
    ],
)
def test_the_database_knows_what_was_delivered(
    session: Session, files: FileStore, offered: Offer, change: str
) -> None:
    delivery = arrived(session, files, (offered, 10))
    other = arrived(session, files, (offered, 10), key="a-further-order")
    rules.inspect_goods(session, delivery.receiver, files, delivery.part)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text(change.format(other=other.line.id)))
    assert session.scalar(select(func.count()).select_from(InspectionLine)) == 1


# --- the last day ---


def test_what_nobody_inspects_by_the_last_day_is_deemed_accepted(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery, rejected = (
        arrived(session, files, (offered, 10)),
        arrived(session, files, (offered, 10), key="a-further-order"),
    )
    home = arrived_at_home(session, files, (offered, 1))
    clock.advance(days=3)  # the last day of the units
    assert rules.accept_overdue(session) == 0
    reject(session, files, rejected, 1)
    clock.advance(days=1)
    with pytest.raises(Conflict) as late:
        reject(session, files, delivery, 1)
    assert late.value.code == "inspection_late"
    assert nothing_inspected_but(session, rejected)
    assert rules.accept_overdue(session) == 1
    assert rules.accept_overdue(session) == 0
    session.refresh(delivery.part)
    assert (delivery.part.state, rejected.part.state) == (PartState.ACCEPTED, PartState.PART_REJECTED)
    assert delivery.part.accepted_at == clock.now
    [inspection] = [one for one in session.scalars(select(Inspection)) if one.part_id == delivery.part.id]
    assert (inspection.inspected_by, inspection.has_rejections) == (None, False)
    assert inspection.lines[0].accepted_units == 10
    assert delivery.part.history[-1].actor_user_id is None
    assert home.part.state is PartState.RECEIVED
    clock.advance(days=5)
    assert rules.accept_overdue(session) == 1
    assert home.part.state is PartState.ACCEPTED


def nothing_inspected_but(session: Session, delivery: Delivery) -> bool:
    return [one.part_id for one in session.scalars(select(Inspection))] == [delivery.part.id]


def test_the_desk_reminds_from_the_day_before(
    session: Session, files: FileStore, offered: Offer, clock: HeldClock
) -> None:
    delivery = arrived(session, files, (offered, 10))
    assert queries.tasks_of(session, delivery.receiver) == []
    clock.advance(days=2)
    [task] = queries.tasks_of(session, delivery.receiver)
    assert (task.count, task.endpoint) == (1, "ordering.deliveries")
    assert queries.tasks_of(session, actor_at(BuyerUnitFactory())) == []
    reject(session, files, delivery, 1)
    assert queries.tasks_of(session, delivery.receiver) == []
    [waiting] = queries.tasks_of(session, delivery.manager)
    assert (waiting.count, waiting.endpoint) == (1, "rejections.index")
