"""The page of the books, and the books as downloads."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField
from wtforms.validators import InputRequired

from marketplace.core.clock import today
from marketplace.core.workbooks import XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.reporting.books import queries, sheets
from marketplace.web.downloads import download
from marketplace.web.transaction import current_session

bp = Blueprint("books", __name__)
P = Permission
MOST_DAYS = 366
ROWS_A_READ = 500
BUYERS = (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
READERS = (*BUYERS, P.FULFIL_ORDERS, P.READ_AUDIT)


class SpanForm(FlaskForm):
    """The days of a book, both included."""

    class Meta:
        """It only asks, so it needs no token."""

        csrf = False

    since = DateField(_l("从"), [InputRequired(_l("请选择开始日期"))])
    until = DateField(_l("到"), [InputRequired(_l("请选择结束日期"))])


@bp.get("/books")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """Choose a book and its days; with both, the book itself."""
    year = today().replace(month=1, day=1)
    form = SpanForm(request.args if "book" in request.args else None, since=year, until=today())
    book = request.args.get("book", "")
    if book in BOOKS and form.validate() and form.since.data and form.until.data:
        since, until = form.since.data, form.until.data
        if since > until:
            form.since.errors = [_("开始日期不能晚于结束日期")]
        elif until - since >= timedelta(days=MOST_DAYS):
            form.since.errors = [_("一本最多写一年，请分开下载")]
        else:
            return BOOKS[book](since, until)
    return render_template("reporting/books/index.html", form=form), 422 if form.errors else 200


def _orders(since: date, until: date) -> Response:
    rows = current_session().execute(queries.ordered_lines(current_actor(), since, until))
    title = f"{_('订单簿')} {since.isoformat()} — {until.isoformat()}"
    content = sheets.order_book(rows.yield_per(ROWS_A_READ), title=title, translate=_)
    return download(content, XLSX, name=f"{_('订单簿')}-{since.isoformat()}-{until.isoformat()}.xlsx")


def _acceptances(since: date, until: date) -> Response:
    rows = current_session().scalars(queries.inspected_lines(current_actor(), since, until))
    title = f"{_('验收报告')} {since.isoformat()} — {until.isoformat()}"
    content = sheets.acceptance_report(rows.yield_per(ROWS_A_READ), title=title, translate=_)
    return download(content, XLSX, name=f"{_('验收报告')}-{since.isoformat()}-{until.isoformat()}.xlsx")


BOOKS = {"orders": _orders, "acceptances": _acceptances}
