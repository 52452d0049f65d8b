"""The public page of a sale's certificates. It tells the goods and the day, and nothing of the buyer."""

from __future__ import annotations

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from marketplace.catalog.certificates.queries import standing
from marketplace.core.clock import today
from marketplace.identity.access import public
from marketplace.ordering.queries import works_for_unit
from marketplace.ordering.sale_proofs.queries import sale_proof
from marketplace.web.checks import CHECKS, check_page
from marketplace.web.limits import limiter
from marketplace.web.qr import qr_to
from marketplace.web.transaction import current_session

bp = Blueprint("sale_proofs", __name__)


@bp.get("/check/lines/<line_no>")
@public
@limiter.limit(CHECKS)
def line(line_no: str) -> ResponseReturnValue:
    """What the goods of an order line were certified as when they were sold."""
    return check_page(
        "ordering/sale_proof.html",
        proof=sale_proof(current_session(), line_no),
        standing=standing,
        today=today(),
        qr_code=qr_to(url_for(".line", line_no=line_no)),
        works_for_unit=works_for_unit,
    )
