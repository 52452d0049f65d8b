"""Recording what a closed linkage period missed, in today's open one."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import grant_entitlement, keep_evidence, require_own
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.late_corrections.queries import computed_of
from marketplace.linkage.models import Agreement, AgreementVersion, Evidence, LinkagePeriod, PeriodState
from marketplace.linkage.queries import period_on
from marketplace.registry.queries import is_beneficiary

MOST_FEN = 100_000_000
MOST_REASON = 300


def record_late_correction(
    session: Session,
    actor: Actor,
    *,
    agreement: Agreement,
    period: LinkagePeriod,
    amount_fen: int,
    reason: str,
    corrected: Evidence | None = None,
    number: int | None = None,
    file: StoredFile | None = None,
) -> LateCorrection:
    """Record what the closed `period` should have said of `agreement`, by the evidence `corrected` where it is of one.

    A positive amount is an entitlement in the period open today. A negative one is noted: nothing given is taken back.
    `number` is which correction of it the person meant to record (see `next_number`), so that a repeated submit is a
    Conflict. Raises Refused (field named) for a period that is not closed, evidence of another agreement or period,
    an amount, reason or paper that is missing, no open period, or a household that was no beneficiary; NotFound for
    somebody else's. Then nothing has changed.
    """
    require_own(actor, agreement, period)
    reason = reason.strip()
    version = _version_corrected(agreement, period, corrected)
    _refuse_input(period, amount_fen, reason, file)
    correction = LateCorrection(
        key=_key(session, agreement, period, corrected, number),
        corrects_period_id=period.id,
        corrects_evidence_id=corrected.id if corrected else None,
        corrected=corrected,
        agreement_id=agreement.id,
        amount_fen=amount_fen,
        reason=reason,
        file_id=file.id if file else None,
        recorded_by=actor.user_id,
    )
    if amount_fen > 0:
        _grant(session, actor, agreement, version, period, correction, file)
    session.add(correction)
    session.flush()
    record_trail(
        session,
        actor,
        "linkage.record_late_correction",
        subject=("linkage_period", period.public_no),
        household_id=agreement.household_id,
        amount_fen=amount_fen,
        agreement=agreement.public_no,
    )
    return correction


def _refuse_input(period: LinkagePeriod, amount_fen: int, reason: str, file: StoredFile | None) -> None:
    if period.state is not PeriodState.CLOSED:
        raise Refused("period_open", N_("这个联结期还没有关账，请照常记录凭据"))
    if amount_fen == 0 or abs(amount_fen) > MOST_FEN:
        raise Refused("correction_amount", N_("请填写差额，不能是零，最多一百万元"), field="amount_fen")
    if not 0 < len(reason) <= MOST_REASON:
        raise Refused("correction_reason", N_("请写明为什么要更正，最多 300 个字"), field="reason")
    if amount_fen > 0 and file is None:
        raise Refused("correction_file", N_("请上传证明少记的单据照片或扫描件"), field="file")


def _version_corrected(
    agreement: Agreement, period: LinkagePeriod, corrected: Evidence | None
) -> AgreementVersion:
    """The terms that held for what is corrected."""
    if corrected is not None:
        is_of_agreement = corrected.agreement_version.agreement_id == agreement.id
        if not is_of_agreement or not period.starts_on <= corrected.occurred_on < period.ends_on:
            raise Refused("other_evidence", N_("这份凭据不属于这份协议或这个联结期"), field="evidence_no")
        return corrected.agreement_version
    begun = [version for version in agreement.versions if version.valid_from < period.ends_on]
    if not begun:
        raise Refused("before_agreement", N_("协议在这个联结期之后才生效，不能更正"), field="agreement_no")
    return max(begun, key=lambda version: version.valid_from)


def _grant(
    session: Session,
    actor: Actor,
    agreement: Agreement,
    version: AgreementVersion,
    period: LinkagePeriod,
    correction: LateCorrection,
    file: StoredFile | None,
) -> None:
    """The evidence of the correction, and what it entitles to in the open period."""
    corrected = correction.corrected
    day = corrected.occurred_on if corrected else max(version.valid_from, period.starts_on)
    open_period = _open_period(session, agreement, day)
    computed = computed_of(correction, period, open_period)
    evidence = keep_evidence(
        session,
        actor,
        version=version,
        mechanism=agreement.mechanism,
        key=correction.key,
        occurred_on=today(),
        content={**computed.inputs, "agreement": agreement.public_no},
        file=file,
    )
    entitlement = grant_entitlement(session, evidence, agreement, computed, period_id=open_period.id)
    correction.evidence_id, correction.entitlement_id = evidence.id, entitlement.id


def _open_period(session: Session, agreement: Agreement, day: date) -> LinkagePeriod:
    """The period open today, for a household that was a beneficiary on the day corrected."""
    if not is_beneficiary(session, agreement.household_id, valid_on=day):
        raise Refused("not_beneficiary", N_("该户在 %(day)s 不属于帮扶对象"), day=day.isoformat())
    found = period_on(session, agreement.cooperative_id, today())
    if found is None or found.state is PeriodState.CLOSED:
        raise Refused("no_open_period", N_("今天没有进行中的联结期，请先开设一个，更正记在那一期里"))
    return found


def next_number(
    session: Session, agreement: Agreement, period: LinkagePeriod, corrected: Evidence | None
) -> int:
    """Which correction of this evidence, or of this agreement in the period, the next one is; from 1."""
    same = (
        LateCorrection.corrects_evidence_id == corrected.id
        if corrected
        else (LateCorrection.corrects_evidence_id.is_(None))
        & (LateCorrection.corrects_period_id == period.id)
        & (LateCorrection.agreement_id == agreement.id)
    )
    return (session.scalar(select(func.count(LateCorrection.id)).where(same)) or 0) + 1


def _key(
    session: Session,
    agreement: Agreement,
    period: LinkagePeriod,
    corrected: Evidence | None,
    number: int | None,
) -> str:
    following = next_number(session, agreement, period, corrected)
    if number is not None and number != following:
        raise Conflict("already_corrected", N_("这笔更正已经记过，或同事刚记了一笔，请核对后再记"))
    what = corrected.public_no if corrected else f"{period.public_no}:{agreement.public_no}"
    return f"late_correction:{what}:{following}"
