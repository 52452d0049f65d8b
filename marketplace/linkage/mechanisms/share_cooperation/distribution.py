"""What a decision of the general meeting would give to each stake, before it is adopted: checks and reading only.

Patronage is what a household dealt with its cooperative in the period: its entitlements of contract farming and
production trusteeship whose evidence lies in the period's days. A household that is no beneficiary on the last day it
held its stake has no entitlement here; its stake and dealings count among the other members'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.linkage.evidence import content_hash
from marketplace.linkage.mechanisms.share_cooperation.decisions import Decision, check_decision, check_period
from marketplace.linkage.mechanisms.share_cooperation.formula import (
    BaseTooLarge,
    Decided,
    Share,
    SharedOut,
    share_out,
)
from marketplace.linkage.mechanisms.share_cooperation.models import StakeSpan
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Mechanism,
)
from marketplace.linkage.queries import version_on
from marketplace.registry.queries import beneficiaries_of

PATRONAGE = (Mechanism.CONTRACT_FARMING, Mechanism.PRODUCTION_TRUSTEESHIP)


@dataclass(frozen=True)
class Row:
    """One stake in a distribution; `last_day` is the last day of the period on which it was held."""

    agreement: Agreement
    version: AgreementVersion
    last_day: date
    stake_days_fen: int
    dealings_fen: int
    share: Share


@dataclass(frozen=True)
class Distribution:
    """A surplus shared out over the stakes of a period, in the order of household ids.

    `left_out` are stakes of households that are no beneficiaries; `digest` stands for everything shown, so that what is
    adopted is what was looked at.
    """

    rows: list[Row]
    left_out: list[Agreement]
    shared: SharedOut
    most_staked_fen: int
    known_dealings_fen: int
    digest: str

    @property
    def others_fen(self) -> int:
        """What goes to the other members."""
        return self.shared.others_patronage_fen + self.shared.others_capital_fen

    @property
    def households_fen(self) -> int:
        """What the stakes here get together."""
        return sum(row.share.total_fen for row in self.rows)


@dataclass(frozen=True)
class Held:
    """A stake agreement in a period: stake times days, and the last day held."""

    agreement: Agreement
    stake_days_fen: int
    last_day: date


def draw_up_distribution(session: Session, period: LinkagePeriod, decision: Decision) -> Distribution:
    """Share the surplus of `period` out as `decision` says, changing nothing.

    Raises Refused (field named) for a decision that the law forbids, that does not fit the stakes and dealings known
    here, or for a period that is not over, is closed, or in which nobody held a stake.
    """
    check_decision(decision)
    check_period(period, decision)
    spans = _spans_in(session, period)
    most_staked_fen = most_staked(spans, period)
    if most_staked_fen > decision.capital_fen:
        raise Refused(
            "stakes_above_capital",
            N_("登记的股份最多的一天合计 %(staked)s 元，超过了总股本，请核对"),
            field="capital_fen",
            staked=format_yuan(most_staked_fen),
        )
    held, left_out = _counted(session, _held(spans, period))
    if not held:
        raise Refused("no_stakes", N_("这个联结期内没有帮扶户持股，没有可以登记的分红"), field="period_no")
    stakes = _with_dealings(held, dealings_in(session, period))
    known_fen = sum(dealings for _, dealings in stakes)
    if known_fen > decision.dealings_fen:
        raise Refused(
            "dealings_above_total",
            N_("账上持股户的交易额合计 %(known)s 元，超过了全体成员的交易额，请核对"),
            field="dealings_fen",
            known=format_yuan(known_fen),
        )
    shared = _share_out(decision, period, [(one.stake_days_fen, dealings) for one, dealings in stakes])
    rows = [
        Row(one.agreement, _version(one), one.last_day, one.stake_days_fen, dealings, share)
        for (one, dealings), share in zip(stakes, shared.shares, strict=True)
    ]
    digest = _digest(period, decision, rows)
    return Distribution(rows, left_out, shared, most_staked_fen, known_fen, digest)


# --- stakes and dealings of the period ---


def _spans_in(session: Session, period: LinkagePeriod) -> Sequence[StakeSpan]:
    query = (
        select(StakeSpan)
        .where(
            StakeSpan.cooperative_id == period.cooperative_id,
            StakeSpan.starts_on < period.ends_on,
            StakeSpan.ends_on > period.starts_on,
        )
        .options(
            joinedload(StakeSpan.agreement).selectinload(Agreement.versions),
            joinedload(StakeSpan.agreement).joinedload(Agreement.household),
        )
        .order_by(StakeSpan.id)
    )
    return session.scalars(query).unique().all()


def most_staked(spans: Collection[StakeSpan], period: LinkagePeriod) -> int:
    """The largest sum of stakes held on one day of the period, in fen."""
    moves: dict[date, int] = defaultdict(int)
    for span in spans:
        moves[max(span.starts_on, period.starts_on)] += span.stake_fen
        moves[min(span.ends_on, period.ends_on)] -= span.stake_fen
    most = held = 0
    for day in sorted(moves):
        held += moves[day]
        most = max(most, held)
    return most


def _held(spans: Collection[StakeSpan], period: LinkagePeriod) -> list[Held]:
    """Each agreement's stake times days and last day held, by household id, then agreement id."""
    stake_days: dict[int, int] = defaultdict(int)
    ends: dict[int, date] = {}
    agreements: dict[int, Agreement] = {}
    for span in spans:
        starts_on, ends_on = max(span.starts_on, period.starts_on), min(span.ends_on, period.ends_on)
        number = span.agreement_id
        agreements[number] = span.agreement
        stake_days[number] += span.stake_fen * (ends_on - starts_on).days
        ends[number] = max(ends.get(number, ends_on), ends_on)
    held = [
        Held(agreement, stake_days[number], ends[number] - timedelta(days=1))
        for number, agreement in agreements.items()
    ]
    return sorted(held, key=lambda one: (one.agreement.household_id, one.agreement.id))


