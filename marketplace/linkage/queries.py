"""Reading agreements, lots, linkage periods, evidence and entitlements, and the weights by which pools are shared.

Who sees what is decided here: a cooperative its own, a household what concerns it, a reviewer the jurisdiction, an
auditor everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, bindparam, exists, false, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from marketplace.core.asking import Question, ask, one_of
from marketplace.core.clock import today
from marketplace.core.db import UtcInstant
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.core.money import BASIS
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.late_corrections.inputs import is_late_correction
from marketplace.linkage.late_corrections.queries import recompute_correction
from marketplace.linkage.mechanisms.seam import Computed
from marketplace.linkage.mechanisms.table import MECHANISMS, module_of
from marketplace.linkage.models import (
    Agreement,
    AgreementState,
    AgreementVersion,
    Attribution,
    Charge,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Lot,
    Mechanism,
)
from marketplace.linkage.voids import holding_voids, is_void
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.registry.models import Cooperative, Enrolment, EnrolmentState, Household, Region
from marketplace.registry.queries import enrolled_households
from marketplace.web.tasks import Task

Scope = tuple[
    Mechanism, int | None, int | None
]  # mechanism, lot id, linkage period id: exactly one of the two
ATTRIBUTIONS: dict[Mechanism, tuple[Attribution, ...]] = {
    mechanism: module.attributions for mechanism, module in MECHANISMS.items()
}


# --- agreements ---


def agreements_visible_to(actor: Actor) -> Select[Agreement]:
    """The agreements the actor may read, newest first."""
    return (
        select(Agreement)
        .join(Agreement.household)
        .where(_sees_agreement(actor))
        .order_by(Agreement.id.desc())
    )


def _sees_agreement(actor: Actor) -> ColumnElement[bool]:
    if actor.can(Permission.RECORD_EVIDENCE):
        return Agreement.cooperative_id == actor.cooperative_id
    if actor.can(Permission.READ_AUDIT):
        return Agreement.cooperative_id.in_(cooperatives_within(actor))
    if actor.can(Permission.READ_HOUSEHOLDS):
        prefix = actor.region_code
        return Household.village_code.startswith(prefix, autoescape=True) if prefix else false()
    if actor.can(Permission.READ_OWN_INCOME):
        return Household.user_id == actor.user_id
    return false()


def found_agreements(
    actor: Actor,
    *,
    text: str = "",
    mechanism: Mechanism | None = None,
    state: AgreementState | None = None,
) -> Select[Agreement]:
    """Of the visible agreements, those of this mechanism and state whose household the typed `text` may mean."""
    query = agreements_visible_to(actor)
    if text:
        query = query.where(_means_household(text))
    if mechanism:
        query = query.where(Agreement.mechanism == mechanism)
    if state:
        query = query.where(Agreement.state == state)
    return query


def _means_household(text: str) -> ColumnElement[bool]:
    """A part of the head's name, the beginning of the register number, or the public number."""
    text = text.strip()
    return or_(
        Household.head_name.contains(text, autoescape=True),
        Household.registry_no.startswith(text, autoescape=True),
        Household.public_no == text.upper(),
    )


def agreement_by_no(session: Session, actor: Actor, agreement_no: str) -> Agreement:
    """One visible agreement. Raises NotFound."""
    agreement = session.scalar(agreements_visible_to(actor).where(Agreement.public_no == agreement_no))
    if agreement is None:
        raise NotFound
    return agreement


def versions_of(session: Session, agreement: Agreement) -> list[AgreementVersion]:
    """The versions of an agreement with their files, the first one first."""
    query = select(AgreementVersion).options(joinedload(AgreementVersion.file))
    return list(
        session.scalars(
            query.where(AgreementVersion.agreement_id == agreement.id).order_by(AgreementVersion.version)
        )
    )


def version_on(agreement: Agreement, day: date) -> AgreementVersion | None:
    """The version in force on `day`: the last one begun, unless it or the agreement has ended by then."""
    if agreement.ended_on is not None and day >= agreement.ended_on:
        return None
    begun = [version for version in agreement.versions if version.valid_from <= day]
    if not begun:
        return None
    last = max(begun, key=lambda version: version.valid_from)
    return last if last.valid_to is None or day < last.valid_to else None


