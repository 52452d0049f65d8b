"""The public page of a sale's certificates. It tells the goods and the day, and nothing of the buyer."""

from __future__ import annotations

import segno
from flask import Blueprint, current_app, make_response, render_template, url_for
from flask.typing import ResponseReturnValue

from marketplace.catalog.certificates.queries import standing
from marketplace.core.clock import today
from marketplace.identity.access import public
from marketplace.ordering.sale_proofs.queries import sale_proof
from marketplace.web.limits import limiter
from marketplace.web.transaction import current_session

bp = Blueprint("sale_proofs", __name__)
CHECKS = "60 per minute; 600 per hour"


@bp.get("/check/lines/<line_no>")
@public
@limiter.limit(CHECKS)
def line(line_no: str) -> ResponseReturnValue:
    """What the goods of an order line were certified as when they were sold."""
    address = f"{current_app.config['SETTINGS'].public_url}{url_for('.line', line_no=line_no)}"
    response = make_response(
        render_template(
            "ordering/sale_proof.html",
            proof=sale_proof(current_session(), line_no),
            standing=standing,
            today=today(),
            qr_code=str(segno.make(address, error="m", micro=False).svg_data_uri(scale=4, border=2)),
        )
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response
