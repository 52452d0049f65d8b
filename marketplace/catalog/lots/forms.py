"""A lot to sell as a product, with the day its goods were made or packed."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, SelectField
from wtforms.validators import InputRequired, Optional

DAY_PREFIX = "day-"  # of the second such form on the page, which corrects a day


class LotForm(FlaskForm):
    """The lot, by its public number, and the day its goods keep from."""

    lot = SelectField(_l("批次"), [InputRequired(_l("请填写这一项"))], validate_choice=False)
    produced_on = DateField(_l("生产（包装）日期"), [Optional()])
