"""What becomes of a rejection: replaced, contested, withdrawn, or agreed to.

Agreeing moves money, so its rule is in payments (`payments/refunds/answers.py`); what it says about the goods is here.
Goods that were delivered never go back to their lots: what was rejected is not sold again. A part is replaced at most
once, whole or in part; what is rejected again is settled in money, or contested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import index_anew
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderLine, OrderPart
from marketplace.ordering.rules import MAX_CARRIER, accept_part, move_part, required_reason
from marketplace.ordering.states import PartEvent, PartState
from marketplace.ordering.stock import Goods, Held, hold_grams
from marketplace.procurement.receiving.models import (
    DisputeStatement,
    Inspection,
    Outcome,
    PartFile,
    RejectionOutcome,
    Replacement,
    ReplacementLine,
    ReplacementLot,
    Side,
)
from marketplace.procurement.receiving.photos import Upload, keep_papers
from marketplace.procurement.receiving.queries import is_everything, replacement_of, side_of, units_off
from marketplace.procurement.receiving.rules import require_certificates

MOST_STATEMENT = 1_000
WHY = N_("请写明理由，对方会看到")
ANSWERED = N_("这笔拒收已经处理过，请刷新后再看")


def end_rejection(session: Session, actor: Actor, inspection: Inspection, *, reason: str) -> RejectionOutcome:
    """The cooperative, or the county, says that the rejection stands: the goods are accepted without what was
    rejected, or returned when everything was. For payments, which posts what it means (see the module).

    Raises NotFound for who is no party, Conflict when the rejection has ended, Refused without the reason that a
    contested one needs.
    """
    part = _hold(session, inspection)
    side = _require_side(actor, part, Side.COOPERATIVE, Side.MEDIATOR)
    words = _reason_of(part, reason)
    if is_everything(session, inspection):
        move_part(session, actor, part, PartEvent.AGREE_RETURN, note=words)
        return _note_outcome(session, actor, inspection, Outcome.RETURNED, side, words)
    before = units_off(session, [part.id])
    now_off = {line.line_id: line.rejected_units + before.get(line.line_id, 0) for line in inspection.lines}
    rejected = before | now_off
    accept_part(session, actor, part, by=PartEvent.AGREE_REJECTION, note=words, rejected=rejected)
    return _note_outcome(session, actor, inspection, Outcome.AGREED, side, words)


def withdraw_rejection(
    session: Session, actor: Actor, inspection: Inspection, *, reason: str
) -> RejectionOutcome:
    """The buyer accepts the goods after all, or the county says that they are to be accepted.

    Raises as `end_rejection` does.
    """
    part = _hold(session, inspection)
    side = _require_side(actor, part, Side.BUYER, Side.MEDIATOR)
    words = _reason_of(part, reason)
    off = units_off(session, [part.id])
    accept_part(session, actor, part, by=PartEvent.WITHDRAW_REJECTION, note=words, rejected=off)
    return _note_outcome(session, actor, inspection, Outcome.WITHDRAWN, side, words)


def _hold(session: Session, inspection: Inspection) -> OrderPart:
    """The part, held against a second answer. Raises Conflict when the rejection has ended."""
    part = inspection.part
    session.refresh(part, with_for_update={"of": OrderPart})
    session.refresh(inspection, ["outcome"])
    if inspection.outcome is not None:
        raise Conflict("answered", ANSWERED)
    return part


def _require_side(actor: Actor, part: OrderPart, *sides: Side) -> Side:
    side = side_of(actor, part)
    if side is None or side not in sides:
        raise NotFound
    return side


def _reason_of(part: OrderPart, reason: str) -> str:
    """The words of an answer; a contested rejection ends with a reason."""
    if part.state is PartState.DISPUTED or reason.strip():
        return required_reason(reason, WHY)
    return ""


def _note_outcome(
    session: Session, actor: Actor, inspection: Inspection, outcome: Outcome, side: Side, words: str
) -> RejectionOutcome:
    ended = RejectionOutcome(
        inspection_id=inspection.id,
        outcome=outcome,
        side=side,
        reason=words,
        decided_by=actor.user_id,
        decided_at=now(),
    )
    try:
        with session.begin_nested():
            session.add(ended)
    except IntegrityError as taken:
        raise Conflict("answered", ANSWERED) from taken
    session.expire(inspection, ["outcome"])
    return ended


def replace_goods(
    session: Session,
    actor: Actor,
    inspection: Inspection,
    *,
    carrier: str,
    waybill_no: str = "",
    units: Mapping[str, int] | None = None,
) -> Replacement:
    """The cooperative sends other goods for what was rejected, from its lots; the next round inspects just those.

    `units` are how many are sent again, by line number; what is rejected beyond them is taken off the price, which is
    payments' (`payments/refunds/answers.py`). Without it everything is sent again. Raises NotFound for another
    cooperative's or a line that was not rejected, Refused without a carrier or a certificate the unit asks for or for
    units that cannot be, Conflict when the lots have too little, when the part was replaced before, or when the
    rejection has ended.
    """
    part = _hold(session, inspection)
    side = _require_side(actor, part, Side.COOPERATIVE)
    carrier, waybill_no = carrier.strip(), waybill_no.strip()
    if not carrier or max(len(carrier), len(waybill_no)) > MAX_CARRIER:
        raise Refused(
            "carrier",
            N_("请填写承运方，自送请填“自送”；最多 %(most)s 个字"),
            field="carrier",
            most=MAX_CARRIER,
        )
    if replacement_of(session, part) is not None:
        raise Conflict("replaced_before", N_("这笔订单已经换过一次货，请同意扣减货款，或提出异议"))
    again = _units_again(inspection, units)
    move_part(session, actor, part, PartEvent.REPLACE, note=f"{carrier} {waybill_no}".strip())
    lines = _send_again(session, part, again)
    replacement = Replacement(
        part_id=part.id,
        inspection_id=inspection.id,
        carrier=carrier,
        waybill_no=waybill_no,
        sent_by=actor.user_id,
        lines=lines,
    )
    session.add(replacement)
    session.flush()
    require_certificates(session, part, [share.lot for line in lines for share in line.lots])
    part.carrier, part.waybill_no, part.shipped_at = carrier, waybill_no, now()
    is_whole = all(line.rejected_units == again.get(line.line_id, 0) for line in inspection.lines)
    outcome = Outcome.REPLACED if is_whole else Outcome.SPLIT
    _note_outcome(session, actor, inspection, outcome, side, "")
    return replacement


def _units_again(inspection: Inspection, units: Mapping[str, int] | None) -> dict[int, int]:
    """The units to send again, by line id, none of them zero."""
    rejected = {line.line.public_no: line for line in inspection.lines if line.rejected_units}
    if units is None:
        return {line.line_id: line.rejected_units for line in rejected.values()}
    if not units.keys() <= rejected.keys():
        raise NotFound
    for number, count in units.items():
        if not 0 <= count <= rejected[number].rejected_units:
            raise Refused(
                "units_again",
                N_("补发数量须在 0 到 %(most)s 之间，不能多于拒收的数量"),
                field=f"units-{number}",
                most=rejected[number].rejected_units,
            )
    if not any(units.values()):
        field = f"units-{next(iter(rejected))}"
        raise Refused("nothing_again", N_("补发数量都是 0；不补发请按“同意拒收”处理"), field=field)
    return {rejected[number].line_id: count for number, count in units.items() if count}


def _send_again(session: Session, part: OrderPart, rejected: dict[int, int]) -> list[ReplacementLine]:
    """The lines of a replacement, their grams held."""
    lines = [line for line in part.lines if line.id in rejected]
    listings = {line.id: line.listing_version.listing_id for line in lines}
    products = {line.id: line.listing_version.listing.product_id for line in lines}
    goods = [
        Goods(products[line.id], line.net_mass_g * rejected[line.id], line.net_mass_g, line.title)
        for line in sorted(lines, key=lambda line: products[line.id])
    ]
    held = hold_grams(session, goods)
    index_anew(session, [listings[line.id] for line in lines if held[products[line.id]].sold_out])
    return [_line_again(line, rejected[line.id], held[products[line.id]]) for line in lines]


def _line_again(line: OrderLine, units: int, held: Held) -> ReplacementLine:
    return ReplacementLine(
        line_id=line.id,
        line_quantity=line.quantity,
        unit_price_fen=line.unit_price_fen,
        units=units,
        lots=[ReplacementLot(lot_id=share.lot_id, mass_g=share.mass_g) for share in held.lots],
    )


def contest_rejection(
    session: Session,
    actor: Actor,
    files: FileStore,
    inspection: Inspection,
    *,
    words: str,
    uploads: Sequence[Upload] = (),
    idempotency_key: str | None = None,
) -> DisputeStatement:
    """The cooperative does not agree: both sides, and the county, are heard from here on. Raises as
    `make_statement` does, Conflict when the rejection has ended."""
    first = _statement_under(session, actor, idempotency_key)
    if first is not None:
        return first
    part = _hold(session, inspection)
    side = _require_side(actor, part, Side.COOPERATIVE)
    move_part(session, actor, part, PartEvent.CONTEST, note=_statement_of(words)[:300])
    return _state(session, actor, files, inspection, side, words, uploads, idempotency_key)


def make_statement(
    session: Session,
    actor: Actor,
    files: FileStore,
    inspection: Inspection,
    *,
    words: str,
    uploads: Sequence[Upload] = (),
    idempotency_key: str | None = None,
) -> DisputeStatement:
    """Say something, with photos or papers, about a contested rejection. The same key gives the first statement.

    Raises NotFound for who is no party, Refused without words or for files of another kind, Conflict when there is no
    dispute, or none any more.
    """
    part = _hold(session, inspection)
    side = _require_side(actor, part, Side.BUYER, Side.COOPERATIVE, Side.MEDIATOR)
    if part.state is not PartState.DISPUTED:
        raise Conflict("no_dispute", N_("这笔拒收没有争议在处理"))
    return _state(session, actor, files, inspection, side, words, uploads, idempotency_key)


def _statement_under(session: Session, actor: Actor, key: str | None) -> DisputeStatement | None:
    own = select(DisputeStatement).where(
        DisputeStatement.stated_by == actor.user_id, DisputeStatement.idempotency_key == key
    )
    return session.scalar(own) if key else None


def _statement_of(words: str) -> str:
    text = words.strip()
    if not text or len(text) > MOST_STATEMENT:
        raise Refused("words", N_("请写明情况，最多 %(most)s 个字"), field="statement", most=MOST_STATEMENT)
    return text


def _state(
    session: Session,
    actor: Actor,
    files: FileStore,
    inspection: Inspection,
    side: Side,
    words: str,
    uploads: Sequence[Upload],
    key: str | None,
) -> DisputeStatement:
    kept = keep_papers(session, actor, files, uploads, field="files")
    statement = DisputeStatement(
        inspection_id=inspection.id,
        side=side,
        words=_statement_of(words),
        idempotency_key=key,
        stated_by=actor.user_id,
        files=[PartFile(part_id=inspection.part_id, file_id=file.id) for file in kept],
    )
    session.add(statement)
    session.flush()
    record_trail(
        session,
        actor,
        "procurement.state_in_dispute",
        subject=("inspection", inspection.public_no),
        cooperative_id=inspection.part.cooperative_id,
        buyer_unit_id=inspection.part.order.buyer_unit_id,
    )
    return statement
