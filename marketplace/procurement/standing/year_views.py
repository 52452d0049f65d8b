"""The page of a unit's year: its terms and holidays, and the public holidays ahead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.procurement.standing import queries, year_rules
from marketplace.procurement.standing.closures import PublicHoliday, assumed_years, public_holidays
from marketplace.procurement.standing.forms import SpanForm
from marketplace.procurement.standing.models import SpanKind
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("unit_year", __name__, url_prefix="/unit/year")
P = Permission


@bp.get("")
@requires(P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT)
def year() -> ResponseReturnValue:
    """The unit's terms and holidays, and the public holidays ahead."""
    return _page(SpanForm(formdata=None))


@bp.post("")
@requires(P.ORDER_FOR_UNIT)
def add_span() -> ResponseReturnValue:
    """Add a term or a holiday."""
    form = SpanForm()
    if form.validate_on_submit():
        try:
            skipped = year_rules.add_span(
                current_session(),
                current_actor(),
                kind=SpanKind(form.kind.data),
                name=form.name.data or "",
                starts_on=form.starts_on.data,
                ends_on=form.ends_on.data,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已登记，跳过 %(count)s 次送货", count=skipped), "success")
            return redirect(url_for(".year"), 303)
    return _page(form)


def _page(form: SpanForm) -> ResponseReturnValue:
    ahead = [row for row in public_holidays().items() if row[0] >= today()]
    spans = queries.spans_of(current_session(), current_actor().buyer_unit_id or 0)
    page = render_template(
        "procurement/standing/year.html",
        form=form,
        spans=spans,
        holidays=_stretches(ahead),
        assumed=sorted(assumed_years() & {day.year for day, _holiday in ahead}),
    )
    return page, 422 if form.errors else 200


def _stretches(
    days: Sequence[tuple[date, PublicHoliday]],
) -> list[tuple[PublicHoliday, date, date]]:
    """Days of one holiday in a row, as holiday, first day and last."""
    found: list[tuple[PublicHoliday, date, date]] = []
    for day, name in sorted(days):
        if found and found[-1][0] == name and found[-1][2] == day - timedelta(days=1):
            found[-1] = (name, found[-1][1], day)
        else:
            found.append((name, day, day))
    return found


@bp.post("/<int:span_id>/remove")
@requires(P.ORDER_FOR_UNIT)
def remove_span(span_id: int) -> ResponseReturnValue:
    """Take a term or a holiday out again."""
    year_rules.remove_span(current_session(), current_actor(), span_id)
    flash(_("已删去"), "success")
    return redirect(url_for(".year"), 303)
