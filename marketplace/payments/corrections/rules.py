"""Correcting credits: one person proposes, another agrees or declines; only then is anything posted.

Of a household that was ineligible the entitlements for those days are voided along with it, so that later sales and
guarantees leave them out. The set is frozen with a hash when it is proposed. If anything it rests on has changed by the
time it is agreed to (a refund, another correction, a payout of what was to be passed on), it is refused, and has to be
proposed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import OrganisationKind
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.posting import TransferDraft
from marketplace.linkage.models import Entitlement
from marketplace.linkage.voids import entitlements_to_void, hold_voids, void_entitlements
from marketplace.ordering.rules import required_reason
from marketplace.payments.closing.reductions import (
    CreditedPool,
    hold_scopes,
    reduce_guarantees,
    scopes_of_pools,
)
from marketplace.payments.corrections.computing import Event, PoolChange, compute_changes, hash_of_changes
from marketplace.payments.corrections.models import (
    CorrectionKind,
    CorrectionLine,
    CorrectionSet,
    CorrectionState,
)
from marketplace.payments.household_paths import Villages, goes_through_village, to_households, villages_of
from marketplace.payments.models import LinkagePool
from marketplace.payments.refunds.models import CreditAddition, ReversalCause
from marketplace.payments.refunds.reversing import Reversal, Taking, reverse_credits
from marketplace.registry.models import Household, HouseholdStatusKind, Region
from marketplace.registry.queries import statuses_of


def propose_correction(
    session: Session,
    actor: Actor,
    *,
    kind: CorrectionKind,
    household: Household,
    from_on: date,
    reason: str,
    other: Household | None = None,
    share_bp: int | None = None,
    village: Region | None = None,
) -> CorrectionSet:
    """Compute what a registry event changes from `from_on` on, and freeze it for another person to agree to.

    `other` is the household that a merged one became part of, or the new one of a split, which takes `share_bp` basis
    points; `village` where a household moved. Raises NotFound for a household that is none of the actor's, Refused for
    what cannot be or changes nothing, Conflict when a set of the household waits already.
    """
    actor.require(Permission.CORRECT_CREDITS)
    note = required_reason(reason, N_("请写明更正的依据"))
    _check(session, kind, household, from_on, other, share_bp, village)
    event = Event(kind, household.id, from_on, other.id if other else None, share_bp)
    changes, voids = compute_changes(session, event), _voids_of(session, event)
    if not changes and not voids and kind is not CorrectionKind.MOVED:
        raise Refused("nothing_to_correct", N_("从这一天起，这户没有需要更正的入账"), field="from_on")
    cooperatives = {change.pool.cooperative_id for change in changes} | {one.cooperative_id for one in voids}
    found = CorrectionSet(
        kind=kind,
        household_id=household.id,
        other_household_id=other.id if other else None,
        cooperative_id=cooperatives.pop() if len(cooperatives) == 1 else None,
        county_code=household.county_code,
        from_on=from_on,
        share_bp=share_bp,
        village_code=village.code if village else None,
        reason=note,
        pools=len(changes),
        taken_fen=sum(sum(change.taken.values()) for change in changes),
        given_fen=sum(sum(change.given.values()) for change in changes),
        unallocated_fen=sum(change.unallocated_fen for change in changes),
        content_hash=hash_of_changes(event, changes, voids),
        proposed_by=actor.user_id,
    )
    _require_concerned(actor, found)
    try:
        with session.begin_nested():
            session.add(found)
    except IntegrityError as waiting:
        raise Conflict("set_waits", N_("这户已有一份更正等待复核，请先处理")) from waiting
    _keep_lines(session, found, changes)
    _note(session, actor, "payments.propose_correction", found)
    return found


def _voids_of(session: Session, event: Event) -> list[Entitlement]:
    """The entitlements that the event leaves without weight: those of an ineligible household from its date on."""
    if event.kind is not CorrectionKind.INELIGIBLE:
        return []
    return entitlements_to_void(session, event.household_id, event.from_on)


def _check(
    session: Session,
    kind: CorrectionKind,
    household: Household,
    from_on: date,
    other: Household | None,
    share_bp: int | None,
    village: Region | None,
) -> None:
    """Raise Refused, naming the field, for an event that cannot be."""
    if from_on > today():
        raise Refused("in_future", N_("起始日期不能晚于今天"), field="from_on")
    if kind is CorrectionKind.INELIGIBLE:
        status = statuses_of(session, [household.id], valid_on=from_on).get(household.id)
        if status is not HouseholdStatusKind.INELIGIBLE:
            raise Refused(
                "not_ineligible",
                N_("登记显示这户在这一天仍符合条件，请先由县级审核员登记状态"),
                field="from_on",
            )
    _check_nothing_else(kind, other, share_bp, village)
    if kind in {CorrectionKind.MERGED, CorrectionKind.SPLIT} and other is None:
        raise Refused("other_missing", N_("请填写并入或分出的另一户的编号"), field="other_no")
    if other is not None and other.id == household.id:
        raise Refused("same_household", N_("另一户不能是这一户本身"), field="other_no")
    if kind is CorrectionKind.SPLIT and (share_bp is None or not 0 < share_bp < 10_000):
        raise Refused("share", N_("分户比例须大于 0、小于百分之百"), field="share")
    if kind is CorrectionKind.MOVED and (village is None or len(village.code) != 12):
        raise Refused("village", N_("请选择迁入的村"), field="village_code")


def _check_nothing_else(
    kind: CorrectionKind, other: Household | None, share_bp: int | None, village: Region | None
) -> None:
    """Raise Refused, naming the field, for what belongs to another kind of event."""
    if other is not None and kind not in {CorrectionKind.MERGED, CorrectionKind.SPLIT}:
        raise Refused("other_unasked", N_("只有并户、分户才填另一户，请清空这一项"), field="other_no")
    if share_bp is not None and kind is not CorrectionKind.SPLIT:
        raise Refused("share_unasked", N_("只有分户才填比例，请清空这一项"), field="share")
    if village is not None and kind is not CorrectionKind.MOVED:
        raise Refused("village_unasked", N_("只有迁移才选迁入的村，请不要选"), field="village_code")


def _require_concerned(actor: Actor, found: CorrectionSet) -> None:
    """Raise NotFound or Forbidden unless the actor may propose and decide the set: a reviewer of the county, or the
    manager of the one cooperative it is about."""
    if actor.organisation_kind is OrganisationKind.COOPERATIVE:
        if found.cooperative_id is None:
            raise Forbidden(
                "several_cooperatives", N_("这户的入账涉及其他合作社或户籍变动，请由县级审核员办理")
            )
        if found.cooperative_id != actor.cooperative_id:
            raise NotFound
    elif not actor.region_code or not found.county_code.startswith(actor.region_code):
        raise NotFound


def _keep_lines(session: Session, found: CorrectionSet, changes: Sequence[PoolChange]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "set_id": found.id,
            "pool_id": change.pool.pool_id,
            "household_id": household_id,
            "before_fen": change.pool.standing.get(household_id, 0),
            "after_fen": fen,
        }
        for change in changes
        for household_id, fen in sorted(change.after.items())
    ]
    if rows:
        session.execute(insert(CorrectionLine), rows)


def decline_correction(session: Session, actor: Actor, found: CorrectionSet, *, reason: str) -> CorrectionSet:
    """Another person does not agree, and says why; the set is kept. Raises Conflict when it was decided."""
    note = required_reason(reason, N_("请写明不同意的理由"))
    _hold(session, actor, found)
    found.state, found.note = CorrectionState.DECLINED, note
    found.decided_by, found.decided_at = actor.user_id, now()
    session.flush()
    _note(session, actor, "payments.decline_correction", found)
    return found


def agree_correction(
    session: Session, actor: Actor, found: CorrectionSet, *, note: str = ""
) -> CorrectionSet:
    """Another person agrees: one entry per pool is posted, and entitlements are voided.

    Raises Forbidden for the one who proposed, Conflict when it was decided, or when the ground has moved since.
    """
    _hold(session, actor, found)
    if found.kind is CorrectionKind.INELIGIBLE:
        hold_voids(session, writes=True)
    lines = select(CorrectionLine.pool_id).where(CorrectionLine.set_id == found.id)
    pools = select(LinkagePool.id).where(LinkagePool.id.in_(lines)).order_by(LinkagePool.id)
    session.execute(pools.with_for_update()).all()
    event = Event(found.kind, found.household_id, found.from_on, found.other_household_id, found.share_bp)
    changes, voids = compute_changes(session, event), _voids_of(session, event)
    if hash_of_changes(event, changes, voids) != found.content_hash:
        raise Conflict("ground_moved", N_("提出之后入账又有变化，这份更正不能再用；请写明理由退回，重新提出"))
    found.state, found.note = CorrectionState.POSTED, note.strip()[:300]
    found.decided_by, found.decided_at = actor.user_id, now()
    session.flush()
    if found.kind is CorrectionKind.MOVED and found.village_code is not None:
        found.household.village_code, found.household.county_code = (
            found.village_code,
            found.village_code[:6],
        )
    _post(session, actor, found, changes)
    _void(session, found, voids)
    _note(session, actor, "payments.agree_correction", found)
    return found


def _void(session: Session, found: CorrectionSet, voids: Sequence[Entitlement]) -> None:
    """Leave the entitlements out from now on; guarantees are posted before or after, never beside."""
    hold_scopes(session, [(one.mechanism, one.lot_id, one.period_id) for one in voids])
    void_entitlements(session, voids, correction_no=found.public_no, reason=found.reason, at=now())


def _hold(session: Session, actor: Actor, found: CorrectionSet) -> None:
    """Read a set anew, held against a second decision, for somebody who may decide it."""
    actor.require(Permission.CORRECT_CREDITS)
    _require_concerned(actor, found)
    session.refresh(found, with_for_update={"of": CorrectionSet})
    if found.state is not CorrectionState.PROPOSED:
        raise Conflict("decided", N_("这份更正已经处理过，请刷新后查看"))
    if found.proposed_by == actor.user_id:
        raise Forbidden("two_people", N_("提出更正的人不能自己复核，请由另一人办理"))


def _post(session: Session, actor: Actor, found: CorrectionSet, changes: Sequence[PoolChange]) -> None:
    """One entry per pool: what is taken back, and what is given or waits instead."""
    if not changes:
        return
    routed = {
        key for change in changes if goes_through_village(change.pool.mechanism) for key in change.given
    }
    villages = villages_of(session, routed) if routed else {}
    reversals = [_reversal(actor, found, change, villages) for change in changes]
    entries = reverse_credits(session, reversals)
    at = now()
    rows: list[dict[str, Any]] = [
        {
            "pool_id": change.pool.pool_id,
            "line_id": change.pool.line_id,
            "household_id": household_id,
            "cooperative_id": change.pool.cooperative_id,
            "mechanism": change.pool.mechanism,
            "amount_fen": fen,
            "entry_id": entry.id,
            "credited_at": at,
        }
        for change, entry in zip(changes, entries, strict=True)
        for household_id, fen in change.given.items()
    ]
    if rows:
        session.execute(insert(CreditAddition), rows)
    if found.kind is CorrectionKind.INELIGIBLE:  # what is passed on brings its own claim along
        _replace_guarantees(session, found, changes, at)


def _replace_guarantees(
    session: Session, found: CorrectionSet, changes: Sequence[PoolChange], at: datetime
) -> None:
    """What others are given of a pool replaces guarantees that stand for them in its scope."""
    scopes = scopes_of_pools(session, [change.pool.pool_id for change in changes])
    hold_scopes(session, list(scopes.values()))
    pools = [
        CreditedPool(
            change.pool.pool_id,
            change.pool.line_id,
            scopes[change.pool.pool_id],
            change.pool.cooperative_id,
            change.given,
            occasion=found.public_no,
        )
        for change in changes
        if change.given
    ]
    reduce_guarantees(session, pools, at=at)


def _reversal(actor: Actor, found: CorrectionSet, change: PoolChange, villages: Villages) -> Reversal:
    pool, cooperative = change.pool, AccountKey.cooperative_payable(change.pool.cooperative_id)
    route = villages if goes_through_village(pool.mechanism) else None
    transfers = to_households(cooperative, pool.cooperative_id, change.given, route)
    if change.unallocated_fen:
        waiting = AccountKey.unallocated(pool.cooperative_id)
        transfers.append(TransferDraft(cooperative, waiting, change.unallocated_fen))
    return Reversal(
        key=f"correction:{found.public_no}:{pool.pool_id}",
        cause=ReversalCause.CORRECTION,
        line_id=pool.line_id,
        cooperative_id=pool.cooperative_id,
        takings=(Taking(pool, change.taken),),
        reverses=pool.entry_id,
        reason=found.reason,
        at=found.decided_at or now(),
        actor_user_id=actor.user_id,
        transfers=tuple(transfers),
    )


def _note(session: Session, actor: Actor, action: str, found: CorrectionSet) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("correction_set", found.public_no),
        cooperative_id=found.cooperative_id,
        household_id=found.household_id,
        county_code=found.county_code,
        taken_fen=found.taken_fen,
    )
