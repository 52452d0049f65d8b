"""What is typed to issue a slip, and to withdraw one."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, StringField
from wtforms.validators import InputRequired, Length

from marketplace.web.forms import OnceForm


class SlipForm(OnceForm):
    """The days of a slip, both included."""

    since = DateField(_l("从"), [InputRequired(_l("请选择开始日期"))])
    until = DateField(_l("到"), [InputRequired(_l("请选择结束日期"))])


class WithdrawForm(FlaskForm):
    """Why a slip no longer counts."""

    reason = StringField(_l("作废原因"), [InputRequired(_l("请写明作废的原因")), Length(max=300)])
