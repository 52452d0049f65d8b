"""How far a quota is: the unit's own page, the ranking for finance departments, and both as workbooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import now, today
from marketplace.core.errors import NotFound
from marketplace.core.workbooks import XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.procurement.quota.models import FIRST_YEAR
from marketplace.procurement.quota.queries import filings_of, state_of
from marketplace.registry.buyer_units.queries import own_unit
from marketplace.registry.models import BuyerUnit
from marketplace.reporting.quota import ranking as rankings, sheets
from marketplace.reporting.quota.counting import (
    NET_FEN,
    Missing,
    counted_lines_of,
    missing_of,
    pending_lines_of,
)
from marketplace.reporting.quota.progress import Progress, progress_of
from marketplace.web.downloads import download
from marketplace.web.paging import page_of, whole_number
from marketplace.web.transaction import current_session

bp = Blueprint("quota_reports", __name__)
P = Permission
member = requires(P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
finance = requires(P.READ_QUOTAS)
BATCH = 500  # rows of a workbook read at a time


def requested_year() -> int:
    """The year in the address (`?year=`), this year when absent. Raises NotFound for another than there may be."""
    year = whole_number(request.args.get("year", str(today().year)))
    if year is None or not FIRST_YEAR <= year <= today().year:
        raise NotFound
    return year


# --- one unit ---


@bp.get("/quota")
@member
def own() -> ResponseReturnValue:
    """The own unit's quota."""
    return _unit_page(own_unit(current_session(), current_actor()), is_own=True)


@bp.get("/quotas/<unit_no>")
@finance
def unit(unit_no: str) -> ResponseReturnValue:
    """The quota of a unit of the jurisdiction."""
    found = rankings.unit_within(current_session(), current_actor(), unit_no)
    return _unit_page(found, is_own=False)


def _unit_page(found: BuyerUnit, *, is_own: bool) -> str:
    session, year = current_session(), requested_year()
    progress = progress_of(session, found, year)
    filer_id = progress.filing.unit_id if progress.filing else found.id
    filings = list(session.scalars(filings_of(filer_id, year)).unique())
    here = "quota_reports.own" if is_own else "quota_reports.unit"
    address: dict[str, Any] = {} if is_own else {"unit_no": found.public_no}
    return render_template(
        "reporting/quota/unit.html",
        progress=progress,
        pace=progress.pace,
        filings=[(one, state_of(one, progress.filing)) for one in filings],
        page=page_of(session, counted_lines_of(progress.unit_ids, year, progress.scope), scalars=False),
        last_step_on=sheets.last_step_on,
        is_own=is_own,
        is_this_year=year == today().year,
        years=[
            {"label": str(one), "url": url_for(here, year=one, **address), "active": one == year}
            for one in range(today().year, max(FIRST_YEAR, today().year - 2) - 1, -1)
        ],
        sheet_url=url_for(f"{here}_xlsx", year=year, **address),
    )


@bp.get("/quota.xlsx")
@member
def own_xlsx() -> ResponseReturnValue:
    """The own unit's yearly report as a workbook."""
    return _unit_sheet(own_unit(current_session(), current_actor()))


@bp.get("/quotas/<unit_no>.xlsx")
@finance
def unit_xlsx(unit_no: str) -> ResponseReturnValue:
    """The yearly report of a unit of the jurisdiction as a workbook."""
    return _unit_sheet(rankings.unit_within(current_session(), current_actor(), unit_no))


def _unit_sheet(found: BuyerUnit) -> Response:
    session, year = current_session(), requested_year()
    progress = progress_of(session, found, year)
    counted = session.execute(
        counted_lines_of(progress.unit_ids, year, progress.scope).execution_options(yield_per=BATCH)
    )
    name = _("%(unit)s %(year)s 年预留份额报告", unit=found.name, year=year)
    content = sheets.unit_xlsx(
        progress, counted, _pending(progress), title=name, translate=lambda text: str(_(text))
    )
    return download(content, XLSX, name=f"{name}.xlsx")


def _pending(progress: Progress) -> Iterator[Any]:
    """What does not count yet, line by line; of a year that is over nothing is on the way."""
    if progress.year != today().year:
        return
    columns = (OrderLine, OrderPart, Order, missing_of(), NET_FEN)
    query = pending_lines_of(progress.unit_ids, progress.scope, *columns).order_by(OrderLine.id)
    for line, part, order, missing, fen in current_session().execute(
        query.execution_options(yield_per=BATCH)
    ):
        yield line, part, order, Missing(missing), fen


# --- all units of a place ---


@bp.get("/quotas")
@finance
def ranking() -> ResponseReturnValue:
    """The units of the jurisdiction by how far they are."""
    session, actor, year = current_session(), current_actor(), requested_year()
    ranked = _ranked(year)
    page = page_of(session, ranked, scalars=False)
    return render_template(
        "reporting/quota/ranking.html",
        page=page,
        rows=[rankings.read_row(row, year) for row in page.rows],
        summary=rankings.summary_of(session, _ranked(year, is_narrowed=False), year),
        standings=rankings.Standing,
        sortings=rankings.Sorting,
        sort=_sorting(),
        counties=rankings.counties_within(session, actor),
        year=year,
        years=range(today().year, FIRST_YEAR - 1, -1),
        made_at=now(),
    )


def _sorting() -> rankings.Sorting:
    return rankings.Sorting.known(request.args.get("sort", "")) or rankings.Sorting.BEST


def _ranked(year: int, *, is_narrowed: bool = True) -> Any:
    """The ranking asked for (`?county=&standing=&sort=`); nonsense asks for nothing."""
    standing = rankings.Standing.known(request.args.get("standing", "")) if is_narrowed else None
    return rankings.ranking_of(
        current_session(),
        current_actor(),
        year,
        county_code=request.args.get("county", ""),
        standing=standing,
        sort=_sorting(),
    )


@bp.get("/quotas.xlsx")
@finance
def ranking_xlsx() -> ResponseReturnValue:
    """The same units, all of them, as a workbook."""
    session, year, ranked = current_session(), requested_year(), _ranked(requested_year())
    rows = session.execute(ranked.execution_options(yield_per=BATCH))
    name = _("%(year)s 年预留份额完成情况", year=year)
    content = sheets.ranking_xlsx(
        (rankings.read_row(row, year) for row in rows),
        rankings.summary_of(session, ranked, year),
        title=name,
        translate=lambda text: str(_(text)),
    )
    return download(content, XLSX, name=f"{name}.xlsx")