def _counted(session: Session, held: Sequence[Held]) -> tuple[list[Held], list[Agreement]]:
    """The stakes of beneficiaries, and the agreements of the others; a statement or two for each last day."""
    by_day: dict[date, list[int]] = defaultdict(list)
    for one in held:
        by_day[one.last_day].append(one.agreement.household_id)
    counts = {
        (household_id, day)
        for day, household_ids in by_day.items()
        for household_id in beneficiaries_of(session, household_ids, valid_on=day)
    }
    is_in = [(one.agreement.household_id, one.last_day) in counts for one in held]
    return (
        [one for one, counted in zip(held, is_in, strict=True) if counted],
        [one.agreement for one, counted in zip(held, is_in, strict=True) if not counted],
    )


def dealings_in(session: Session, period: LinkagePeriod) -> dict[int, int]:
    """What each household dealt with the cooperative in the period's days, in fen by household id."""
    rows = session.execute(
        select(Entitlement.household_id, func.sum(Entitlement.amount_fen))
        .join(Evidence, Evidence.id == Entitlement.evidence_id)
        .where(
            Entitlement.cooperative_id == period.cooperative_id,
            Entitlement.mechanism.in_(PATRONAGE),
            Evidence.occurred_on >= period.starts_on,
            Evidence.occurred_on < period.ends_on,
        )
        .group_by(Entitlement.household_id)
    )
    return {household_id: int(amount_fen) for household_id, amount_fen in rows}


def _with_dealings(held: Sequence[Held], dealings: Mapping[int, int]) -> list[tuple[Held, int]]:
    """Each stake with its household's dealings, which count once: at the first of its stakes."""
    counted: set[int] = set()
    stakes = []
    for one in held:
        household_id = one.agreement.household_id
        stakes.append((one, 0 if household_id in counted else dealings.get(household_id, 0)))
        counted.add(household_id)
    return stakes


def _share_out(decision: Decision, period: LinkagePeriod, stakes: Sequence[tuple[int, int]]) -> SharedOut:
    decided = Decided(
        surplus_fen=decision.surplus_fen,
        patronage_bp=decision.patronage_bp,
        base_bp=decision.base_bp,
        capital_fen=decision.capital_fen,
        dealings_fen=decision.dealings_fen,
        days=(period.ends_on - period.starts_on).days,
    )
    try:
        return share_out(decided, stakes)
    except BaseTooLarge as error:
        raise Refused(
            "base_too_large",
            N_("保底分红要 %(base)s 元，按交易量返还以后只剩 %(room)s 元，请降低保底分红率"),
            field="base_bp",
            base=format_yuan(error.base_fen),
            room=format_yuan(error.room_fen),
        ) from None


def _version(held: Held) -> AgreementVersion:
    version = version_on(held.agreement, held.last_day)
    if version is None:
        raise LookupError(f"agreement {held.agreement.public_no} holds a stake without a version")
    return version


def _digest(period: LinkagePeriod, decision: Decision, rows: Sequence[Row]) -> str:
    said = {name: str(value) for name, value in asdict(decision).items()}
    return content_hash(
        {
            "period": period.public_no,
            "decision": said,
            "rows": [
                [row.agreement.public_no, row.stake_days_fen, row.dealings_fen, row.share.total_fen]
                for row in rows
            ],
        }
    )
