"""What is typed about recognitions: the application, a sample, what was found, why one is revoked."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import IntegerField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange

REQUIRED = InputRequired(_l("请填写这一项"))
TOO_LONG = _l("最多 300 个字")


class RecognitionForm(FlaskForm):
    """The three legs of a recognition: quality, price, linkage."""

    quality = TextAreaField(_l("质量情况"), [REQUIRED, Length(max=300, message=TOO_LONG)])
    certificate = SelectField(_l("凭哪张证书"), validate_choice=False)
    price = StringField(_l("单价（元）"), [REQUIRED, Length(max=12)], render_kw={"inputmode": "decimal"})
    reference = StringField(
        _l("同规格平均价（元）"), [REQUIRED, Length(max=12)], render_kw={"inputmode": "decimal"}
    )
    price_source = StringField(_l("平均价的出处"), [REQUIRED, Length(max=200)])
    linkage = TextAreaField(_l("怎样带动农户"), [REQUIRED, Length(max=300, message=TOO_LONG)])


class RevokeForm(FlaskForm):
    """Why a recognition is revoked."""

    reason = TextAreaField(_l("原因"), [REQUIRED, Length(max=300, message=TOO_LONG)])


class DrawForm(FlaskForm):
    """Where a sample is drawn, and how many."""

    region_code = SelectField(_l("范围"), validate_choice=False)
    size = IntegerField(
        _l("抽几个产品"),
        [InputRequired(_l("请填写整数")), NumberRange(1, 50, _l("可以抽 1 到 50 个产品"))],
        default=3,
    )


class CheckForm(FlaskForm):
    """What a spot check found."""

    result = RadioField(
        _l("核查结果"),
        [InputRequired(_l("请选择结论"))],
        choices=[SelectChoice("passed", _l("抽查合格")), SelectChoice("failed", _l("不合格，取消认定"))],
    )
    reason = TextAreaField(_l("核查情况"), [REQUIRED, Length(max=300, message=TOO_LONG)])
