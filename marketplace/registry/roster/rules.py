"""Roster imports: uploading, confirming, taking, checking again. Checking itself is `checking`."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.core.clock import business_day, today
from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor, actor_of
from marketplace.identity.models import User
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Cooperative, ImportState, RosterImport
from marketplace.registry.roster.queries import import_of_content
from marketplace.registry.roster.sheets import kind_of
from marketplace.registry.roster.taking import forget_rows, take_rows

MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def upload_roster(
    session: Session, actor: Actor, files: FileStore, *, content: bytes, file_name: str
) -> RosterImport:
    """Keep a roster, sealed, to be checked. The same file for the same cooperative is the same import.

    Raises Refused for what is neither CSV nor XLSX.
    """
    actor.require(Permission.ENROL_HOUSEHOLDS)
    cooperative = session.get(Cooperative, actor.cooperative_id or 0)
    if cooperative is None:
        raise Forbidden
    kind = kind_of(content)
    address = files.address_of(content, sealed=True)
    known = import_of_content(session, cooperative.id, address)
    if known:
        files.put(content, sealed=True)  # brings back a file that was lost
        return known
    file = keep_file(
        session, actor, files, content=content, name=file_name, media_type=MEDIA_TYPES[kind], sealed=True
    )
    roster = RosterImport(
        cooperative_id=cooperative.id,
        file_id=file.id,
        content_hash=address,
        file_name=file_name[-200:],
        uploaded_by=actor.user_id,
    )
    session.add(roster)
    session.flush()
    _record(session, actor, "registry.upload_roster", roster)
    return roster


def recheck_roster(session: Session, actor: Actor, roster: RosterImport) -> RosterImport:
    """Forget the findings and check again, e.g. after the register was corrected. Raises Conflict once confirmed."""
    actor.require(Permission.ENROL_HOUSEHOLDS)
    _lock(session, roster)
    if roster.state not in (ImportState.CHECKED, ImportState.FAILED, ImportState.STOPPED):
        raise Conflict("roster_busy", N_("这份名册正在检查或已经确认，不能重新检查"))
    _begin_anew(session, roster, ImportState.UPLOADED)
    _record(session, actor, "registry.recheck_roster", roster)
    return roster


def stop_roster(session: Session, actor: Actor, roster: RosterImport) -> RosterImport:
    """Stop checking a roster, or call back its taking before a worker has begun. Repeating it changes nothing.

    A stopped check is forgotten, the file is kept: checking again begins anew. A roster called back is checked as
    before. Raises Conflict once it is checked or taken.
    """
    actor.require(Permission.ENROL_HOUSEHOLDS)
    _lock(session, roster)
    if roster.state is ImportState.STOPPED:
        return roster
    if roster.state is ImportState.TAKING:
        roster.state, roster.confirmed_by = ImportState.CHECKED, None
    elif roster.state in (ImportState.UPLOADED, ImportState.CHECKING):
        _begin_anew(session, roster, ImportState.STOPPED)
    else:
        raise Conflict("roster_done", N_("已经做完了，没有可以停下的事，请看最新的结果"))
    session.flush()
    _record(session, actor, "registry.stop_roster", roster)
    return roster


def _begin_anew(session: Session, roster: RosterImport, state: ImportState) -> None:
    """Forget what was found; only the file is left."""
    forget_rows(session, roster)
    roster.state, roster.failure, roster.checked_at = state, "", None
    roster.rows_read = roster.rows_total = roster.rows_good = roster.rows_bad = roster.checks_done = 0
    roster.households_new = roster.people_new = roster.enrolments_new = 0
    session.flush()


def confirm_roster(session: Session, actor: Actor, roster: RosterImport) -> RosterImport:
    """Say that the good rows shall be taken. Repeating it changes nothing.

    Raises Conflict while it is being checked, Refused when it has no good row or the check is of another year.
    """
    actor.require(Permission.ENROL_HOUSEHOLDS)
    _lock(session, roster)
    if roster.state in (ImportState.TAKING, ImportState.TAKEN):
        return roster
    if roster.state is not ImportState.CHECKED or roster.checked_at is None:
        raise Conflict("roster_not_checked", N_("这份名册还没有检查完，请稍候"))
    if not roster.rows_good:
        raise Refused("no_good_rows", N_("没有可以入库的行，请按提示改好后重新上传"))
    if business_day(roster.checked_at).year != today().year:
        raise Refused("check_outdated", N_("这份名册是去年检查的，帮扶政策按年执行，请先重新检查"))
    roster.state = ImportState.TAKING
    roster.confirmed_by = actor.user_id
    session.flush()
    _record(session, actor, "registry.confirm_roster", roster)
    return roster


def take_roster(session: Session, roster: RosterImport) -> RosterImport:
    """Take a confirmed roster, in the name of who confirmed it; any other is left as it is."""
    _lock(session, roster)
    if roster.state is not ImportState.TAKING:
        return roster
    user = session.get(User, roster.confirmed_by or 0)
    actor = actor_of(user) if user else SYSTEM
    take_rows(session, actor, roster)
    session.flush()
    _record(
        session,
        actor,
        "registry.take_roster",
        roster,
        households=roster.households_new,
        people=roster.people_new,
        enrolments=roster.enrolments_new,
    )
    return roster


def _lock(session: Session, roster: RosterImport) -> None:
    """Hold the import until the end of the transaction, and look at its present state."""
    session.refresh(roster, with_for_update=True)


def _record(session: Session, actor: Actor, action: str, roster: RosterImport, **detail: int) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("roster_import", roster.public_no),
        cooperative_id=roster.cooperative_id,
        county_code=session.get_one(Cooperative, roster.cooperative_id).county_code,
        **detail,
    )
