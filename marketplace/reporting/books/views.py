"""The page of the books: a short one is the answer at once, a long one is made by the worker."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField
from wtforms.validators import InputRequired

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.core.workbooks import MOST_ROWS, XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.downloads.views import hand_in
from marketplace.reporting.books.books import BOOKS, READERS, Book
from marketplace.web.downloads import download
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("books", __name__)
MOST_DAYS = 366
AT_ONCE_ROWS = 2_000  # about a second; see docs/decisions/what-takes-long-is-a-prepared-file.md


class SpanForm(FlaskForm):
    """The days of a book, both included."""

    since = DateField(_l("从"), [InputRequired(_l("请选择开始日期"))])
    until = DateField(_l("到"), [InputRequired(_l("请选择结束日期"))])

    def days(self) -> tuple[date, date] | None:
        """The span, None when it cannot be, with the reason at its field."""
        since, until = self.since.data, self.until.data
        if not self.validate() or since is None or until is None:
            return None
        if since > until:
            self.since.errors = [_("开始日期不能晚于结束日期")]
        elif until - since >= timedelta(days=MOST_DAYS):
            self.since.errors = [_("一本最多写一年，请分开下载")]
        return None if self.since.errors else (since, until)


@bp.get("/books")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """Choose a book and its days; with both, the book itself where it is short."""
    form, book = _form(), BOOKS.get(request.args.get("book", ""))
    if book is None:
        return _page(form)
    if (days := form.days()) is None:
        return _page(form), 422
    count = book.count(current_session(), current_actor(), *days)
    if count > AT_ONCE_ROWS:
        form.form_errors = [_("这本有 %(rows)s 行，要在后台准备，请按下面的按钮", rows=count)]
        return _page(form), 422
    rows = book.rows_of(current_session(), current_actor(), *days)
    title = _title(book, *days)
    return download(book.write(rows, title=title, translate=_), XLSX, name=f"{title}.xlsx")


def _form() -> SpanForm:
    """The days in the address; it only asks there, so it needs no token."""
    year = today().replace(month=1, day=1)
    given = request.args if "book" in request.args else None
    return SpanForm(given, since=year, until=today(), meta={"csrf": False})


@bp.post("/books")
@requires(*READERS)
def take() -> ResponseReturnValue:
    """Take a book: at once, or ask the worker for it."""
    name, form = request.form.get("book", ""), SpanForm()
    book = BOOKS.get(name)
    if book is None or (days := form.days()) is None:
        return _page(form), 422
    since, until = days
    count = book.count(current_session(), current_actor(), since, until)
    params = {"since": since.isoformat(), "until": until.isoformat()}
    if count <= AT_ONCE_ROWS:
        return redirect(url_for(".index", book=name, **params), 303)
    if count > MOST_ROWS:
        form.since.errors = [_("这本有 %(rows)s 行，一张表格装不下，请分开下载", rows=count)]
        return _page(form), 422
    try:
        return hand_in(f"book_{name}", params=params, title=_title(book, since, until), total_count=count)
    except DomainError as error:
        place_error(form, error)
        return _page(form), 422


def _title(book: Book, since: date, until: date) -> str:
    return f"{_(book.label)} {since.isoformat()} — {until.isoformat()}"


def _page(form: SpanForm) -> str:
    return render_template("reporting/books/index.html", form=form)
