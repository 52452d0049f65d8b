"""What a cooperative types to explain a price, and an office to set how far prices may go."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, IntegerField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from marketplace.catalog.prices.queries import PriceRules
from marketplace.linkage.fields import PercentField

REQUIRED = InputRequired(_l("请填写这一项"))
NUMBER = {"inputmode": "numeric", "autocomplete": "off"}
FIGURES = ("above_bp", "below_bp", "change_bp", "min_quotes", "valid_days", "explained_days")


class ExplanationForm(FlaskForm):
    """The price meant, why it is what it is, and a paper that shows it."""

    price = StringField(_l("单价（元）"), [REQUIRED, Length(max=16)])
    reason = TextAreaField(_l("理由"), [REQUIRED, Length(max=1000)])
    file = FileField(_l("成本或品质的证明"))


class PolicyForm(FlaskForm):
    """A policy to propose."""

    above_bp = PercentField(_l("高出参考价多少不能上架"), [REQUIRED], render_kw={"inputmode": "decimal"})
    below_bp = PercentField(_l("低于参考价多少要说明"), [REQUIRED], render_kw={"inputmode": "decimal"})
    change_bp = PercentField(_l("一次涨价多少要核对"), [REQUIRED], render_kw={"inputmode": "decimal"})
    min_quotes = IntegerField(_l("取中位数至少几家合作社"), [REQUIRED], render_kw=NUMBER)
    valid_days = IntegerField(_l("参考价几天内有效"), [REQUIRED], render_kw=NUMBER)
    explained_days = IntegerField(_l("核定的理由几天内有效"), [REQUIRED], render_kw=NUMBER)
    from_on = DateField(_l("生效日期"), [InputRequired(_l("请填写日期"))])
    basis = StringField(_l("依据文件"), [REQUIRED, Length(max=200)])

    @property
    def rules(self) -> PriceRules:
        """What was typed."""
        return PriceRules(*(self[name].data for name in FIGURES))