def agreements_in_force(
    session: Session,
    actor: Actor,
    mechanism: Mechanism,
    day: date,
    *,
    text: str = "",
    term: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[Agreement]:
    """Visible agreements of a mechanism in force on `day`, by village and name of the household.

    `text` narrows them to households it may mean, `term` to agreements of whose versions one says so, e.g.
    ("commodity", "脐橙").
    """
    begun = exists().where(AgreementVersion.agreement_id == Agreement.id, AgreementVersion.valid_from <= day)
    if term is not None:
        begun = begun.where(AgreementVersion.terms[term[0]].as_string() == term[1])
    query = (
        found_agreements(actor, text=text, mechanism=mechanism)
        .where(begun, or_(Agreement.ended_on.is_(None), Agreement.ended_on > day))
        .options(selectinload(Agreement.versions))
        .order_by(None)
        .order_by(Household.village_code, Household.head_name, Agreement.id)
        .limit(limit)
    )
    return [one for one in session.scalars(query).unique() if version_on(one, day) is not None]


def agreements_between(
    session: Session, cooperative_id: int, household_ids: Collection[int]
) -> dict[int, list[Agreement]]:
    """The active agreements of a cooperative with each of these households, in one statement."""
    found: dict[int, list[Agreement]] = {one: [] for one in household_ids}
    query = select(Agreement).where(
        Agreement.cooperative_id == cooperative_id,
        Agreement.household_id.in_(household_ids),
        Agreement.state == AgreementState.ACTIVE,
    )
    for agreement in session.scalars(query.order_by(Agreement.id)).unique():
        found[agreement.household_id].append(agreement)
    return found


def signable_households(
    actor: Actor, *, text: str = "", without_agreement: bool = False
) -> Select[Household]:
    """The households that an agreement may be signed with: enrolled and acknowledged, found by name or number."""
    if not actor.can(Permission.RECORD_EVIDENCE) or actor.cooperative_id is None:
        return select(Household).where(false())
    query = enrolled_households(actor.cooperative_id).order_by(None)
    if text:
        query = query.where(_means_household(text))
    if without_agreement:
        query = query.where(~_has_agreement(actor.cooperative_id))
    return query.order_by(Household.village_code, Household.head_name, Household.id)


def signable_household_by_no(session: Session, actor: Actor, household_no: str) -> Household:
    """One household that an agreement may be signed with. Raises NotFound."""
    household = session.scalar(signable_households(actor).where(Household.public_no == household_no))
    if household is None:
        raise NotFound
    return household


def _has_agreement(cooperative_id: int) -> ColumnElement[bool]:
    return exists().where(
        Agreement.cooperative_id == cooperative_id,
        Agreement.household_id == Household.id,
        Agreement.state == AgreementState.ACTIVE,
    )


# --- lots and linkage periods ---


def lots_visible_to(actor: Actor) -> Select[Lot]:
    """The lots the actor may read, the latest harvest first."""
    query = select(Lot).order_by(Lot.harvested_on.desc(), Lot.id.desc())
    if actor.can(Permission.RECORD_EVIDENCE):
        return query.where(Lot.cooperative_id == actor.cooperative_id)
    if actor.can(Permission.READ_AUDIT):
        return query.where(Lot.cooperative_id.in_(cooperatives_within(actor)))
    if actor.can(Permission.READ_HOUSEHOLDS) and actor.region_code:
        return query.where(Lot.village_code.startswith(actor.region_code, autoescape=True))
    return query.where(false())


def lot_by_no(session: Session, actor: Actor, lot_no: str) -> Lot:
    """One visible lot by its public number. Raises NotFound."""
    lot = session.scalar(lots_visible_to(actor).where(Lot.public_no == lot_no))
    if lot is None:
        raise NotFound
    return lot


def usable_g(lot: Lot) -> int:
    """What a lot gives to sell, in grams: received x yield, floored."""
    return lot.received_g * lot.yield_bp // BASIS


def village_of(session: Session, lot: Lot) -> Region | None:
    """Where a lot was grown."""
    return session.get(Region, lot.village_code)


def commodities_of(session: Session, cooperative_id: int, *, limit: int = 50) -> list[str]:
    """What a cooperative has opened lots of, for a form to suggest."""
    query = select(Lot.commodity).where(Lot.cooperative_id == cooperative_id).distinct()
    return list(session.scalars(query.order_by(Lot.commodity).limit(limit)))


def free_g(lot: Lot) -> int:
    """What a lot still has free, in grams: neither sold nor promised."""
    return usable_g(lot) - lot.committed_g - lot.promised_g


def periods_visible_to(actor: Actor) -> Select[LinkagePeriod]:
    """The linkage periods the actor may read, the latest first."""
    query = select(LinkagePeriod).order_by(LinkagePeriod.starts_on.desc(), LinkagePeriod.id.desc())
    if actor.can(Permission.RECORD_EVIDENCE):
        return query.where(LinkagePeriod.cooperative_id == actor.cooperative_id)
    if actor.can(Permission.READ_AUDIT):
        return query.where(LinkagePeriod.cooperative_id.in_(cooperatives_within(actor)))
    return query.where(false())


def cooperatives_of_periods(session: Session, periods: Sequence[LinkagePeriod]) -> dict[int, str]:
    """The names of the cooperatives of some periods, by the cooperative's id."""
    wanted = {period.cooperative_id for period in periods}
    rows = session.execute(select(Cooperative.id, Cooperative.name).where(Cooperative.id.in_(wanted)))
    return {row.id: row.name for row in rows}


def period_on(session: Session, cooperative_id: int, day: date) -> LinkagePeriod | None:
    """The linkage period of a cooperative that holds `day`."""
    return session.scalar(
        select(LinkagePeriod).where(
            LinkagePeriod.cooperative_id == cooperative_id,
            LinkagePeriod.starts_on <= day,
            LinkagePeriod.ends_on > day,
        )
    )


# --- entitlements ---


def entitlements_of_household(household_id: int) -> Select[Entitlement]:
    """What a household is entitled to, with the evidence, the latest first."""
    return _with_evidence().where(Entitlement.household_id == household_id)


def entitlements_of_lot(lot_id: int) -> Select[Entitlement]:
    """What the slips of a lot entitle to, with household and evidence, the latest first."""
    return _with_evidence().where(Entitlement.lot_id == lot_id)


def entitlements_of_period(period_id: int) -> Select[Entitlement]:
    """What the evidence of a linkage period entitles to, with household and evidence, the latest first."""
    return _with_evidence().where(Entitlement.period_id == period_id)


def entitlements_of_agreement(agreement_id: int) -> Select[Entitlement]:
    """What the evidence under an agreement entitles to, the latest first."""
    return _with_evidence().where(under_agreement(agreement_id))


def under_agreement(agreement_id: int) -> ColumnElement[bool]:
    """Whether an entitlement's evidence was recorded under the agreement."""
    under = select(Evidence.id).join(AgreementVersion).where(AgreementVersion.agreement_id == agreement_id)
    return Entitlement.evidence_id.in_(under)


def _with_evidence() -> Select[Entitlement]:
    return (
        select(Entitlement)
        .options(
            joinedload(Entitlement.household),
            joinedload(Entitlement.evidence),
            joinedload(Entitlement.void),
        )
        .order_by(Entitlement.id.desc())
    )


def entitlement_by_evidence_no(session: Session, actor: Actor, evidence_no: str) -> Entitlement:
    """The entitlement from one piece of evidence under a visible agreement. Raises NotFound."""
    visible = agreements_visible_to(actor).order_by(None).with_only_columns(Agreement.id)
    entitlement = session.scalar(
        _with_evidence()
        .join(Entitlement.evidence)
        .join(Evidence.agreement_version)
        .where(Evidence.public_no == evidence_no, AgreementVersion.agreement_id.in_(visible))
    )
    if entitlement is None:
        raise NotFound
    return entitlement


def totals_of(session: Session, scopes: ColumnElement[bool]) -> tuple[int, int, int]:
    """Of the entitlements under a condition: how many, of how many households, and their sum in fen."""
    counted = select(
        func.count(Entitlement.id),
        func.count(Entitlement.household_id.distinct()),
        func.coalesce(func.sum(Entitlement.amount_fen), 0),
    ).where(scopes)
    count, households, amount_fen = session.execute(counted).one()
    return count, households, int(amount_fen)


def charged_fen(session: Session, agreement_id: int) -> int:
    """The sum of the charges under an agreement, in fen."""
    query = select(func.coalesce(func.sum(Charge.amount_fen), 0)).where(Charge.agreement_id == agreement_id)
    return int(session.scalar(query) or 0)


def period_totals(session: Session, period_ids: Collection[int]) -> Mapping[int, tuple[int, int]]:
    """How many households each linkage period owes, and the sum in fen, in one statement."""
    rows = session.execute(
        select(
            Entitlement.period_id,
            func.count(Entitlement.household_id.distinct()),
            func.sum(Entitlement.amount_fen),
        )
        .where(Entitlement.period_id.in_(period_ids))
        .group_by(Entitlement.period_id)
    )
    return {
        period_id: (households, int(amount_fen)) for period_id, households, amount_fen in rows if period_id
    }


_WEIGHTS = (
    select(
        Entitlement.mechanism,
        Entitlement.lot_id,
        Entitlement.period_id,
        Entitlement.household_id,
        func.sum(Entitlement.amount_fen),
    )
    .where(
        Entitlement.id <= bindparam("as_of"),
        or_(
            one_of(Entitlement.lot_id, "lots"),
            one_of(Entitlement.period_id, "periods"),
        ),
    )
    .group_by(Entitlement.mechanism, Entitlement.lot_id, Entitlement.period_id, Entitlement.household_id)
    .order_by(Entitlement.household_id)
)
WEIGHTS_NOW = Question(_WEIGHTS.where(~is_void()))
WEIGHTS_THEN = Question(_WEIGHTS.where(~is_void(bindparam("at", type_=UtcInstant))))


def weights_in_scope(
    session: Session,
    scopes: Sequence[Scope],
    as_of_entitlement_id: int,
    *,
    at: datetime | None = None,
) -> dict[Scope, dict[int, int]]:
    """The weights of each scope: entitlements in fen summed per household, in ascending order of household id.

    One statement, however many scopes. Entitlements after `as_of_entitlement_id`, and those voided by `at` (aware), are
    left out, so that a share can be computed again later to the same fen; a scope without any has an empty dictionary.
    `at` is when a sharing was decided; None for one that is being decided: then nothing is voided before it is. Only
    beneficiary households have entitlements: recording evidence for any other is refused.
    """
    weights: dict[Scope, dict[int, int]] = {scope: {} for scope in scopes}
    lots, periods = _ids(lot_id for _, lot_id, _ in scopes), _ids(period_id for _, _, period_id in scopes)
    if not lots and not periods:
        return weights
    asked = {"as_of": as_of_entitlement_id, "lots": lots, "periods": periods}
    session.flush()
    if at is None:
        *_, rows = ask(session, *holding_voids(session), (WEIGHTS_NOW, asked))
    else:
        (rows,) = ask(session, (WEIGHTS_THEN, asked | {"at": at}))
    for mechanism, lot_id, period_id, household_id, amount_fen in rows:
        scope = (mechanism, lot_id, period_id)
        if scope in weights:
            weights[scope][household_id] = int(amount_fen)
    return weights


def _ids(values: Iterable[int | None]) -> list[int]:
    return sorted({value for value in values if value is not None})


def attributions_of(mechanism: Mechanism) -> tuple[Attribution, ...]:
    """How a mechanism's pools may be shared: by lot, over a linkage period, or by lot where it has labour and over the
    period for the rest. Raises NotFound for one not in use."""
    if mechanism not in ATTRIBUTIONS:
        raise NotFound
    return ATTRIBUTIONS[mechanism]


def recompute_entitlement(session: Session, entitlement: Entitlement) -> Computed:
    """What the entitlement must say, derived anew from its evidence and the agreement's version by its rule version.

    Reads only; an auditor compares amount, due date and inputs with the row. Raises NotFound when the evidence has no
    details.
    """
    if is_late_correction(entitlement.inputs):
        return recompute_correction(session, entitlement)
    module = module_of(entitlement.mechanism)
    details = module.details_of(session, [entitlement.evidence_id])
    if entitlement.evidence_id not in details:
        raise NotFound
    terms = entitlement.evidence.agreement_version.terms
    return module.entitlement(details[entitlement.evidence_id], terms, rule_version=entitlement.rule_version)


# --- what waits ---


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """For a cooperative: enrolled households without an agreement, lots without a weigh slip."""
    if not actor.can(Permission.RECORD_EVIDENCE) or actor.cooperative_id is None:
        return []
    enrolled = select(func.count(Enrolment.id)).where(
        Enrolment.cooperative_id == actor.cooperative_id,
        Enrolment.state == EnrolmentState.ACKNOWLEDGED,
        Enrolment.household_id == Household.id,
        ~_has_agreement(actor.cooperative_id),
    )
    empty = select(func.count(Lot.id)).where(Lot.cooperative_id == actor.cooperative_id, Lot.received_g == 0)
    tasks = [
        Task(
            NN_("%(count)s 户已确认加入，还没有联结协议"),
            session.scalar(enrolled) or 0,
            "linkage.choose_household",
            {"show": "without"},
        ),
        Task(
            NN_("%(count)s 个批次还没有过磅单"), session.scalar(empty) or 0, "linkage.lots", {"show": "empty"}
        ),
    ]
    return [task for task in tasks if task.count]


def is_expired(agreement: Agreement) -> bool:
    """Whether an active agreement's term has run out (its versions must be loaded)."""
    return (
        agreement.state is AgreementState.ACTIVE
        and agreement.versions[0].valid_from <= today()
        and (version_on(agreement, today()) is None)
    )
