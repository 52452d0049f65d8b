"""The form of the exports."""

from __future__ import annotations

from datetime import date

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField
from wtforms.validators import InputRequired


class ExportForm(FlaskForm):
    """The days of an export, both included."""

    since = DateField(_l("从"), [InputRequired(_l("请选择开始日期"))])
    until = DateField(_l("到"), [InputRequired(_l("请选择结束日期"))])

    def days(self) -> tuple[date, date] | None:
        """The span, None when it cannot be, with the reason at its field."""
        since, until = self.since.data, self.until.data
        if not self.validate() or since is None or until is None:
            return None
        if since > until:
            self.since.errors = [_l("开始日期不能晚于结束日期")]
            return None
        return since, until
