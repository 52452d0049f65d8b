"""Where e-mail goes, and what to hear of."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Length


class EmailForm(FlaskForm):
    """An address."""

    address = StringField(
        _l("邮箱地址"),
        [DataRequired(_l("请填写这一项")), Length(max=200)],
        render_kw={"type": "email", "autocomplete": "email", "inputmode": "email"},
    )
