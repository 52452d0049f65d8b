"""What the clerk of a village fills in to open a household's account."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length


class HouseholdAccountForm(FlaskForm):
    """The name the household will sign in with."""

    login_name = StringField(
        _l("登录名"), [InputRequired(_l("请填写这一项")), Length(max=40)], render_kw={"autocomplete": "off"}
    )
