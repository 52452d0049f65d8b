"""What the cashier types about a difference, and the day to compare."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, RadioField, TextAreaField
from wtforms.validators import InputRequired, Length


class ExplainForm(FlaskForm):
    """Why the two sides differ, and what is done about it."""

    explanation = TextAreaField(
        _l("原因和处理办法"), [InputRequired(_l("请写明差异的原因和处理办法")), Length(max=300)]
    )


class ArrivalForm(FlaskForm):
    """Which credit of the bank a payout is, and how that is known."""

    line = RadioField(_l("银行流水"), [InputRequired(_l("请选择这笔提现对应的银行流水"))])
    note = TextAreaField(_l("核对依据"), [InputRequired(_l("请写明核对依据")), Length(max=300)])


class DayForm(FlaskForm):
    """A business day that is over."""

    day = DateField(_l("对账日期"), [InputRequired(_l("请选择对账日期"))])
