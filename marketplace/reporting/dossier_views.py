"""The pages of the household dossier: the facts side by side, a section by its own address, and the whole to print."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import now, today
from marketplace.core.errors import NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.registry.queries import household_by_no, household_of, household_status
from marketplace.reporting import dossier as dossiers, dossier_facts
from marketplace.reporting.dossier import ROWS_OF_SEVERAL, DossierScope, DossierSection
from marketplace.reporting.income import buyer_words
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("dossier", __name__)
concerned = requires(Permission.READ_OWN_INCOME, Permission.READ_HOUSEHOLDS)


@bp.get("/my/dossier")
@requires(Permission.READ_OWN_INCOME)
def mine() -> ResponseReturnValue:
    """The own dossier."""
    household = household_of(current_session(), current_actor())
    if household is None:
        raise NotFound
    return redirect(url_for(".overview", household_no=household.public_no))


def _scope(household_no: str) -> DossierScope:
    actor = current_actor()
    return dossiers.scope_for(actor, household_by_no(current_session(), actor, household_no))


def _shown(template: str, scope: DossierScope, active: DossierSection | None, **more: object) -> str:
    """A page of the dossier with its tabs."""
    session, household = current_session(), scope.household
    address = {"household_no": household.public_no}
    tabs = [{"label": _("概要"), "url": url_for(".overview", **address), "active": active is None}] + [
        {
            "label": label(one),
            "url": url_for(".section", section=one.value, **address),
            "active": one is active,
        }
        for one in DossierSection
    ]
    return render_template(
        template,
        household=household,
        own=household.user_id is not None and household.user_id == current_actor().user_id,
        is_part=scope.cooperative_id is not None,
        status=household_status(session, household.id, valid_on=today()),
        tabs=tabs,
        sections=DossierSection,
        section=active,
        buyer_words=buyer_words,
        made_at=now(),
        **more,
    )


@bp.get("/households/<household_no>/dossier")
@concerned
def overview(household_no: str) -> ResponseReturnValue:
    """What is owed, what was credited and what was paid out, side by side, by year, mechanism and income class."""
    scope = _scope(household_no)
    facts = dossier_facts.overview_of(current_session(), scope)
    return _shown(
        "reporting/dossier/overview.html",
        scope,
        None,
        facts=facts,
        by_class=dossier_facts.totals_by_class(facts),
        class_of=dossier_facts.class_of,
    )


@bp.get("/households/<household_no>/dossier/<section>")
@concerned
def section(household_no: str, section: str) -> ResponseReturnValue:
    """One section, page by page."""
    scope, asked = _scope(household_no), DossierSection.known(section)
    if asked is None:
        raise NotFound
    query = dossiers.section_query(scope, asked)
    page = page_of(current_session(), query, scalars=asked not in ROWS_OF_SEVERAL)
    return _shown("reporting/dossier/section.html", scope, asked, page=page)


@bp.get("/households/<household_no>/dossier.print")
@concerned
def printed(household_no: str) -> ResponseReturnValue:
    """The whole dossier on one page, for paper."""
    session, scope = current_session(), _scope(household_no)
    facts = dossier_facts.overview_of(session, scope)
    return _shown(
        "reporting/dossier/print.html",
        scope,
        None,
        facts=facts,
        by_class=dossier_facts.totals_by_class(facts),
        class_of=dossier_facts.class_of,
        rows=dossiers.rows_to_print(session, scope),
        counts=dossiers.section_counts(session, scope),
    )
