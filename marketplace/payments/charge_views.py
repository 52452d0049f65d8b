"""The page of charges: what households owe under their agreements, what was collected, what is outstanding."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.charge_queries import charge_totals, charges_visible_to
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("charges", __name__)
READERS = (
    Permission.RECORD_EVIDENCE,
    Permission.READ_HOUSEHOLDS,
    Permission.READ_AUDIT,
    Permission.READ_OWN_INCOME,
)


@bp.get("/charges")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """The charges one may read; `?agreement=` those of one agreement, `?open=1` the outstanding ones."""
    session, actor = current_session(), current_actor()
    agreement_no, is_open = request.args.get("agreement", "")[:16], request.args.get("open") == "1"
    found = charges_visible_to(actor, agreement_no=agreement_no, is_open=is_open)
    page = page_of(session, found, scalars=False)
    charged_fen, collected_fen = charge_totals(session, actor, agreement_no=agreement_no)
    return render_template(
        "payments/charges.html",
        page=page,
        agreement_no=agreement_no,
        is_open=is_open,
        charged_fen=charged_fen,
        collected_fen=collected_fen,
    )
