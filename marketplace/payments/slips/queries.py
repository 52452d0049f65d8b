"""What slips say and who may read them: the figures of a span of days, and the public check of an issued slip.

Everything counts on its own day: a credit when it was credited, what refunds and corrections took back of it when it
was taken back; guarantees, relief and charges when the ledger recorded them; payouts when the bank said so. A slip
never counts what came after it was issued, so the ledger must say the same of its span for ever; what was taken back
later stands beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, true, union_all
from sqlalchemy.orm import Session, aliased

from marketplace.core.clock import end_of, start_of
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.ledger.models import Account, Entry, EntryKind
from marketplace.ledger.queries import PARTS, TOTALS, HouseholdTotals, sides_of
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.payments.models import Credit, LinkagePool
from marketplace.payments.payouts.models import Payout, PayoutState
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.payments.slips.models import IncomeSlip
from marketplace.registry.models import Household, Region
from marketplace.registry.queries import household_by_no

HASH_SHOWN = 16  # characters of the content hash that stand on the paper and in the check
Instants = tuple[datetime, datetime]


@dataclass(frozen=True)
class SlipFigures:
    """What a slip says, in fen. DIRECT and ALLOCATED stand apart; `balance_fen` is owed at the instant asked."""

    by_mechanism: Mapping[str, int]
    by_attribution: Mapping[str, int]
    guaranteed_fen: int = 0
    relief_fen: int = 0
    other_fen: int = 0
    paid_out_fen: int = 0  # what the bank confirmed
    under_way_fen: int = 0  # sent and not answered at the instant asked
    balance_fen: int = 0

    @property
    def credited_fen(self) -> int:
        """The credits of all mechanisms, less reversals."""
        return sum(self.by_mechanism.values())

    def document(self) -> dict[str, Any]:
        """Fit for JSON, to be kept."""
        return {
            "by_mechanism": dict(self.by_mechanism),
            "by_attribution": dict(self.by_attribution),
            "credited_fen": self.credited_fen,
            "guaranteed_fen": self.guaranteed_fen,
            "relief_fen": self.relief_fen,
            "other_fen": self.other_fen,
            "paid_out_fen": self.paid_out_fen,
            "under_way_fen": self.under_way_fen,
            "balance_fen": self.balance_fen,
        }


def figures_of(
    session: Session,
    household_id: int,
    since: date,
    until: date,
    *,
    known_at: datetime,
    cooperative_id: int | None = None,
) -> SlipFigures:
    """What the ledger says of a household over the days [since, until] as of an instant; of one cooperative's money
    when one is named."""
    days = _instants(since, until, known_at)
    by_mechanism, by_attribution = _credited(session, household_id, days, cooperative_id)
    spent = _totals(session, household_id, cooperative_id, days)
    return SlipFigures(
        by_mechanism=by_mechanism,
        by_attribution=by_attribution,
        guaranteed_fen=spent.guaranteed_fen,
        relief_fen=spent.relief_fen,
        other_fen=spent.other_fen,
        paid_out_fen=_paid(session, household_id, cooperative_id, days),
        under_way_fen=_under_way(session, household_id, cooperative_id),
        balance_fen=_totals(session, household_id, cooperative_id).balance_fen,
    )


def _instants(since: date, until: date, known_at: datetime) -> Instants:
    """The span as instants, the end exclusive: the end of its last day, or just after `known_at`."""
    return start_of(since), min(end_of(until), known_at + timedelta(microseconds=1))


def _credited(
    session: Session, household_id: int, days: Instants, cooperative_id: int | None
) -> tuple[dict[str, int], dict[str, int]]:
    """Net fen by mechanism and by attribution, each in the order of its enum, in one statement."""
    arms = []
    for model, at, sign in (
        (Credit, Credit.credited_at, 1),
        (CreditAddition, CreditAddition.credited_at, 1),
        (CreditReversal, CreditReversal.reversed_at, -1),
    ):
        columns: tuple[Any, ...] = (model.mechanism, model.pool_id, (sign * model.amount_fen).label("fen"))
        own = model.household_id == household_id
        if cooperative_id is not None:
            own &= model.cooperative_id == cooperative_id
        arms.append(select(*columns).where(own, at >= days[0], at < days[1]))
    changes = union_all(*arms).subquery()
    query = (
        select(changes.c.mechanism, LinkagePool.attribution, func.sum(changes.c.fen))
        .join(LinkagePool, LinkagePool.id == changes.c.pool_id)
        .group_by(changes.c.mechanism, LinkagePool.attribution)
    )
    by_mechanism: dict[Mechanism, int] = {}
    by_attribution: dict[Attribution, int] = {}
    for mechanism, attribution, fen in session.execute(query):
        by_mechanism[mechanism] = by_mechanism.get(mechanism, 0) + int(fen)
        by_attribution[attribution] = by_attribution.get(attribution, 0) + int(fen)
    return (
        {one.value: by_mechanism[one] for one in Mechanism if one in by_mechanism},
        {one.value: by_attribution[one] for one in Attribution if one in by_attribution},
    )


def _payouts(household_id: int, cooperative_id: int | None) -> Select[int]:
    query = select(func.coalesce(func.sum(Payout.amount_fen), 0)).where(Payout.household_id == household_id)
    return query.where(Payout.cooperative_id == cooperative_id) if cooperative_id else query


def _paid(session: Session, household_id: int, cooperative_id: int | None, days: Instants) -> int:
    """What the bank says arrived within `days`."""
    arrived = (Payout.state == PayoutState.PAID, Payout.answered_at >= days[0], Payout.answered_at < days[1])
    return int(session.scalar(_payouts(household_id, cooperative_id).where(*arrived)) or 0)


def _under_way(session: Session, household_id: int, cooperative_id: int | None) -> int:
    """What left the household's balance and has not been answered yet."""
    sent = Payout.state.in_((PayoutState.SENT, PayoutState.UNKNOWN))
    return int(session.scalar(_payouts(household_id, cooperative_id).where(sent)) or 0)


