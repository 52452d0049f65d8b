"""Papers that anybody may check by a QR code and that can be withdrawn: income slips and purchase certificates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, make_response, render_template

from marketplace.core.errors import DomainError
from marketplace.payments.forms import WithdrawForm
from marketplace.web.forms import place_error

CHECKS = "60 per minute; 600 per hour"  # of the public checks, an address


def check_page(template: str, **shown: Any) -> Response:
    """The public check of a paper; search engines leave it alone."""
    response = make_response(render_template(template, **shown))
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def withdraw_by_form(withdraw: Callable[[str], object]) -> WithdrawForm | None:
    """Withdraw a paper for the reason that was typed; None when it is done, else the form with what is wrong."""
    form = WithdrawForm()
    if not form.validate_on_submit():
        return form
    try:
        withdraw(form.reason.data or "")
    except DomainError as error:
        place_error(form, error)
        return form
    return None
