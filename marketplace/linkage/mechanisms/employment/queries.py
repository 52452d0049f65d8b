"""Reading attendance: who may work on a day, who did, and what a month came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.identity.actors import Actor
from marketplace.linkage.mechanisms.employment.mechanism import piece_rate_of
from marketplace.linkage.mechanisms.employment.models import Attendance
from marketplace.linkage.models import Agreement, Entitlement, Lot, Mechanism
from marketplace.linkage.queries import agreements_in_force, lots_visible_to, version_on
from marketplace.registry.models import Household, HouseholdMember

MOST_AGREEMENTS = 200
MOST_LOTS = 30


@dataclass(frozen=True)
class Worker:
    """A person who may work under an agreement, and the wage of a kind of work (an hour's when there is no kind)."""

    agreement: Agreement
    person: HouseholdMember
    rate_fen: int


@dataclass(frozen=True)
class Worked:
    """What one person did over some days: how many days, minutes, pieces, and the wage in fen."""

    person: HouseholdMember
    household: Household
    days: int
    minutes: int
    pieces: int
    amount_fen: int


def attendance_of(session: Session, evidence_id: int) -> Attendance:
    """The attendance of a piece of evidence, with the person, the lot and the linkage period."""
    options = [joinedload(Attendance.person), joinedload(Attendance.lot), joinedload(Attendance.period)]
    return session.get_one(Attendance, evidence_id, options=options)


def workers_on(session: Session, actor: Actor, day: date, *, kind: str = "", text: str = "") -> list[Worker]:
    """Who may work on `day` for the actor's cooperative at an hourly wage, or at the piece wage of `kind`."""
    agreements = agreements_in_force(
        session, actor, Mechanism.EMPLOYMENT, day, text=text, limit=MOST_AGREEMENTS
    )
    terms = {one.id: version.terms for one in agreements if (version := version_on(one, day))}
    names = {name for one in terms.values() for name in one["persons"]}
    query = select(HouseholdMember).where(HouseholdMember.public_no.in_(names)).order_by(HouseholdMember.id)
    people = {person.public_no: person for person in session.scalars(query)}
    workers = []
    for agreement in agreements:
        rate_fen = (
            piece_rate_of(terms[agreement.id], kind) if kind else terms[agreement.id]["rate_fen_per_hour"]
        )
        if rate_fen is None:
            continue
        workers += [
            Worker(agreement, person, rate_fen)
            for person in people.values()
            if person.public_no in terms[agreement.id]["persons"]
            and person.household_id == agreement.household_id
        ]
    return workers


def kinds_on(session: Session, actor: Actor, day: date) -> list[str]:
    """The kinds of piece work that agreements in force on `day` name, in the order of their names."""
    agreements = agreements_in_force(session, actor, Mechanism.EMPLOYMENT, day, limit=MOST_AGREEMENTS)
    versions = [version for one in agreements if (version := version_on(one, day))]
    return sorted({rate["kind"] for version in versions for rate in version.terms["piece_rates"]})


def latest_lots(session: Session, actor: Actor) -> list[Lot]:
    """The lots that labour is most likely for: the latest harvests."""
    return list(session.scalars(lots_visible_to(actor).limit(MOST_LOTS)))


def attendance_on(session: Session, cooperative_id: int, day: date) -> list[tuple[Attendance, Entitlement]]:
    """What a cooperative has recorded for `day`, with what it entitles to, in the order of recording."""
    rows = session.execute(
        select(Attendance, Entitlement)
        .join(Entitlement, Entitlement.evidence_id == Attendance.id)
        .where(Entitlement.cooperative_id == cooperative_id, Attendance.worked_on == day)
        .options(
            joinedload(Attendance.person),
            joinedload(Attendance.lot),
            joinedload(Entitlement.evidence),
            joinedload(Entitlement.household),
        )
        .order_by(Attendance.id)
    )
    return [(attendance, entitlement) for attendance, entitlement in rows.unique()]


def worked_between(session: Session, cooperative_id: int, starts_on: date, ends_on: date) -> list[Worked]:
    """What each person did for a cooperative on the days [starts_on, ends_on), by village and household."""
    wages = (
        select(Entitlement.evidence_id, func.sum(Entitlement.amount_fen).label("fen"))
        .where(Entitlement.cooperative_id == cooperative_id, Entitlement.mechanism == Mechanism.EMPLOYMENT)
        .group_by(Entitlement.evidence_id)
        .subquery()
    )
    sums = (
        select(
            Attendance.person_id,
            func.count(Attendance.worked_on.distinct()),
            func.coalesce(func.sum(Attendance.minutes), 0),
            func.coalesce(func.sum(Attendance.pieces), 0),
            func.sum(wages.c.fen),
        )
        .join(wages, wages.c.evidence_id == Attendance.id)
        .where(Attendance.worked_on >= starts_on, Attendance.worked_on < ends_on)
        .group_by(Attendance.person_id)
    )
    totals = {person_id: rest for person_id, *rest in session.execute(sums)}
    people = session.execute(
        select(HouseholdMember, Household)
        .join(Household, Household.id == HouseholdMember.household_id)
        .where(HouseholdMember.id.in_(totals))
        .order_by(Household.village_code, Household.id, HouseholdMember.id)
    )
    return [
        Worked(person, household, *(int(one) for one in totals[person.id])) for person, household in people
    ]