def _taken_back_since(session: Session, slip: IncomeSlip) -> tuple[int, int]:
    """What was taken back of the slip's credits after it was issued, and how much of that the household keeps."""
    credited_at = func.coalesce(Credit.credited_at, CreditAddition.credited_at)
    since, until = _instants(slip.since_on, slip.until_on, slip.issued_at)
    query = (
        select(
            func.coalesce(func.sum(CreditReversal.amount_fen), 0),
            func.coalesce(func.sum(CreditReversal.relief_fen), 0),
        )
        .outerjoin(Credit, Credit.id == CreditReversal.credit_id)
        .outerjoin(CreditAddition, CreditAddition.id == CreditReversal.addition_id)
        .where(
            CreditReversal.household_id == slip.household_id,
            CreditReversal.cooperative_id == slip.cooperative_id if slip.cooperative_id else true(),
            CreditReversal.reversed_at > slip.issued_at,
            credited_at >= since,
            credited_at < until,
        )
    )
    taken_back, relief = session.execute(query).one()
    return int(taken_back), int(relief)


def _totals(
    session: Session, household_id: int, cooperative_id: int | None, days: Instants | None = None
) -> HouseholdTotals:
    """The household's accounts in the ledger, by what moved them, as recorded within `days` (always when None)."""
    own: ColumnElement[bool] = Account.household_id == household_id
    sides = sides_of(own & (Account.cooperative_id == cooperative_id) if cooperative_id else own)
    reversed_entry = aliased(Entry)
    kind = func.coalesce(reversed_entry.kind, Entry.kind).label("kind")
    query = (
        select(kind, func.sum(sides.c.change_fen))
        .join(Entry, Entry.id == sides.c.entry_id)
        .outerjoin(reversed_entry, reversed_entry.id == Entry.reverses_entry_id)
        .group_by(kind)
    )
    if days is not None:
        query = query.where(Entry.recorded_at >= days[0], Entry.recorded_at < days[1])
    parts = dict.fromkeys(PARTS, 0)
    for code, fen in session.execute(query):
        part = TOTALS.get(EntryKind(code), "other_fen")
        parts[part] += -int(fen) if part == "paid_out_fen" else int(fen)
    return HouseholdTotals(**parts)


