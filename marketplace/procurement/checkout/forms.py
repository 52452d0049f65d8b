"""What a unit's orderer types at the checkout: where to, which day, of which budget."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext as _, lazy_gettext as _l
from wtforms import DateField, SelectChoice, SelectField
from wtforms.validators import InputRequired

from marketplace.core.money import format_yuan
from marketplace.ordering.forms import CheckoutForm
from marketplace.procurement.budgets.queries import Balance


class UnitCheckoutForm(CheckoutForm):
    """Where the goods go, when, and who pays for them out of which budget."""

    deliver_on = DateField(_l("送货日"), [InputRequired(_l("请填写这一项"))])
    budget = SelectField(_l("预算科目"), validate_choice=False)

    def offer(self, balances: Sequence[Balance]) -> None:
        """Fill the list of budget lines with what each has left; without any the field is empty."""
        self.budget.choices = [
            SelectChoice(
                one.line.public_no,
                _(
                    "%(year)s 年 %(purpose)s（可用 %(free)s 元）",
                    year=one.line.year,
                    purpose=one.line.purpose,
                    free=format_yuan(one.free_fen),
                ),
            )
            for one in balances
        ]
