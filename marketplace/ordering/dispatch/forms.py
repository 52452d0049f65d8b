"""What a cooperative types of its days."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectMultipleField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, NumberRange
from wtforms.widgets import CheckboxInput, ListWidget

from marketplace.ordering.dispatch.rules import MOST_LEAD

WEEKDAY_CHOICES = [
    SelectChoice(0, _l("周一")),
    SelectChoice(1, _l("周二")),
    SelectChoice(2, _l("周三")),
    SelectChoice(3, _l("周四")),
    SelectChoice(4, _l("周五")),
    SelectChoice(5, _l("周六")),
    SelectChoice(6, _l("周日")),
]


class DispatchForm(FlaskForm):
    """The weekdays, and the days to prepare."""

    weekdays = SelectMultipleField(
        _l("每周发货送货的日子"),
        choices=WEEKDAY_CHOICES,
        coerce=int,
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    lead_days = IntegerField(
        _l("备货天数"),
        [
            InputRequired(_l("请填写这一项")),
            NumberRange(0, MOST_LEAD, _l("备货天数须在 0 到 30 天之间")),
        ],
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
