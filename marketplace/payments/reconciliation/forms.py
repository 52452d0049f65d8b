"""What the cashier types about a difference, and the day to compare."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, TextAreaField
from wtforms.validators import InputRequired, Length


class ExplainForm(FlaskForm):
    """Why the two sides differ, and what is done about it."""

    explanation = TextAreaField(
        _l("原因和处理办法"), [InputRequired(_l("请写明差异的原因和处理办法")), Length(max=300)]
    )


class DayForm(FlaskForm):
    """A business day that is over."""

    day = DateField(_l("对账日期"), [InputRequired(_l("请选择对账日期"))])