def content_hash(
    *, number: str, token: str, since: date, until: date, issued_at: datetime, figures: Mapping[str, Any]
) -> str:
    """SHA-256 over what stands on a slip; the token in it keeps the hash from telling anything by itself."""
    content = {
        "number": number,
        "token": token,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "issued_at": issued_at.isoformat(),
        "figures": figures,
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def hash_of(slip: IncomeSlip) -> str:
    """The hash of a slip's content as it stands in the database."""
    return content_hash(
        number=slip.public_no,
        token=slip.token,
        since=slip.since_on,
        until=slip.until_on,
        issued_at=slip.issued_at,
        figures=slip.figures,
    )


# --- who reads which slip ---


def slips_of(actor: Actor, household: Household) -> Select[IncomeSlip]:
    """The slips of a visible household, newest first; a cooperative reads those it issued."""
    query = select(IncomeSlip).where(IncomeSlip.household_id == household.id).order_by(IncomeSlip.id.desc())
    return query.where(IncomeSlip.cooperative_id == actor.cooperative_id) if actor.cooperative_id else query


def slip_by_no(session: Session, actor: Actor, slip_no: str) -> IncomeSlip:
    """One slip of a household the actor may see. Raises NotFound."""
    slip = session.scalar(select(IncomeSlip).where(IncomeSlip.public_no == slip_no))
    if slip is None:
        raise NotFound
    household = household_by_no(session, actor, slip.household.public_no)
    if session.scalar(slips_of(actor, household).where(IncomeSlip.id == slip.id)) is None:
        raise NotFound
    return slip


# --- the public check ---


@dataclass(frozen=True)
class SlipCheck:
    """What anybody holding a slip may know: that it is ours, what it said, and what the ledger says today."""

    number: str
    fingerprint: str
    issued_at: datetime
    since_on: date
    until_on: date
    county_name: str
    is_whole: bool
    is_intact: bool
    withdrawn_at: datetime | None
    said: Mapping[Mechanism, int]
    says_today: Mapping[Mechanism, int]
    taken_back_fen: int
    relief_fen: int

    @property
    def said_fen(self) -> int:
        """The total on the slip."""
        return sum(self.said.values())

    @property
    def today_fen(self) -> int:
        """The total of the same span by the ledger of today."""
        return sum(self.says_today.values())

    @property
    def agrees(self) -> bool:
        """Whether the ledger still says what the slip says, mechanism by mechanism."""
        return self.said == self.says_today


def check_of(session: Session, token: str) -> SlipCheck:
    """The public check of the slip under a token. Raises NotFound for any other token."""
    slip = session.scalar(select(IncomeSlip).where(IncomeSlip.token == token))
    if slip is None:
        raise NotFound
    county = session.get_one(Region, slip.household.county_code)
    today = figures_of(
        session,
        slip.household_id,
        slip.since_on,
        slip.until_on,
        known_at=slip.issued_at,
        cooperative_id=slip.cooperative_id,
    )
    taken_back_fen, relief_fen = _taken_back_since(session, slip)
    return SlipCheck(
        number=slip.public_no,
        fingerprint=slip.content_hash[:HASH_SHOWN],
        issued_at=slip.issued_at,
        since_on=slip.since_on,
        until_on=slip.until_on,
        county_name=county.name,
        is_whole=slip.cooperative_id is None,
        is_intact=hash_of(slip) == slip.content_hash,
        withdrawn_at=slip.withdrawal.withdrawn_at if slip.withdrawal else None,
        said=_mechanisms(slip.figures["by_mechanism"]),
        says_today=_mechanisms(today.by_mechanism),
        taken_back_fen=taken_back_fen,
        relief_fen=relief_fen,
    )


def _mechanisms(fen_by_code: Mapping[str, int]) -> dict[Mechanism, int]:
    return {one: fen_by_code[one.value] for one in Mechanism if fen_by_code.get(one.value)}
