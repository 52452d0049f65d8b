"""The cashier's pages: every cooperative's receiving account, every transfer, and what is to be withheld."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.identity.access import requires
from marketplace.identity.permissions import Permission
from marketplace.payments.collecting import queries
from marketplace.payments.collecting.account_rules import account_of
from marketplace.payments.collecting.forms import AccountSearchForm
from marketplace.payments.collecting.jobs import current_collector
from marketplace.payments.collecting.models import TransferState
from marketplace.payments.gateways.connect import AccountStatus
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("transfers", __name__, url_prefix="/cashier/transfers")
READERS = (Permission.MATCH_BANK_LINES, Permission.READ_AUDIT)
NONE, WITHHELD = "none", "withheld"


@bp.get("/accounts")
@requires(*READERS)
def accounts() -> ResponseReturnValue:
    """The cooperatives with their accounts, by status and by name."""
    session, form = current_session(), AccountSearchForm(request.args)
    text = (form.q.data or "").strip() if form.validate() else ""
    asked = request.args.get("status", "")
    status = next((one for one in AccountStatus if one.value == asked), None)
    page = page_of(session, queries.accounts(status, without=asked == NONE, text=text), scalars=False)
    counts = queries.counts_of_accounts(session)
    tabs = [_tab(_("全部"), "", asked, sum(counts.values()), text)]
    tabs += [_tab(label(one), one.value, asked, counts.get(one, 0), text) for one in AccountStatus]
    tabs.append(_tab(_("没有开户"), NONE, asked, counts.get(None, 0), text))
    money = queries.money_of(session, [cooperative.id for cooperative, _account in page.rows])
    return render_template(
        "payments/collecting/accounts.html",
        page=page,
        tabs=tabs,
        form=form,
        asked=asked,
        money=money,
        collects=current_collector() is not None,
    )


def _tab(words: str, value: str, asked: str, count: int, text: str) -> dict[str, object]:
    url = url_for(".accounts", status=value or None, q=text or None)
    return {"label": words, "url": url, "active": asked == value, "count": count}


@bp.get("/accounts/<cooperative_no>")
@requires(*READERS)
def account(cooperative_no: str) -> ResponseReturnValue:
    """One cooperative: its account and the transfers to it."""
    session = current_session()
    cooperative = queries.cooperative_by_no(session, cooperative_no)
    return render_template(
        "payments/collecting/account.html",
        cooperative=cooperative,
        account=account_of(session, cooperative.id),
        money=queries.money_of(session, [cooperative.id])[cooperative.id],
        page=page_of(session, queries.transfers(cooperative_id=cooperative.id)),
    )


@bp.get("")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """Every transfer by state, and the reversals that are to be withheld."""
    session, asked = current_session(), request.args.get("state", "")
    state = next((one for one in TransferState if one.value == asked), None)
    counts = queries.counts_of_transfers(session)
    withheld = page_of(session, queries.refused_reversals()) if asked == WITHHELD else None
    tabs = [
        {
            "label": words,
            "url": url_for(".index", state=value or None),
            "active": asked == value,
            "count": count,
        }
        for words, value, count in (
            (_("全部"), "", sum(counts.values())),
            *((label(one), one.value, counts.get(one, 0)) for one in TransferState),
            (_("未能收回"), WITHHELD, None),
        )
    ]
    return render_template(
        "payments/collecting/transfers.html",
        page=withheld or page_of(session, queries.transfers(state=state)),
        shows_withheld=withheld is not None,
        kept=queries.withheld_so_far(session, withheld.rows) if withheld else {},
        tabs=tabs,
        collects=current_collector() is not None,
    )
