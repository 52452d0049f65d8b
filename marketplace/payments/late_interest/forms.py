"""What is typed about late interest: why it is waived."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length


class WaiveForm(FlaskForm):
    """Why a cooperative asks no interest."""

    reason = TextAreaField(_l("免收的原因"), [DataRequired(_l("请填写这一项")), Length(max=300)])
