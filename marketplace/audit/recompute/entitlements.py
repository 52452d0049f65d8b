"""Entitlements and charges again: from evidence, the agreement's terms and the formula that was in force.

Evidence is read in the order in which it was recorded. An entitlement is in the scope of the lot that the evidence
names, or else of the linkage period that holds its day. Of the stored row the formula's version and the id are used:
the version says which formula, the id when. The amount is only compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from marketplace.audit.recompute.dues import Due, Dues, Scope
from marketplace.audit.recompute.report import Kind, Report
from marketplace.audit.recompute.standing import Contracts, Dealings
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.mechanisms.contract_farming.formula import rule_version_for
from marketplace.linkage.mechanisms.contract_farming.models import Advance, WeighSlip
from marketplace.linkage.mechanisms.employment.models import Attendance
from marketplace.linkage.mechanisms.production_trusteeship.models import YieldRecord
from marketplace.linkage.mechanisms.seam import Computed
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Charge,
    ChargeKind,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Mechanism,
)

CHUNK = 2_000
RULE_VERSION = 1  # of a formula, where the row that would say it is missing
LOT_OF: Mapping[Mechanism, InstrumentedAttribute[Any]] = {  # evidence that may name a lot
    Mechanism.CONTRACT_FARMING: WeighSlip.lot_id,
    Mechanism.EMPLOYMENT: Attendance.lot_id,
    Mechanism.PRODUCTION_TRUSTEESHIP: YieldRecord.lot_id,
}
CHARGE_OF = {
    Mechanism.CONTRACT_FARMING: ChargeKind.ADVANCE_REPAID,
    Mechanism.PRODUCTION_TRUSTEESHIP: ChargeKind.SERVICE_FEE,
}
NAMES = ("fen", "household", "mechanism", "lot", "period", "due_on", "cooperative")


class Periods:
    """The linkage periods of one cooperative."""

    def __init__(self, session: Session, cooperative_id: int) -> None:
        query = select(LinkagePeriod).where(LinkagePeriod.cooperative_id == cooperative_id)
        self.rows = session.scalars(query.order_by(LinkagePeriod.starts_on)).all()

    def row_holding(self, day: date) -> LinkagePeriod | None:
        """The period that holds `day`; its end is exclusive."""
        return next((row for row in self.rows if row.starts_on <= day < row.ends_on), None)

    def holding(self, day: date) -> int | None:
        """Its id."""
        period = self.row_holding(day)
        return period.id if period else None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of evidence and the terms under which it was recorded; `stored` are the rows kept for it."""

    id: int
    public_no: str
    mechanism: Mechanism
    occurred_on: date
    recorded_at: datetime
    version: AgreementVersion
    household_id: int
    stored: Sequence[Entitlement]
    stamp: int


def recompute_entitlements(session: Session, cooperative_id: int, periods: Periods, report: Report) -> Dues:
    """Derive and compare every entitlement and charge of a cooperative; returns them for what rests on them."""
    reading = _Reading(session, cooperative_id, periods, report)
    for pieces in _pieces(session, cooperative_id):
        reading.read(pieces)
    reading.dues.sort()
    return reading.dues


def _pieces(session: Session, cooperative_id: int) -> Iterator[list[_Piece]]:
    """The evidence of a cooperative in chunks, in the order in which it counted."""
    versions = {
        version.id: (version, household_id)
        for version, household_id in session.execute(
            select(AgreementVersion, Agreement.household_id)
            .join(Agreement, Agreement.id == AgreementVersion.agreement_id)
            .where(Agreement.cooperative_id == cooperative_id)
        )
    }
    last_id = stamp = 0
    while True:
        query = (
            select(Evidence)
            .join(AgreementVersion, AgreementVersion.id == Evidence.agreement_version_id)
            .join(Agreement, Agreement.id == AgreementVersion.agreement_id)
            .where(Agreement.cooperative_id == cooperative_id, Evidence.id > last_id)
            .order_by(Evidence.id)
            .limit(CHUNK)
        )
        rows = session.scalars(query).all()
        if not rows:
            return
        last_id = rows[-1].id
        stored: dict[int, list[Entitlement]] = {}
        kept = select(Entitlement).where(Entitlement.evidence_id.in_([row.id for row in rows]))
        for entitlement in session.scalars(kept.order_by(Entitlement.id)):
            stored.setdefault(entitlement.evidence_id, []).append(entitlement)
        pieces = []
        for row in rows:
            own = stored.get(row.id, ())
            stamp = own[0].id if own else stamp  # what is missing came after what was recorded before it
            version, household_id = versions[row.agreement_version_id]
            pieces.append(
                _Piece(
                    row.id,
                    row.public_no,
                    row.mechanism,
                    row.occurred_on,
                    row.recorded_at,
                    version,
                    household_id,
                    own,
                    stamp,
                )
            )
        yield sorted(pieces, key=lambda piece: piece.stamp)


