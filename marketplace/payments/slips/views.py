"""Slips: a household's list with the form to issue one, the paper, the withdrawal, and the public check."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.payments import papers
from marketplace.payments.forms import WithdrawForm
from marketplace.payments.slips import paper, queries, rules
from marketplace.payments.slips.forms import SlipForm
from marketplace.payments.slips.models import IncomeSlip
from marketplace.registry.models import Household
from marketplace.registry.queries import household_by_no, household_of
from marketplace.web.checks import CHECKS, check_page
from marketplace.web.filters import masked
from marketplace.web.forms import place_error
from marketplace.web.limits import limiter
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("slips", __name__)
concerned = requires(Permission.READ_OWN_INCOME, Permission.READ_HOUSEHOLDS)


def _is_own(household: Household) -> bool:
    return household.user_id is not None and household.user_id == current_actor().user_id


@bp.get("/my/slips")
@requires(Permission.READ_OWN_INCOME)
def mine() -> ResponseReturnValue:
    """The own slips: the short way from a telephone."""
    household = household_of(current_session(), current_actor())
    if household is None:
        raise NotFound
    return redirect(url_for(".slips", household_no=household.public_no))


@bp.route("/households/<household_no>/slips", methods=["GET", "POST"])
@concerned
def slips(household_no: str) -> ResponseReturnValue:
    """The slips of a household, and the form to issue one."""
    session, actor = current_session(), current_actor()
    household = household_by_no(session, actor, household_no)
    form = SlipForm(since=today().replace(month=1, day=1), until=today())
    if form.validate_on_submit() and form.since.data and form.until.data:
        try:
            slip = rules.issue_slip(
                session,
                actor,
                household=household,
                since=form.since.data,
                until=form.until.data,
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("凭条 %(no)s 已出具，可以打开或打印", no=slip.public_no), "success")
            return redirect(url_for(".slip", slip_no=slip.public_no), 303)
    page = render_template(
        "payments/slips/index.html",
        household=household,
        own=_is_own(household),
        form=form,
        may_issue=rules.may_issue(actor, household),
        page=page_of(session, queries.slips_of(actor, household)),
    )
    return page, 422 if form.errors else 200


def _slip_page(slip: IncomeSlip, form: WithdrawForm) -> str:
    actor = current_actor()
    withdraws = rules.may_issue(actor, slip.household) and (
        _is_own(slip.household) or slip.issued_by == actor.user_id
    )
    return render_template(
        "payments/slips/show.html",
        slip=slip,
        household=slip.household,
        own=_is_own(slip.household),
        check=queries.check_of(current_session(), slip.token),
        withdraws=withdraws and slip.withdrawal is None,
        form=form,
    )


@bp.get("/income-slips/<slip_no>")
@concerned
def slip(slip_no: str) -> ResponseReturnValue:
    """One slip on the screen."""
    found = queries.slip_by_no(current_session(), current_actor(), slip_no)
    return _slip_page(found, WithdrawForm(formdata=None))


@bp.get("/income-slips/<slip_no>.pdf")
@concerned
def pdf(slip_no: str) -> ResponseReturnValue:
    """One slip on paper. Its holder's name stands whole on the household's own paper alone."""
    found = queries.slip_by_no(current_session(), current_actor(), slip_no)
    name = found.household.head_name
    printed = paper.contents(
        found, holder=name if _is_own(found.household) else masked(name), check_url=_check_url(found)
    )
    response = Response(paper.draw(printed, found), mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{found.public_no}.pdf"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _check_url(slip: IncomeSlip) -> str:
    return f"{current_app.config['SETTINGS'].public_url}{url_for('.check', token=slip.token)}"


@bp.post("/income-slips/<slip_no>/withdraw")
@concerned
def withdraw(slip_no: str) -> ResponseReturnValue:
    """Say that a slip no longer counts."""
    session, actor = current_session(), current_actor()
    found = queries.slip_by_no(session, actor, slip_no)
    form = papers.withdraw_by_form(lambda reason: rules.withdraw_slip(session, actor, found, reason=reason))
    if form is not None:
        return _slip_page(queries.slip_by_no(session, actor, slip_no), form), 422
    flash(_("凭条 %(no)s 已作废，扫码的人会看到", no=slip_no), "success")
    return redirect(url_for(".slip", slip_no=slip_no), 303)


@bp.get("/slips/<token>")
@public
@limiter.limit(CHECKS)
def check(token: str) -> ResponseReturnValue:
    """The public check behind the QR code: what was issued, and whether the ledger still says so. Names nobody."""
    found = queries.check_of(current_session(), token)
    return check_page("payments/slips/check.html", check=found)
