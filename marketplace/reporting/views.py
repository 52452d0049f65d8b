"""Read-only pages: the desk, a household's income, its printable statement."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from marketplace.core.clock import now, today
from marketplace.core.errors import NotFound
from marketplace.identity.access import current_actor, requires, signed_in
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Household
from marketplace.registry.queries import household_by_no, household_of
from marketplace.reporting import desk as desks, income
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("reporting", __name__)


@bp.get("/desk")
@signed_in
def desk() -> ResponseReturnValue:
    """What waits for the reader today."""
    session, actor = current_session(), current_actor()
    return render_template(
        "reporting/desk.html", tasks=desks.tasks_of(session, actor), figures=desks.figures_of(session, actor)
    )


def _own_household() -> Household:
    household = household_of(current_session(), current_actor())
    if household is None:
        raise NotFound
    return household


def _reads_only() -> int | None:
    """The cooperative of the reader, whose part alone it reads of a household's income; None for who reads all."""
    return current_actor().cooperative_id


def _income_page(household: Household, *, own: bool) -> str:
    session, only = current_session(), None if own else _reads_only()
    months = income.months_of(session, household.id, cooperative_id=only)
    credited = income.credits_of(household.id, cooperative_id=only)
    return render_template(
        "reporting/income.html",
        household=household,
        own=own,
        is_part=only is not None,
        by_month=income.by_month(months),
        by_mechanism=income.by_mechanism(months),
        by_attribution=income.by_attribution(session, household.id, cooperative_id=only),
        entitled_fen=income.entitled_fen(session, household.id, cooperative_id=only),
        pending=income.pending_lines(session, household.id, cooperative_id=only),
        page=page_of(session, credited, scalars=False),
        changes=income.later_changes(session, household.id, cooperative_id=only),
        guarantees=income.guarantees_of(session, household.id, cooperative_id=only),
        guaranteed_fen=income.guaranteed_fen(session, household.id, cooperative_id=only),
        buyer_words=income.buyer_words,
    )


@bp.get("/my/income")
@requires(Permission.READ_OWN_INCOME)
def my_income() -> ResponseReturnValue:
    """A household's own income."""
    return _income_page(_own_household(), own=True)


@bp.get("/households/<household_no>/income")
@requires(Permission.READ_HOUSEHOLDS)
def household_income(household_no: str) -> ResponseReturnValue:
    """The income of a household the reader may see."""
    return _income_page(household_by_no(current_session(), current_actor(), household_no), own=False)


def _span() -> income.Span:
    """The days asked for (`?since=&until=`), this year so far when absent or nonsense."""
    try:
        since = date.fromisoformat(request.args.get("since", ""))
        until = date.fromisoformat(request.args.get("until", ""))
    except ValueError:
        return income.Span(today().replace(month=1, day=1), today())
    return income.Span(min(since, until), max(since, until))


def _statement_page(household: Household, *, own: bool) -> str:
    session, span, only = current_session(), _span(), None if own else _reads_only()
    months = income.months_of(session, household.id, span, cooperative_id=only)
    credited = income.credits_of(household.id, span, cooperative_id=only)
    return render_template(
        "reporting/statement.html",
        household=household,
        span=span,
        is_part=only is not None,
        months=months,
        by_mechanism=income.by_mechanism(months),
        by_attribution=income.by_attribution(session, household.id, span, cooperative_id=only),
        rows=session.execute(credited.limit(500)).all(),
        changes=income.later_changes(session, household.id, span, cooperative_id=only, limit=500),
        guarantees=income.guarantees_of(session, household.id, span, cooperative_id=only, limit=500),
        guaranteed_fen=income.guaranteed_fen(session, household.id, span, cooperative_id=only),
        buyer_words=income.buyer_words,
        made_at=now(),
    )


@bp.get("/my/statement")
@requires(Permission.READ_OWN_INCOME)
def my_statement() -> ResponseReturnValue:
    """The own statement, to print."""
    return _statement_page(_own_household(), own=True)


@bp.get("/households/<household_no>/statement")
@requires(Permission.READ_HOUSEHOLDS)
def household_statement(household_no: str) -> ResponseReturnValue:
    """The statement of a household the reader may see, to print and hand over."""
    household = household_by_no(current_session(), current_actor(), household_no)
    return _statement_page(household, own=False)
