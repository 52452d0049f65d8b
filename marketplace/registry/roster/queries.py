"""Reading roster imports: who sees which, their findings, what the next step of checking works on."""

from __future__ import annotations

from sqlalchemy import Row, Select, false, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.registry.models import ImportState, Region, RosterFinding, RosterImport
from marketplace.web.tasks import Task

CHECKED_NEXT = (ImportState.UPLOADED, ImportState.CHECKING)


def rosters_visible_to(actor: Actor) -> Select[RosterImport]:
    """The imports of the actor's own cooperative, newest first. A roster holds ID numbers: nobody else reads it."""
    may = actor.cooperative_id is not None and actor.can(Permission.ENROL_HOUSEHOLDS)
    own = RosterImport.cooperative_id == actor.cooperative_id if may else false()
    return select(RosterImport).where(own).order_by(RosterImport.id.desc())


def roster_by_no(session: Session, actor: Actor, roster_no: str) -> RosterImport:
    """One visible import. Raises NotFound."""
    roster = session.scalar(rosters_visible_to(actor).where(RosterImport.public_no == roster_no))
    if roster is None:
        raise NotFound
    return roster


def import_of_content(session: Session, cooperative_id: int, content_hash: str) -> RosterImport | None:
    """The import a cooperative already made of the same file."""
    return session.scalar(
        select(RosterImport).where(
            RosterImport.cooperative_id == cooperative_id, RosterImport.content_hash == content_hash
        )
    )


def findings_of(roster: RosterImport, *, column: str | None = None) -> Select[RosterFinding]:
    """What is wrong, in the order of the sheet; only in one `column` when it is named ("" = in the row)."""
    query = select(RosterFinding).where(RosterFinding.import_id == roster.id)
    if column is not None:
        query = query.where(RosterFinding.column == column)
    return query.order_by(RosterFinding.row, RosterFinding.id)


def finding_counts(session: Session, roster: RosterImport) -> list[Row[str, int]]:
    """How many findings each column has, the most first."""
    counted = (
        select(RosterFinding.column, func.count())
        .where(RosterFinding.import_id == roster.id)
        .group_by(RosterFinding.column)
        .order_by(func.count().desc(), RosterFinding.column)
    )
    return list(session.execute(counted))


def next_roster(session: Session) -> RosterImport | None:
    """The oldest import that waits to be checked."""
    waiting = select(RosterImport).where(RosterImport.state.in_(CHECKED_NEXT))
    return session.scalar(waiting.order_by(RosterImport.id).limit(1))


def next_to_take(session: Session) -> RosterImport | None:
    """The oldest confirmed import, held until the end of the transaction; not one another worker holds."""
    waiting = select(RosterImport).where(RosterImport.state == ImportState.TAKING)
    return session.scalar(waiting.order_by(RosterImport.id).limit(1).with_for_update(skip_locked=True))


def county_places(session: Session, county_code: str) -> list[Region]:
    """A county's places and the city above it: some hundreds."""
    query = select(Region).where(
        or_(Region.code.startswith(county_code, autoescape=True), Region.code == county_code[:4])
    )
    return list(session.scalars(query))


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Rosters that are checked and bring something new: they wait for the cooperative's word."""
    new = RosterImport.households_new + RosterImport.people_new + RosterImport.enrolments_new
    waiting = (
        rosters_visible_to(actor).where(RosterImport.state == ImportState.CHECKED, new > 0).order_by(None)
    )
    count = session.scalar(
        select(func.count()).select_from(waiting.with_only_columns(RosterImport.id).subquery())
    )
    return [Task(NN_("%(count)s 份名册检查完毕，待您确认入库"), count, "roster.imports")] if count else []
