"""A cooperative's own roster with what to mend beside it: written at once where it is short, else by the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.downloads.kinds import FileKind, Making
from marketplace.identity.permissions import Permission
from marketplace.registry.models import ImportState, RosterFinding, RosterImport
from marketplace.registry.roster import queries, rules
from marketplace.registry.roster.sheets import SheetReader
from marketplace.registry.roster.workbooks import Line, write_marked

XLSX = rules.MEDIA_TYPES["xlsx"]
MARKED = "roster_marked"
FINDINGS_A_READ = 1_000


def can_mark(roster: RosterImport) -> bool:
    """Whether there is anything to mark."""
    return roster.state in (ImportState.CHECKED, ImportState.TAKEN) and roster.rows_bad > 0


def write_marked_roster(
    session: Session,
    roster: RosterImport,
    target: BinaryIO,
    *,
    follow: Callable[[Iterable[Line]], Iterator[Line]] = iter,
) -> None:
    """Write it to `target`. Raises NotFound when the file cannot be read any more, or nothing is wrong in it."""
    if not can_mark(roster):
        raise NotFound
    try:
        reader = SheetReader(current_app.extensions["files"].read(roster.content_hash, sealed=True))
    except Refused as refusal:
        raise NotFound from refusal
    if reader.header is None:
        raise NotFound
    findings = session.scalars(queries.findings_of(roster).execution_options(yield_per=FINDINGS_A_READ))
    heading = _("问题与修改办法")
    write_marked(target, reader, findings, heading=heading, explain=explain_finding, follow=follow)


def explain_finding(finding: RosterFinding) -> str:
    """The message of a finding in the reader's language."""
    params = {key: _(value) if isinstance(value, str) else value for key, value in finding.params.items()}
    text = str(_(finding.message))
    return text % params if params else text


def _write(making: Making) -> None:
    roster = queries.roster_by_no(making.session, making.actor, making.params["roster"])
    write_marked_roster(making.session, roster, making.target, follow=making.followed)


FILE_KINDS = {MARKED: FileKind(N_("标注好的名册"), (Permission.ENROL_HOUSEHOLDS,), XLSX, "xlsx", _write)}
