"""What every mechanism's recording rule shares: is the day allowed, keep the evidence, grant the entitlement.

Evidence stands under a global key, so that one physical event never backs two claims. An entitlement keeps everything
it was computed from. Which evidence there is, and what it entitles to, is the mechanism's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.linkage.as_of import hold_entitlements
from marketplace.linkage.mechanisms.seam import Computed
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Charge,
    ChargeKind,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Lot,
    Mechanism,
    PeriodState,
)
from marketplace.linkage.queries import period_on, version_on
from marketplace.registry.queries import is_beneficiary


def own_cooperative_id(actor: Actor) -> int:
    """The cooperative whose evidence the actor may record. Raises Forbidden."""
    actor.require(Permission.RECORD_EVIDENCE)
    if actor.cooperative_id is None:
        raise Forbidden
    return actor.cooperative_id


def require_own(actor: Actor, *rows: Agreement | Lot | LinkagePeriod) -> int:
    """The actor's cooperative, whose every one of `rows` is. Raises Forbidden, or NotFound for somebody else's."""
    cooperative_id = own_cooperative_id(actor)
    if any(row.cooperative_id != cooperative_id for row in rows):
        raise NotFound
    return cooperative_id


def version_for(
    session: Session, agreement: Agreement, mechanism: Mechanism, day: date, *, field: str
) -> AgreementVersion:
    """The version under which evidence of `mechanism` on `day` is recorded; `field` is where the day was typed.

    Raises Refused when the agreement is of another mechanism or does not hold that day, when the day is in the future
    or in a closed linkage period, or when the household is no beneficiary that day.
    """
    if agreement.mechanism is not mechanism:
        raise Refused(
            "wrong_mechanism", N_("这份协议是“%(mechanism)s”，不能这样记录"), mechanism=agreement.mechanism
        )
    if day > today():
        raise Refused("future_day", N_("日期不能晚于今天"), field=field)
    version = version_on(agreement, day)
    if version is None:
        raise _out_of_force(agreement, day, field)
    period = period_on(session, agreement.cooperative_id, day)
    if period is not None and period.state is PeriodState.CLOSED:
        raise Refused(
            "closed_period", N_("%(day)s 所在的联结期已关账，不能再补记"), field=field, day=day.isoformat()
        )
    if not is_beneficiary(session, agreement.household_id, valid_on=day):
        raise Refused(
            "not_beneficiary", N_("该户在 %(day)s 不属于帮扶对象"), field=field, day=day.isoformat()
        )
    return version


def _out_of_force(agreement: Agreement, day: date, field: str) -> Refused:
    first = agreement.versions[0].valid_from
    if day < first:
        return Refused(
            "before_agreement",
            N_("协议从 %(day)s 起生效，不能记更早的日期"),
            field=field,
            day=first.isoformat(),
        )
    if agreement.ended_on and day >= agreement.ended_on:
        message = N_("协议从 %(day)s 起已终止，不能记这天及以后的日期")
        return Refused("after_agreement", message, field=field, day=agreement.ended_on.isoformat())
    return Refused(
        "after_agreement", N_("协议在 %(day)s 已过有效期，请先续签"), field=field, day=day.isoformat()
    )


def evidence_under(session: Session, key: str) -> Evidence | None:
    """The evidence already recorded under a global key."""
    return session.scalar(select(Evidence).where(Evidence.key == key))


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of what was recorded."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def keep_evidence(
    session: Session,
    actor: Actor,
    *,
    version: AgreementVersion,
    mechanism: Mechanism,
    key: str,
    occurred_on: date,
    content: Mapping[str, Any],
    file: StoredFile | None,
) -> Evidence:
    """Add the evidence under its global key; `content` is what its hash covers, together with the key."""
    evidence = Evidence(
        key=key,
        mechanism=mechanism,
        agreement_version_id=version.id,
        agreement_version=version,
        occurred_on=occurred_on,
        content_hash=content_hash({**content, "key": key}),
        file_id=file.id if file else None,
        recorded_by=actor.user_id,
    )
    session.add(evidence)
    session.flush()
    return evidence


def grant_entitlement(
    session: Session,
    evidence: Evidence,
    agreement: Agreement,
    computed: Computed,
    *,
    lot_id: int | None = None,
    period_id: int | None = None,
) -> Entitlement:
    """Add what the evidence entitles the agreement's household to, in the scope of a lot or of a linkage period."""
    hold_entitlements(session)
    entitlement = Entitlement(
        household_id=agreement.household_id,
        cooperative_id=agreement.cooperative_id,
        mechanism=agreement.mechanism,
        evidence_id=evidence.id,
        evidence=evidence,
        lot_id=lot_id,
        period_id=period_id,
        amount_fen=computed.amount_fen,
        due_on=computed.due_on,
        inputs=computed.inputs,
        rule_version=computed.rule_version,
    )
    session.add(entitlement)
    session.flush()
    return entitlement


def add_charge(
    session: Session,
    evidence: Evidence | None,
    agreement: Agreement,
    *,
    kind: ChargeKind,
    amount_fen: int,
    charged_on: date,
    inputs: Mapping[str, Any],
) -> Charge:
    """Add what the household owes under `agreement`, in fen, and what it was computed from (fit for JSON).

    Only the document: it is collected later, from money of the same agreement. Raises ValueError for an amount that is
    not positive: where nothing is owed, no charge is made.
    """
    if amount_fen <= 0:
        raise ValueError("a charge is of at least one fen")
    charge = Charge(
        agreement_id=agreement.id,
        evidence_id=evidence.id if evidence else None,
        household_id=agreement.household_id,
        cooperative_id=agreement.cooperative_id,
        kind=kind,
        amount_fen=amount_fen,
        charged_on=charged_on,
        inputs=dict(inputs),
    )
    session.add(charge)
    session.flush()
    return charge
