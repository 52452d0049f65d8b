"""What units owe the cooperative: by age, bill by bill, and as a workbook."""

from __future__ import annotations

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.workbooks import XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.late_interest.queries import accruals
from marketplace.payments.receivables import queries, sheets
from marketplace.web.downloads import download
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("receivables", __name__)


@bp.get("/receivables")
@requires(Permission.FULFIL_ORDERS)
def index() -> ResponseReturnValue:
    """Units by what they owe and how late it is, with the totals."""
    session, actor = current_session(), current_actor()
    return render_template(
        "payments/receivables/index.html",
        page=page_of(session, queries.ageing(actor, today()), scalars=False),
        totals=queries.ageing_totals(session, actor, today()),
        ages=queries.Age,
    )


@bp.get("/receivables/<unit_no>")
@requires(Permission.FULFIL_ORDERS)
def unit(unit_no: str) -> ResponseReturnValue:
    """The open bills of one unit, with the interest that runs on the late ones."""
    session, actor = current_session(), current_actor()
    found = queries.unit_by_no(session, actor, unit_no)
    page = page_of(session, queries.open_bills(actor, found))
    return render_template(
        "payments/receivables/unit.html",
        unit=found,
        page=page,
        running=accruals(session, page.rows, on=today()),
        today=today(),
    )


@bp.get("/receivables.xlsx")
@requires(Permission.FULFIL_ORDERS)
def workbook() -> Response:
    """The same as a workbook."""
    session, actor, day = current_session(), current_actor(), today()
    content = sheets.receivables_xlsx(
        session.execute(queries.ageing(actor, day)).mappings(),
        queries.ageing_totals(session, actor, day),
        queries.open_bill_rows(session.scalars(queries.open_bills(actor)), day),
        on=day,
        translate=_,
    )
    return download(content, XLSX, name=f"{_('应收账款')}-{day.isoformat()}.xlsx")
