"""What is typed to issue a slip."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import DateField
from wtforms.validators import InputRequired

from marketplace.web.forms import OnceForm


class SlipForm(OnceForm):
    """The days of a slip, both included."""

    since = DateField(_l("从"), [InputRequired(_l("请选择开始日期"))])
    until = DateField(_l("到"), [InputRequired(_l("请选择结束日期"))])