class _Reading:
    """One pass over the evidence of a cooperative."""

    def __init__(self, session: Session, cooperative_id: int, periods: Periods, report: Report) -> None:
        self.session = session
        self.cooperative_id = cooperative_id
        self.periods = periods
        self.report = report
        self.dues = Dues()
        self._contracts = Contracts()
        self._dealings = Dealings()

    def read(self, pieces: Sequence[_Piece]) -> None:
        """Derive and compare one chunk."""
        ids = [piece.id for piece in pieces]
        details, lots = self._details(pieces), self._lots(pieces)
        corrections = self._amounts(LateCorrection.evidence_id, LateCorrection.amount_fen, ids)
        advances = self._amounts(Advance.id, Advance.amount_fen, ids)
        charges: dict[int, list[Charge]] = {}
        for charge in self.session.scalars(select(Charge).where(Charge.evidence_id.in_(ids))):
            charges.setdefault(charge.evidence_id or 0, []).append(charge)
        for piece in pieces:
            if piece.id in advances:
                self._contracts.advance(piece.version.agreement_id, piece.occurred_on, advances[piece.id])
            period_id = None if piece.id in lots else self.periods.holding(piece.occurred_on)
            scope = (piece.mechanism, lots.get(piece.id), period_id)
            computed = self._computed(piece, details.get(piece.id), corrections.get(piece.id))
            self._keep(piece, scope, computed)
            self._charge(piece, computed, charges.get(piece.id, []))

    def _amounts(
        self, key: InstrumentedAttribute[Any], fen: InstrumentedAttribute[int], ids: Sequence[int]
    ) -> dict[int, int]:
        return dict(self.session.execute(select(key, fen).where(key.in_(ids))).all())

    def _details(self, pieces: Sequence[_Piece]) -> dict[int, dict[str, Any]]:
        """What each mechanism's own evidence says."""
        found: dict[int, dict[str, Any]] = {}
        for mechanism, module in MECHANISMS.items():
            ids = [piece.id for piece in pieces if piece.mechanism is mechanism]
            if ids:
                found |= module.details_of(self.session, ids)
        return found

    def _lots(self, pieces: Sequence[_Piece]) -> dict[int, int]:
        """The lots that evidence names."""
        found: dict[int, int] = {}
        for mechanism, lot_id in LOT_OF.items():
            ids = [piece.id for piece in pieces if piece.mechanism is mechanism]
            if ids:
                model = lot_id.class_
                rows = self.session.execute(
                    select(model.id, lot_id).where(model.id.in_(ids), lot_id.is_not(None))
                )
                found |= dict(rows.all())
        return found

    def _computed(
        self,
        piece: _Piece,
        details: Mapping[str, Any] | None,
        corrected_fen: int | None,
    ) -> Computed | None:
        """What the evidence entitles to; None when it entitles to nothing, or when its formula is not known."""
        if corrected_fen is not None:
            period = self.periods.row_holding(piece.occurred_on)
            return Computed(corrected_fen, period.ends_on if period else date.max, {}, RULE_VERSION)
        if details is None:
            return None
        details = {**details, **self._standing(piece, details)}
        version = RULE_VERSION
        if piece.stored:
            version = piece.stored[0].rule_version
        elif piece.mechanism is Mechanism.CONTRACT_FARMING:
            version = rule_version_for(piece.version.terms)
        try:
            return MECHANISMS[piece.mechanism].entitlement(details, piece.version.terms, rule_version=version)
        except (ValueError, KeyError):
            return None

    def _standing(self, piece: _Piece, details: Mapping[str, Any]) -> dict[str, int]:
        """What the formula asks for and does not stand in the evidence."""
        if piece.mechanism is Mechanism.CONTRACT_FARMING:
            return self._contracts.before_slip(piece.version, details, piece.occurred_on)
        period = self.periods.row_holding(piece.occurred_on)
        if piece.mechanism is Mechanism.SHARE_COOPERATION and period is not None:
            dealt = self._dealings.before_dividend(piece.household_id, period)
            return {"household_dealings_fen": dealt}
        return {}

    def _keep(self, piece: _Piece, scope: Scope, computed: Computed | None) -> None:
        """Compare the rows kept for a piece of evidence with what it entitles to."""
        mechanism, lot_id, period_id = scope
        due = None
        if computed is not None:
            due = (
                computed.amount_fen,
                piece.household_id,
                mechanism,
                lot_id,
                period_id,
                computed.due_on,
                self.cooperative_id,
            )
            self._dealings.add(mechanism, piece.household_id, piece.occurred_on, computed.amount_fen)
            self.dues.add(
                scope,
                Due(
                    piece.stamp,
                    piece.household_id,
                    computed.amount_fen,
                    computed.due_on,
                    piece.occurred_on,
                    piece.recorded_at,
                ),
            )
        for position in range(max(len(piece.stored), due is not None)):
            row = piece.stored[position] if position < len(piece.stored) else None
            self.report.compare(
                Kind.ENTITLEMENT,
                _facts(row) if row else None,
                due if position == 0 else None,
                lambda: (piece.public_no,),
                NAMES,
            )

    def _charge(self, piece: _Piece, computed: Computed | None, stored: Sequence[Charge]) -> None:
        """Compare what the evidence makes the household owe, beside its entitlement."""
        kind = CHARGE_OF.get(piece.mechanism)
        fen = computed.inputs.get("charge_fen", 0) if computed else 0
        if kind is ChargeKind.ADVANCE_REPAID:
            self._contracts.repaid(piece.version.agreement_id, fen)
        rows = {row.kind: row for row in stored}
        for one in sorted({*rows, *([kind] if kind and fen else [])}):
            row = rows.get(one)
            owed = (fen, piece.version.agreement_id, piece.household_id) if one is kind and fen else None
            self.report.compare(
                Kind.CHARGE,
                (row.amount_fen, row.agreement_id, row.household_id) if row else None,
                owed,
                lambda: (*((row.public_no,) if row else ()), piece.public_no),  # noqa: B023 - asked at once
                ("fen", "agreement", "household"),
            )


def _facts(row: Entitlement) -> tuple[object, ...]:
    return (
        row.amount_fen,
        row.household_id,
        row.mechanism,
        row.lot_id,
        row.period_id,
        row.due_on,
        row.cooperative_id,
    )
