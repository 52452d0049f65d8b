"""What is typed to find a cooperative's account."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import Length


class AccountSearchForm(FlaskForm):
    """A part of the cooperative's name."""

    class Meta:
        """A search changes nothing, so it carries no token."""

        csrf = False

    q = StringField(_l("合作社名称"), [Length(max=60)])
