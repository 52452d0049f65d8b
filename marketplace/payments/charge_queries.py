"""Reading charges: what is outstanding, the money of an agreement, and who sees which charge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Select, Subquery, cast, false, func, or_, select
from sqlalchemy.orm import Session

from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ledger.accounts import AccountKey
from marketplace.linkage.models import Agreement, AgreementVersion, Charge, Entitlement, Evidence
from marketplace.linkage.queries import Scope, agreements_visible_to
from marketplace.payments.charge_models import ChargeCollection
from marketplace.payments.closing.standing import scope_key, standing_in
from marketplace.payments.queries import net_credits


@dataclass(frozen=True)
class OpenCharge:
    """A charge of which something is outstanding; amounts in fen, `position` that of its last collection."""

    charge_id: int
    agreement_id: int
    household_id: int
    cooperative_id: int
    amount_fen: int
    collected_fen: int
    position: int

    @property
    def outstanding_fen(self) -> int:
        """What is still to be collected."""
        return self.amount_fen - self.collected_fen

    @property
    def account(self) -> AccountKey:
        """The account of the household with the cooperative."""
        return AccountKey.household_payable(self.cooperative_id, self.household_id)


def collected() -> Subquery:
    """What was collected of each charge: charge_id, collected_fen and position."""
    return (
        select(
            ChargeCollection.charge_id,
            func.sum(ChargeCollection.amount_fen).label("collected_fen"),
            func.max(ChargeCollection.position).label("position"),
        )
        .group_by(ChargeCollection.charge_id)
        .subquery()
    )


def agreements_with_open_charges(session: Session, *, after: int, limit: int) -> list[int]:
    """The next agreements (ids above `after`) under which something is outstanding, ascending."""
    sums = collected()
    query = (
        select(Charge.agreement_id)
        .outerjoin(sums, sums.c.charge_id == Charge.id)
        .where(Charge.agreement_id > after, Charge.amount_fen > func.coalesce(sums.c.collected_fen, 0))
        .distinct()
        .order_by(Charge.agreement_id)
        .limit(limit)
    )
    return list(session.scalars(query))


def open_charges(session: Session, agreement_ids: Collection[int]) -> list[OpenCharge]:
    """The charges of these agreements of which something is outstanding, by agreement, the oldest first."""
    sums = collected()
    got = func.coalesce(sums.c.collected_fen, 0)
    query = (
        select(
            Charge.id,
            Charge.agreement_id,
            Charge.household_id,
            Charge.cooperative_id,
            Charge.amount_fen,
            got,
            func.coalesce(sums.c.position, 0),
        )
        .outerjoin(sums, sums.c.charge_id == Charge.id)
        .where(Charge.agreement_id.in_(agreement_ids), Charge.amount_fen > got)
        .order_by(Charge.agreement_id, Charge.charged_on, Charge.id)
    )
    return [OpenCharge(*(int(value) for value in row)) for row in session.execute(query)]


def collected_by_agreement(session: Session, agreement_ids: Collection[int]) -> dict[int, int]:
    """What was collected under each agreement so far, in fen."""
    query = (
        select(Charge.agreement_id, func.sum(ChargeCollection.amount_fen))
        .join(Charge, Charge.id == ChargeCollection.charge_id)
        .where(Charge.agreement_id.in_(agreement_ids))
        .group_by(Charge.agreement_id)
    )
    return {agreement_id: int(fen) for agreement_id, fen in session.execute(query)}


def money_of_agreements(session: Session, agreement_ids: Collection[int]) -> dict[int, int]:
    """What each agreement has brought its household so far, in fen, whatever was paid out or collected since.

    In every lot or linkage period where the agreement has entitlements: the household's net credits and standing
    guarantee, times the agreement's part of the household's entitlements there, floored. A fixed number of statements.
    """
    own = _entitled(session, Agreement.id.in_(agreement_ids))
    scopes = sorted({scope for _, scope, _ in own}, key=str)
    households = {household_id for _, _, household_id in own}
    totals: dict[tuple[Scope, int], int] = defaultdict(int)
    lots = sorted({lot_id for _, lot_id, _ in scopes if lot_id is not None})
    periods = sorted({period_id for _, _, period_id in scopes if period_id is not None})
    in_scopes = or_(Entitlement.lot_id.in_(lots), Entitlement.period_id.in_(periods))
    everything = _entitled(session, in_scopes & Entitlement.household_id.in_(households)) if own else {}
    for (_, scope, household_id), fen in everything.items():
        totals[scope, household_id] += fen
    credited, standing = net_credits(session, scopes), standing_in(session, scopes)
    money = dict.fromkeys(agreement_ids, 0)
    for (agreement_id, scope, household_id), fen in own.items():
        guarantee = standing.get((scope_key(scope), household_id))
        got = credited[scope].get(household_id, 0) + (guarantee.fen if guarantee else 0)
        if got > 0 and totals[scope, household_id]:
            money[agreement_id] += got * fen // totals[scope, household_id]
    return money


def _entitled(session: Session, condition: Any) -> dict[tuple[int, Scope, int], int]:
    """Entitlements in fen by agreement, scope and household."""
    group = (
        Agreement.id,
        Entitlement.mechanism,
        Entitlement.lot_id,
        Entitlement.period_id,
        Entitlement.household_id,
    )
    query = (
        select(*group, func.sum(Entitlement.amount_fen))
        .join(Evidence, Evidence.id == Entitlement.evidence_id)
        .join(AgreementVersion, AgreementVersion.id == Evidence.agreement_version_id)
        .join(Agreement, Agreement.id == AgreementVersion.agreement_id)
        .where(condition)
        .group_by(*group)
    )
    return {
        (agreement_id, (mechanism, lot_id, period_id), household_id): int(fen)
        for agreement_id, mechanism, lot_id, period_id, household_id, fen in session.execute(query)
    }


# --- for people ---


def charges_visible_to(
    actor: Actor, *, agreement_no: str = "", is_open: bool = False
) -> Select[*tuple[Any, ...]]:
    """Charges under the agreements the actor may read, the latest first: rows of Charge, Agreement and the fen
    collected; of one agreement when it is named, only those with something outstanding when `is_open`."""
    sums = collected()
    visible = agreements_visible_to(actor).order_by(None).with_only_columns(Agreement.id)
    query = (
        select(
            Charge, Agreement, cast(func.coalesce(sums.c.collected_fen, 0), BigInteger).label("collected_fen")
        )
        .join(Agreement, Agreement.id == Charge.agreement_id)
        .outerjoin(sums, sums.c.charge_id == Charge.id)
        .where(Charge.agreement_id.in_(visible))
        .order_by(Charge.id.desc())
    )
    if not any(
        actor.can(one)
        for one in (
            Permission.RECORD_EVIDENCE,
            Permission.READ_AUDIT,
            Permission.READ_HOUSEHOLDS,
            Permission.READ_OWN_INCOME,
        )
    ):
        return query.where(false())
    if is_open:
        query = query.where(Charge.amount_fen > func.coalesce(sums.c.collected_fen, 0))
    return query.where(Agreement.public_no == agreement_no) if agreement_no else query


def charge_totals(session: Session, actor: Actor, *, agreement_no: str = "") -> tuple[int, int]:
    """The sums of the visible charges in fen: charged, and collected."""
    rows = charges_visible_to(actor, agreement_no=agreement_no).order_by(None).subquery()
    charged, got = session.execute(select(func.sum(rows.c.amount_fen), func.sum(rows.c.collected_fen))).one()
    return int(charged or 0), int(got or 0)
