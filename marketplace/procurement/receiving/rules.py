"""Shipping with certificates, receiving, and inspecting: whole with one press, or line by line.

A part moves by ordering's table of states; what was found is written beside it. Of two receivers who inspect the same
delivery one wins: by the move, which is conditional on the state, and by the key of a round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.models import Lot
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import accept_part, move_part, receive_part, ship_part
from marketplace.ordering.states import PartEvent
from marketplace.procurement.compliance.queries import certificates_of_lots
from marketplace.procurement.receiving.goods import MOST_DAYS, working_days_after
from marketplace.procurement.receiving.models import (
    Inspection,
    InspectionLine,
    PartFile,
    Receipt,
    ReceiptLine,
    ReceivingPolicy,
    RejectReason,
    Side,
)
from marketplace.procurement.receiving.photos import Upload, keep_photos
from marketplace.procurement.receiving.queries import (
    Delivered,
    asked_by,
    delivered_lines,
    overdue_receipts,
    receipt_of,
    side_of,
    units_off,
)
from marketplace.registry.models import BuyerUnit

MOST_WORDS = 300
MOST_MASS_G = 100_000_000
TEMPERATURES_DC = (-500, 1_000)
DEEMED = N_("验收期内没有提出异议")
BATCH = 100


@dataclass(frozen=True)
class Verdict:
    """What was found of one line: units rejected, why (a code and words), and photos of them."""

    rejected: int = 0
    reason: RejectReason | None = None
    words: str = ""
    photos: Sequence[Upload] = field(default_factory=tuple)


@dataclass(frozen=True)
class Arrival:
    """What was noted when goods arrived: grams by line number, tenths of a degree Celsius, words, photos."""

    weights: Mapping[str, int] = field(default_factory=dict)
    temperature_dc: int | None = None
    remark: str = ""
    photos: Sequence[Upload] = field(default_factory=tuple)


def change_policy(
    session: Session, actor: Actor, *, inspection_days: int, needs_certificates: bool
) -> ReceivingPolicy:
    """What the actor's unit asks of its deliveries from now on; goods received before keep their last day.

    For the approver. Raises Refused for days that cannot be.
    """
    actor.require(Permission.APPROVE_ORDERS)
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    if unit is None:
        raise NotFound
    if not 1 <= inspection_days <= MOST_DAYS:
        raise Refused(
            "inspection_days",
            N_("验收期须在 1 到 %(most)s 个工作日之间"),
            field="inspection_days",
            most=MOST_DAYS,
        )
    policy = session.get(ReceivingPolicy, unit.id, with_for_update=True)
    if policy is None:
        policy = ReceivingPolicy(buyer_unit_id=unit.id)
        session.add(policy)
    policy.inspection_days, policy.needs_certificates = inspection_days, needs_certificates
    policy.changed_by, policy.changed_at = actor.user_id, now()
    session.flush()
    record_trail(
        session,
        actor,
        "procurement.change_receiving",
        subject=("buyer_unit", unit.public_no),
        inspection_days=inspection_days,
        needs_certificates=needs_certificates,
    )
    return policy


def ship_goods(
    session: Session, actor: Actor, part: OrderPart, *, carrier: str, waybill_no: str
) -> OrderPart:
    """Ship a part. Raises Refused when the unit asks for certificates and a lot has none, and as `ship_part` does."""
    if actor.cooperative_id != part.cooperative_id:
        raise NotFound
    require_certificates(session, part, [share.lot for line in part.lines for share in line.lots])
    return ship_part(session, actor, part, carrier=carrier, waybill_no=waybill_no)


def require_certificates(session: Session, part: OrderPart, lots: Sequence[Lot]) -> None:
    """Raise Refused, naming a lot, when the buyer asks for certificates and one of `lots` has none."""
    if not asked_by(session, part.order.buyer_unit_id).needs_certificates:
        return
    certified = certificates_of_lots(session, {lot.id for lot in lots})
    bare = next((lot for lot in lots if lot.id not in certified), None)
    if bare is not None:
        raise Refused(
            "certificate_missing",
            N_("采购单位要求每个批次附合格证，批次 %(lot)s 还没有，请先开具再发货"),
            lot=bare.lot_no,
        )


def receive_goods(
    session: Session,
    actor: Actor,
    files: FileStore,
    part: OrderPart,
    *,
    arrival: Arrival | None = None,
    idempotency_key: str | None = None,
) -> Receipt:
    """The goods have arrived; the days to inspect them begin. The same key of the same person gives the first receipt.

    Raises NotFound for who does not receive them, Refused for weights or temperatures that cannot be and for photos
    that are none, Conflict when they are not under way.
    """
    _require_buyer(actor, part)
    own = select(Receipt).where(
        Receipt.received_by == actor.user_id, Receipt.idempotency_key == idempotency_key
    )
    first = session.scalar(own) if idempotency_key else None
    if first is not None:
        return first
    noted = arrival or Arrival()
    round_no, delivered = delivered_lines(session, part)
    lines = _weighed(delivered, noted.weights)
    low, high = TEMPERATURES_DC
    if noted.temperature_dc is not None and not low <= noted.temperature_dc <= high:
        raise Refused("temperature", N_("温度须在 −50 到 100 ℃ 之间"), field="temperature")
    remark = _words(noted.remark, "remark")
    photos = keep_photos(session, actor, files, noted.photos, field="photos")
    receive_part(session, actor, part)
    days = asked_by(session, part.order.buyer_unit_id).inspection_days
    receipt = Receipt(
        part_id=part.id,
        round=round_no,
        inspect_by_on=working_days_after(today(), days),
        temperature_dc=noted.temperature_dc,
        remark=remark,
        idempotency_key=idempotency_key,
        received_by=actor.user_id,
        lines=lines,
        files=_about(part, photos),
    )
    _add_once(session, receipt, Conflict("received", N_("这批货已经登记收货，请刷新后再看")))
    return receipt


def _require_buyer(actor: Actor, part: OrderPart) -> None:
    if side_of(actor, part) is not Side.BUYER:
        raise NotFound


def _weighed(delivered: Sequence[Delivered], weights: Mapping[str, int]) -> list[ReceiptLine]:
    ids = {one.line.public_no: one.line.id for one in delivered}
    if not weights.keys() <= ids.keys():
        raise NotFound
    for number, mass_g in weights.items():
        if not 0 < mass_g <= MOST_MASS_G:
            raise Refused("mass", N_("重量须大于 0，最多 100 吨"), field=f"mass-{number}")
    return [ReceiptLine(line_id=ids[number], mass_g=mass_g) for number, mass_g in weights.items()]


def _words(text: str, name: str) -> str:
    words = text.strip()
    if len(words) > MOST_WORDS:
        raise Refused("words_long", N_("这一项最多 %(most)s 个字"), field=name, most=MOST_WORDS)
    return words


def _about(part: OrderPart, kept: Sequence[StoredFile]) -> list[PartFile]:
    return [PartFile(part_id=part.id, file_id=file.id) for file in kept]


def _add_once(session: Session, row: Receipt | Inspection, taken: Conflict) -> None:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise taken from error


def inspect_goods(
    session: Session,
    actor: Actor,
    files: FileStore,
    part: OrderPart,
    *,
    verdicts: Mapping[str, Verdict] | None = None,
    note: str = "",
    idempotency_key: str | None = None,
) -> Inspection:
    """Inspect a delivery: accept it whole, or all but what `verdicts` reject (by line number).

    The same key of the same person gives the first inspection. Raises NotFound for who does not receive the goods or
    for a line that was not delivered, Refused for verdicts that cannot be or reject nothing, Conflict when the delivery
    does not wait for an inspection, or when something is rejected after the last day.
    """
    _require_buyer(actor, part)
    own = select(Inspection).where(
        Inspection.inspected_by == actor.user_id, Inspection.idempotency_key == idempotency_key
    )
    first = session.scalar(own) if idempotency_key else None
    if first is not None:
        return first
    round_no, delivered = delivered_lines(session, part)
    rejected = _rejected(delivered, verdicts) if verdicts is not None else {}
    if rejected:
        _require_in_time(session, part, round_no)
    inspection = Inspection(
        part_id=part.id,
        round=round_no,
        has_rejections=bool(rejected),
        note=_words(note, "note"),
        idempotency_key=idempotency_key,
        inspected_by=actor.user_id,
        lines=[_found(one, round_no, rejected.get(one.line.public_no)) for one in delivered],
    )
    for line in inspection.lines:
        number = next(one.line.public_no for one in delivered if one.line.id == line.line_id)
        if number in rejected:
            photos = keep_photos(session, actor, files, rejected[number].photos, field=f"photos-{number}")
            line.files = _about(part, photos)
    if rejected:
        move_part(session, actor, part, PartEvent.REJECT_GOODS, note=_summary(delivered, rejected))
    else:
        accept_part(session, actor, part, rejected=units_off(session, [part.id]))
    _add_once(session, inspection, Conflict("inspected", N_("这批货刚刚已由其他人验收，请刷新后再看")))
    return inspection


def _rejected(delivered: Sequence[Delivered], verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """The verdicts that reject something, each checked against what was delivered."""
    units = {one.line.public_no: one.units for one in delivered}
    if not verdicts.keys() <= units.keys():
        raise NotFound
    rejected = {number: verdict for number, verdict in verdicts.items() if verdict.rejected}
    if not rejected:
        raise Refused(
            "nothing_rejected", N_("没有填写拒收数量；全部合格请按“全部验收合格”"), field="rejected"
        )
    for number, verdict in rejected.items():
        if not 0 < verdict.rejected <= units[number]:
            raise Refused(
                "rejected_units",
                N_("拒收数量须在 0 到 %(units)s 之间，不能多于送到的数量"),
                field=f"rejected-{number}",
                units=units[number],
            )
        if verdict.reason is None:
            raise Refused("reason_missing", N_("请选择拒收的原因"), field=f"reason-{number}")
        if not _words(verdict.words, f"words-{number}"):
            raise Refused("words_missing", N_("请写明哪里不合格，合作社会看到"), field=f"words-{number}")
    return rejected


def _require_in_time(session: Session, part: OrderPart, round_no: int) -> None:
    receipt = receipt_of(session, part, round_no)
    if receipt is not None and today() > receipt.inspect_by_on:
        raise Conflict(
            "inspection_late",
            N_("验收期到 %(day)s 为止，逾期视为验收合格；有质量问题请申请退款"),
            day=receipt.inspect_by_on.isoformat(),
        )


def _found(one: Delivered, round_no: int, verdict: Verdict | None) -> InspectionLine:
    rejected = verdict.rejected if verdict else 0
    return InspectionLine(
        round=round_no,
        line_id=one.line.id,
        line_quantity=one.line.quantity,
        unit_price_fen=one.line.unit_price_fen,
        replaced_units=one.units if one.replaced else None,
        units=one.units,
        accepted_units=one.units - rejected,
        rejected_units=rejected,
        reason=verdict.reason if verdict else None,
        words=verdict.words.strip() if verdict else "",
    )


def _summary(delivered: Sequence[Delivered], rejected: Mapping[str, Verdict]) -> str:
    """What the history of the part says: the goods and the units."""
    named = [one for one in delivered if one.line.public_no in rejected]
    words = "；".join(
        f"{one.line.title} × {rejected[one.line.public_no].rejected} {one.line.unit_name}" for one in named
    )
    return words[:MOST_WORDS]


def accept_overdue(session: Session) -> int:
    """Deem accepted what nobody has inspected by its last day. A sweep, safe to repeat and to run from two workers;
    returns how many parts it accepted."""
    receipts = session.scalars(overdue_receipts().limit(BATCH)).unique().all()
    for receipt in receipts:
        _deem_accepted(session, receipt)
    return len(receipts)


def _deem_accepted(session: Session, receipt: Receipt) -> None:
    part = receipt.part
    round_no, delivered = delivered_lines(session, part)
    accept_part(
        session,
        SYSTEM,
        part,
        by=PartEvent.DEEM_ACCEPTED,
        note=DEEMED,
        system=True,
        rejected=units_off(session, [part.id]),
    )
    session.add(
        Inspection(
            part_id=part.id,
            round=round_no,
            has_rejections=False,
            note=DEEMED,
            lines=[_found(one, round_no, None) for one in delivered],
        )
    )
    session.flush()


def last_day(session: Session, part: OrderPart) -> date | None:
    """The last day to inspect a part that was received; None when it was received before such days were set."""
    round_no, _ = delivered_lines(session, part)
    receipt = receipt_of(session, part, round_no)
    return receipt.inspect_by_on if receipt else None
