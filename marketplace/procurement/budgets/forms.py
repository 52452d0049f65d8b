"""What an approver types of a budget: year, purpose, amount, reason."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import IntegerField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from marketplace.linkage.fields import YuanField

REQUIRED = InputRequired(_l("请填写这一项"))
WORDS = DataRequired(_l("请填写这一项"))


class BudgetForm(FlaskForm):
    """A new line."""

    year = IntegerField(_l("年度"), [REQUIRED])
    purpose = StringField(_l("预算科目"), [WORDS, Length(max=60)])
    amount = YuanField(_l("预算金额"), [REQUIRED], render_kw={"inputmode": "decimal", "autocomplete": "off"})
    reason = StringField(_l("依据"), [WORDS, Length(max=300)])


class ChangeForm(FlaskForm):
    """Another amount for a line."""

    amount = YuanField(_l("改为"), [REQUIRED], render_kw={"inputmode": "decimal", "autocomplete": "off"})
    reason = StringField(_l("原因"), [WORDS, Length(max=300)])
