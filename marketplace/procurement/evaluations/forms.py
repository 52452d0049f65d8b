"""What a buyer fills in to evaluate a delivery."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import RadioField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from marketplace.procurement.evaluations.models import MOST_REMARK

SCALE = [
    SelectChoice(5, _l("5 分 很好")),
    SelectChoice(4, _l("4 分 好")),
    SelectChoice(3, _l("3 分 一般")),
    SelectChoice(2, _l("2 分 差")),
    SelectChoice(1, _l("1 分 很差")),
]
CHOSEN = InputRequired(_l("请选择 1 到 5 分"))


class ReplyForm(FlaskForm):
    """What the cooperative answers."""

    text = TextAreaField(_l("回复"), [InputRequired(_l("请填写这一项")), Length(max=MOST_REMARK)])


class EvaluationForm(FlaskForm):
    """Two scores and, if one likes, remark."""

    goods_score = RadioField(_l("商品质量"), [CHOSEN], choices=SCALE, coerce=int)
    delivery_score = RadioField(_l("送货与服务"), [CHOSEN], choices=SCALE, coerce=int)
    remark = TextAreaField(_l("说几句"), [Length(max=MOST_REMARK)])
