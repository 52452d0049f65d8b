"""Adopting a resolution on the surplus, and passing a stake on to another household."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import grant_entitlement, keep_evidence, require_own
from marketplace.linkage.mechanisms.share_cooperation.decisions import Decision
from marketplace.linkage.mechanisms.share_cooperation.distribution import (
    Distribution,
    Row,
    draw_up_distribution,
)
from marketplace.linkage.mechanisms.share_cooperation.mechanism import (
    dividend_details,
    entitlement,
    lock_cooperative,
)
from marketplace.linkage.mechanisms.share_cooperation.models import (
    ShareDividend,
    ShareResolution,
    StakeReassignment,
)
from marketplace.linkage.models import Agreement, LinkagePeriod, Mechanism
from marketplace.linkage.rules import end_agreement, sign_agreement
from marketplace.registry.models import Household

RESOLUTION_NO = re.compile(r"[0-9A-Za-z\u4e00-\u9fff()（）〔〕\-]{1,40}")


def dividend_key(uscc: str, resolution_no: str, agreement_no: str) -> str:
    """The global key of a dividend: credit code, number of the resolution, public number of the agreement."""
    return f"share_dividend:{uscc}:{resolution_no}:{agreement_no}"


def preview_resolution(
    session: Session, actor: Actor, *, period: LinkagePeriod, decision: Decision
) -> Distribution:
    """What adopting `decision` would give to each stake. Raises what `adopt_resolution` would; changes nothing."""
    require_own(actor, period)
    if not RESOLUTION_NO.fullmatch(decision.resolution_no):
        message = N_("决议编号最多 40 个字，只能有数字、字母、汉字、括号和横线")
        raise Refused("resolution_no", message, field="resolution_no")
    _refuse_adopted(session, period, decision)
    return draw_up_distribution(session, period, decision)


def adopt_resolution(
    session: Session,
    actor: Actor,
    *,
    period: LinkagePeriod,
    decision: Decision,
    file: StoredFile | None = None,
    digest: str | None = None,
) -> ShareResolution:
    """Record a general meeting's resolution on the surplus of `period`, and what each stake is entitled to by it.

    `digest` is that of the preview looked at, where there was one. Raises Refused (field named) for a decision that the
    law forbids or that does not fit what is known here; Conflict when the period's surplus is shared out already, the
    number was used, or the preview no longer holds; NotFound for somebody else's period. Then nothing has changed.
    """
    require_own(actor, period)
    cooperative = lock_cooperative(session, period.cooperative_id)
    session.refresh(period, with_for_update=True)
    drawn = preview_resolution(session, actor, period=period, decision=decision)
    if digest is not None and digest != drawn.digest:
        raise Conflict("preview_changed", N_("预览以后股份或交易额有变动，请重新核对分配表，再登记"))
    resolution = ShareResolution(
        cooperative_id=period.cooperative_id,
        period_id=period.id,
        **asdict(decision),
        most_staked_fen=drawn.most_staked_fen,
        known_dealings_fen=drawn.known_dealings_fen,
        file_id=file.id if file else None,
        recorded_by=actor.user_id,
    )
    session.add(resolution)
    session.flush()
    for row in drawn.rows:
        key = dividend_key(cooperative.uscc, decision.resolution_no, row.agreement.public_no)
        _grant(session, actor, resolution, period, row, key=key, capital_pool_fen=drawn.shared.capital_fen)
    record_trail(
        session,
        actor,
        "linkage.adopt_resolution",
        subject=("share_resolution", resolution.public_no),
        resolution_no=decision.resolution_no,
        surplus_fen=decision.surplus_fen,
        patronage_bp=decision.patronage_bp,
        stakes=len(drawn.rows),
        amount_fen=drawn.households_fen,
    )
    return resolution


def _refuse_adopted(session: Session, period: LinkagePeriod, decision: Decision) -> None:
    other = session.scalar(
        select(ShareResolution).where(
            ShareResolution.cooperative_id == period.cooperative_id,
            or_(
                ShareResolution.period_id == period.id,
                ShareResolution.resolution_no == decision.resolution_no,
            ),
        )
    )
    if other is None:
        return
    if other.period_id == period.id:
        message = N_("这个联结期的盈余已按决议 %(no)s 分完，不能再分一次")
        raise Conflict("already_shared", message, field="period_no", no=other.resolution_no)
    message = N_("决议编号 %(no)s 已在 %(day)s 的会议用过，请核对")
    raise Conflict(
        "resolution_used",
        message,
        field="resolution_no",
        no=other.resolution_no,
        day=other.meeting_on.isoformat(),
    )


def _grant(
    session: Session,
    actor: Actor,
    resolution: ShareResolution,
    period: LinkagePeriod,
    row: Row,
    *,
    key: str,
    capital_pool_fen: int,
) -> None:
    """Keep one stake's dividend as evidence, and grant what it entitles to over the linkage period."""
    dividend = ShareDividend(
        resolution_id=resolution.id,
        agreement_id=row.agreement.id,
        stake_days_fen=row.stake_days_fen,
        dealings_fen=row.dealings_fen,
    )
    details = dividend_details(resolution, period, dividend, row.share, capital_pool_fen)
    evidence = keep_evidence(
        session,
        actor,
        version=row.version,
        mechanism=Mechanism.SHARE_COOPERATION,
        key=key,
        occurred_on=row.last_day,
        content={**details, "agreement": row.agreement.public_no},
        file=None,
    )
    dividend.id = evidence.id
    session.add(dividend)
    computed = entitlement(details, row.version.terms)
    grant_entitlement(session, evidence, row.agreement, computed, period_id=period.id)


