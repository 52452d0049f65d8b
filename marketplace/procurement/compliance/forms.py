"""The promise of a compliance certificate."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length


class CertificateForm(FlaskForm):
    """What a cooperative promises of a lot."""

    promise = TextAreaField(_l("承诺"), [DataRequired(_l("请填写这一项")), Length(max=300)])
