"""What a reviewer decides, and what anybody may object."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from marketplace.registry.reviews.models import Decision

REQUIRED = InputRequired(_l("请填写这一项"))


class DecisionForm(FlaskForm):
    """An answer to one step; `position` is the step the reviewer is looking at."""

    position = HiddenField(validators=[InputRequired()])
    decision = RadioField(
        _l("审核结论"),
        [InputRequired(_l("请选择结论"))],
        choices=[
            SelectChoice(Decision.PASS.value, _l("通过，进入下一步")),
            SelectChoice(Decision.RETURN.value, _l("退回补正，申请人修改后可以重新提交")),
            SelectChoice(Decision.REJECT.value, _l("不予通过")),
        ],
    )
    comment = TextAreaField(_l("审核意见"), [Length(max=500, message=_l("意见最多 500 个字"))])


class ObjectionForm(FlaskForm):
    """An objection to a public notice."""

    text = TextAreaField(_l("异议的事实和理由"), [REQUIRED, Length(max=1000, message=_l("最多 1000 个字"))])
    contact = StringField(_l("联系方式"), [Length(max=100)], render_kw={"autocomplete": "off"})


class AnswerForm(FlaskForm):
    """What was found about an objection."""

    verdict = RadioField(
        _l("核实结论"),
        [InputRequired(_l("请选择结论"))],
        choices=[
            SelectChoice("dismissed", _l("异议不成立，继续公示")),
            SelectChoice("upheld", _l("异议成立，申请不予通过")),
        ],
    )
    answer = TextAreaField(_l("核实情况"), [REQUIRED, Length(max=1000, message=_l("最多 1000 个字"))])
