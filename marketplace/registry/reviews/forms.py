"""What a reviewer decides, what anybody may object, and which steps the operator configures."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import (
    FieldList,
    FormField,
    HiddenField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, Optional

from marketplace.registry.places.forms import PlaceForm
from marketplace.registry.reviews.models import Decision, ReviewKind
from marketplace.registry.reviews.steps import MAX_STEPS, PROVINCE, REVIEWERS
from marketplace.web.forms import Row
from marketplace.web.locale import label

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


class StepRow(Row):
    """One step; a row without a name is no step."""

    name_zh = StringField(_l("中文名称"), [Length(max=40)], render_kw={"autocomplete": "off"})
    name_en = StringField(_l("英文名称"), [Length(max=60)], render_kw={"autocomplete": "off"})
    role = SelectField(_l("由谁办理"))
    notice_days = IntegerField(_l("公示天数"), [Optional()], default=0, render_kw={"min": 0, "max": 60})


class StepsForm(FlaskForm):
    """The steps of a review at a place, in their order."""

    rows = FieldList(FormField(StepRow), min_entries=MAX_STEPS, max_entries=MAX_STEPS)

    def offer(self) -> None:
        """Fill the lists of roles."""
        for row in self.rows:
            row.form.role.choices = [SelectChoice(role.value, label(role)) for role in REVIEWERS]


class NewPlaceForm(PlaceForm):
    """A place that is to have steps of its own: the last level chosen, or the whole province."""

    kind = SelectField(_l("审核类别"))

    def offer(self, session: Session) -> None:
        """Fill the lists."""
        super().offer(session)
        self.kind.choices = [SelectChoice(kind.value, label(kind)) for kind in ReviewKind]

    def region_code(self) -> str:
        """The code of the place chosen."""
        return self.village_code.data or self.township_code.data or self.county_code.data or PROVINCE
