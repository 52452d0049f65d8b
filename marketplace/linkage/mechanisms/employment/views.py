"""Recording a day's attendance on one page, and the totals of a month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectChoice

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.evidence import own_cooperative_id
from marketplace.linkage.mechanisms.employment.days import Work, clock_text
from marketplace.linkage.mechanisms.employment.forms import DayForm
from marketplace.linkage.mechanisms.employment.mechanism import HOUR, summarise
from marketplace.linkage.mechanisms.employment.queries import (
    Worked,
    Worker,
    attendance_on,
    kinds_on,
    latest_lots,
    worked_between,
    workers_on,
)
from marketplace.linkage.mechanisms.employment.reading import parse_hours, parse_pieces
from marketplace.linkage.mechanisms.employment.rules import (
    Mark,
    SheetRefused,
    record_attendance_sheet,
)
from marketplace.linkage.models import Lot
from marketplace.linkage.uploads import uploaded_document
from marketplace.registry.models import Cooperative
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.locale import counted
from marketplace.web.transaction import current_session

bp = Blueprint("employment", __name__)
USUAL_HOURS = "8"


@dataclass(frozen=True)
class Line:
    """One person on the sheet: ticked or not, what was typed, what is wrong with it."""

    worker: Worker
    ticked: bool
    typed: str
    error: str = ""


@bp.app_template_filter("hours")
def hours(minutes: int) -> str:
    """Minutes as hours with a colon, as on a clock: 450 -> "7:30"; whole hours without."""
    whole, rest = divmod(minutes, HOUR)
    return f"{whole}:{rest:02d}" if rest else str(whole)


bp.add_app_template_filter(clock_text, "clock_text")


@bp.route("/attendance", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def record_day() -> ResponseReturnValue:
    """A day's attendance of everybody on one page.

    `?day=` and `?lot=` fill in what is likely, `?kind=` asks for pieces of a kind instead of hours, `?all=1` ticks
    everybody, `?q=` finds a household.
    """
    form = _day_form()
    kind = request.args.get("kind", "").strip()[:20]
    lines = _lines(form.worked_on.data or today(), kind)
    if form.validate_on_submit():
        lines, marks = _read(lines, form, kind)
        if not any(line.error for line in lines):
            try:
                return _record(form, marks, kind)
            except SheetRefused as refusal:
                lines = _with_errors(lines, refusal.rows)
                place_error(form, refusal)
            except DomainError as error:
                place_error(form, error)
        else:
            form.form_errors.append(_("有的工时或件数看不懂，整张表还没有保存"))
    return _day_page(form, lines, kind)


def _day_form() -> DayForm:
    """The form for the day and the lot asked for; labour for no lot comes first."""
    lots = latest_lots(current_session(), current_actor())
    form = DayForm()
    form.lot.choices = [
        SelectChoice("", _("日常用工（不属于哪个批次）")),
        *(
            SelectChoice(
                lot.public_no, _("%(commodity)s，批次 %(lot_no)s", commodity=lot.commodity, lot_no=lot.lot_no)
            )
            for lot in lots
        ),
    ]
    if not form.is_submitted():
        form.worked_on.data = _day_of(request.args.get("day", "")) or today()
        form.lot.data = request.args.get("lot", "")
    return form


def _day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _lines(day: date, kind: str) -> list[Line]:
    """Everybody who may work that day; those of today too, so that a wrong day is refused beside their names."""
    session, actor = current_session(), current_actor()
    text = request.args.get("q", "").strip()[:60]
    workers = workers_on(session, actor, day, kind=kind, text=text)
    known = {worker.person.id for worker in workers}
    if day != today():
        now = workers_on(session, actor, today(), kind=kind, text=text)
        workers += [worker for worker in now if worker.person.id not in known]
    usual = "" if kind else USUAL_HOURS
    everybody = request.method == "GET" and request.args.get("all") == "1"
    ticked = set(request.form.getlist("present"))
    return [
        Line(
            worker,
            everybody or worker.person.public_no in ticked,
            request.form.get(f"amount-{worker.person.public_no}", usual).strip()[:20],
        )
        for worker in workers
    ]


def _read(lines: list[Line], form: DayForm, kind: str) -> tuple[list[Line], list[Mark]]:
    """The lines with what cannot be read marked, and what the others say."""
    read, marks = [], []
    for line in lines:
        error = ""
        if line.ticked:
            try:
                work = _work(line.typed, form, kind)
            except ValueError:
                error = _("请填写件数，例如 120") if kind else _("请填写小时数，例如 8、7.5 或 7:30")
            else:
                marks.append(Mark(line.worker.agreement, line.worker.person, work))
        read.append(replace(line, error=error))
    return read, marks


def _work(typed: str, form: DayForm, kind: str) -> Work:
    starts, ends = form.starts_minute, form.ends_minute
    if kind:
        return Work(piece_kind=kind, pieces=parse_pieces(typed), starts_minute=starts, ends_minute=ends)
    return Work(minutes=parse_hours(typed), starts_minute=starts, ends_minute=ends)


def _with_errors(lines: list[Line], errors: Mapping[str, DomainError]) -> list[Line]:
    return [
        replace(line, error=explain(errors[line.worker.person.public_no]))
        if line.worker.person.public_no in errors
        else line
        for line in lines
    ]


def _record(form: DayForm, marks: list[Mark], kind: str) -> ResponseReturnValue:
    session, actor = current_session(), current_actor()
    lot = _lot(form)
    recorded = record_attendance_sheet(
        session,
        actor,
        worked_on=form.worked_on.data,
        marks=marks,
        lot=lot,
        file=uploaded_document(form.file),
    )
    flash(counted("已记 %(count)s 人的考勤", len(recorded)), "success")
    kept = {
        "day": form.worked_on.data.isoformat(),
        "lot": lot.public_no if lot else None,
        "kind": kind or None,
    }
    return redirect(url_for(".record_day", **kept))


def _lot(form: DayForm) -> Lot | None:
    if not form.lot.data:
        return None
    return queries.lot_by_no(current_session(), current_actor(), form.lot.data)


def _day_page(form: DayForm, lines: list[Line], kind: str) -> ResponseReturnValue:
    session, actor = current_session(), current_actor()
    cooperative_id = own_cooperative_id(actor)
    day = form.worked_on.data or today()
    first, following = _month_of(day)
    done = attendance_on(session, cooperative_id, day)
    month = worked_between(session, cooperative_id, first, following)
    page = render_template(
        "linkage/employment/record.html",
        form=form,
        lines=lines,
        kind=kind,
        kinds=kinds_on(session, actor, day),
        day=day,
        text=request.args.get("q", "").strip()[:60],
        done=[(one, entitlement, summarise(entitlement.inputs)) for one, entitlement in done],
        month={one.person.id: one for one in month},
        month_text=f"{first:%Y-%m}",
        totals=_sums(month),
    )
    return page, 422 if form.errors or any(line.error for line in lines) else 200


def _month_of(day: date) -> tuple[date, date]:
    """The first day of the month and of the one after it."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _sums(month: list[Worked]) -> dict[str, Any]:
    return {
        "people": len(month),
        "days": sum(one.days for one in month),
        "minutes": sum(one.minutes for one in month),
        "amount_fen": sum(one.amount_fen for one in month),
    }


@bp.get("/attendance/months/<month>")
@requires(Permission.RECORD_EVIDENCE)
def month_sheet(month: str) -> ResponseReturnValue:
    """What everybody worked and earned in a month ("2026-05"), to print and sign."""
    day = _day_of(f"{month}-01")
    if day is None:
        raise NotFound
    session, actor = current_session(), current_actor()
    first, following = _month_of(day)
    cooperative = session.get_one(Cooperative, own_cooperative_id(actor))
    rows = worked_between(session, cooperative.id, first, following)
    return render_template(
        "linkage/employment/month.html",
        rows=rows,
        cooperative=cooperative,
        totals=_sums(rows),
        first=first,
        before=f"{first - timedelta(days=1):%Y-%m}",
        after=f"{following:%Y-%m}" if following <= today() else None,
    )