def reassign_stake(
    session: Session,
    actor: Actor,
    agreement: Agreement,
    *,
    to_household: Household,
    from_day: date,
    reason: str,
    file: StoredFile | None = None,
) -> Agreement:
    """Pass the stake of `agreement` to another household from a day on: the one ends, the other is signed the same day.

    The certificate, the stake and its source stay the same. Returns the new agreement. Raises Refused when there is no
    reason, the household is the same or cannot sign, the terms change later, or something from that day on is recorded
    already; NotFound for somebody else's agreement. Then nothing has changed.
    """
    require_own(actor, agreement)
    reason = reason.strip()
    if agreement.mechanism is not Mechanism.SHARE_COOPERATION:
        message = N_("这份协议是“%(mechanism)s”，不能这样记录")
        raise Refused("wrong_mechanism", message, mechanism=agreement.mechanism)
    if not 0 < len(reason) <= 200:
        raise Refused("reason", N_("请写明转让原因，最多 200 个字"), field="reason")
    if to_household.id == agreement.household_id:
        raise Refused("same_household", N_("请选择另一户"), field="household_no")
    last = agreement.versions[-1]
    if from_day < last.valid_from or (last.valid_to is not None and from_day >= last.valid_to):
        message = N_("股份只能在现行条款的有效期内转让，请核对日期")
        raise Refused("not_held", message, field="from_day")
    with session.begin_nested():  # so that a household that cannot sign leaves the stake where it was
        end_agreement(session, actor, agreement, ended_on=from_day)
        signed = sign_agreement(
            session,
            actor,
            household=to_household,
            mechanism=Mechanism.SHARE_COOPERATION,
            valid_from=from_day,
            valid_to=last.valid_to,
            terms=last.terms,
            file=file,
        )
        session.add(
            StakeReassignment(
                from_agreement_id=agreement.id,
                to_agreement_id=signed.id,
                from_day=from_day,
                reason=reason,
                recorded_by=actor.user_id,
            )
        )
        record_trail(
            session,
            actor,
            "linkage.reassign_stake",
            subject=("agreement", signed.public_no),
            household_id=to_household.id,
            from_agreement=agreement.public_no,
            from_day=from_day.isoformat(),
            reason=reason,
        )
    return signed
