"""What a cooperative types to explain a price."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired, Length

REQUIRED = InputRequired(_l("请填写这一项"))


class ExplanationForm(FlaskForm):
    """The price meant, why it is what it is, and a paper that shows it."""

    price = StringField(_l("单价（元）"), [REQUIRED, Length(max=16)])
    reason = TextAreaField(_l("理由"), [REQUIRED, Length(max=1000)])
    file = FileField(_l("成本或品质的证明"))
