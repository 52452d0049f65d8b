"""What the cashier types about deposits."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField
from wtforms.validators import DataRequired, InputRequired, Length


class MatchForm(FlaskForm):
    """Which queued line a deposit is, and how one knows."""

    line = HiddenField(validators=[InputRequired()])
    note = StringField(_l("处理依据"), [DataRequired(_l("请写明处理依据")), Length(max=300)])
