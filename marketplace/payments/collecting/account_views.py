"""The cooperative's receiving account: opened here, filled in at the provider, and what was transferred to it.

The row is stored by one request and the provider called by the next, with no transaction open, so that a call whose
answer was lost is made again under the same key.
"""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.collecting import account_rules, queries
from marketplace.payments.collecting.account_rules import AccountQuestion, question_about
from marketplace.payments.collecting.jobs import current_collector
from marketplace.payments.collecting.models import ProviderAccount
from marketplace.payments.gateways.connect import AccountStatus
from marketplace.payments.gateways.stripe_connect import StripeCollector
from marketplace.web.errors import explain
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session, end_reading, writing_session

bp = Blueprint("receiving_account", __name__, url_prefix="/cooperative/receiving-account")
P = Permission


@bp.app_context_processor
def context() -> dict[str, object]:
    """The provider's codes in words, for every page that shows an account or a transfer."""
    return {
        "wanted_words": queries.wanted_words,
        "refusal_words": queries.refusal_words,
        "account_tones": TONES,
    }


TONES = {
    AccountStatus.OPENING: "info",
    AccountStatus.DETAILS_WANTED: "attention",
    AccountStatus.UNDER_REVIEW: "info",
    AccountStatus.READY: "good",
    AccountStatus.RESTRICTED: "bad",
}


@bp.get("")
@requires(P.FULFIL_ORDERS)
def own() -> ResponseReturnValue:
    """How the account stands, what comes next, and the transfers to it."""
    session, owner_id = current_session(), _cooperative_id()
    return render_template(
        "payments/collecting/own.html",
        account=account_rules.account_of(session, owner_id),
        money=queries.money_of(session, [owner_id])[owner_id],
        page=page_of(session, queries.transfers(cooperative_id=owner_id)),
        collects=current_collector() is not None,
        may_manage=current_actor().can(P.MANAGE_COOPERATIVE),
    )


def _cooperative_id() -> int:
    owner_id = current_actor().cooperative_id
    if owner_id is None:
        raise NotFound
    return owner_id


@bp.post("/open")
@requires(P.MANAGE_COOPERATIVE)
def open_account() -> ResponseReturnValue:
    """Ask for an account; the next page calls the provider."""
    _require_collector()
    account_rules.request_account(current_session(), current_actor())
    return redirect(url_for(".details"), 303)


@bp.get("/details")
@requires(P.MANAGE_COOPERATIVE)
def details() -> ResponseReturnValue:
    """Go to the provider's page on which details are handed in; opens the account where that was not answered yet."""
    question, here = _question(), url_for(".own")
    ours = current_app.config["SETTINGS"].public_url
    try:
        collector = _require_collector()
        end_reading()
        ref = question.provider_ref or _opened(collector, question)
        page = collector.details_page(
            ref, return_url=ours + url_for(".come_back"), refresh_url=ours + url_for(".details")
        )
    except DomainError as error:
        flash(explain(error), "error")
        return redirect(here, 303)
    return redirect(page, 303)


def _opened(collector: StripeCollector, question: AccountQuestion) -> str:
    """Open the account at the provider and keep its number. A transaction is open only for that."""
    told = question.put(collector)
    session = writing_session()
    account_rules.keep_told(session, question, told)
    session.flush()
    return told.ref


@bp.get("/back")
@requires(P.MANAGE_COOPERATIVE)
def come_back() -> ResponseReturnValue:
    """Back from the provider's page: ask how the account stands."""
    _ask()
    return redirect(url_for(".own"), 303)


@bp.post("/ask")
@requires(P.MANAGE_COOPERATIVE)
def ask() -> ResponseReturnValue:
    """Ask the provider how the account stands."""
    if _ask():
        flash(_("已向支付通道查询，下面是最新状态"), "success")
    return redirect(url_for(".own"), 303)


def _ask() -> bool:
    question = _question()
    try:
        collector = _require_collector()
        end_reading()
        told = question.put(collector)
    except DomainError as error:
        flash(explain(error), "error")
        return False
    account_rules.keep_told(writing_session(), question, told)
    return True


def _question() -> AccountQuestion:
    """The question about the actor's account. Raises NotFound where none was asked for."""
    account: ProviderAccount | None = account_rules.account_of(current_session(), _cooperative_id())
    if account is None:
        raise NotFound
    return question_about(account)


def _require_collector() -> StripeCollector:
    collector = current_collector()
    if collector is None:
        raise Conflict("not_collecting", N_("本站没有开通平台代收，请联系平台"))
    return collector
