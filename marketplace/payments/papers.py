"""Papers that can be withdrawn: income slips and purchase certificates."""

from __future__ import annotations

from collections.abc import Callable

from marketplace.core.errors import DomainError
from marketplace.payments.forms import WithdrawForm
from marketplace.web.forms import place_error


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
