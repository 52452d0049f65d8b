"""What the cashier tells the bank."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import InputRequired, Length


class EvidenceForm(FlaskForm):
    """Evidence in words."""

    evidence = TextAreaField(
        _l("证据说明"), [InputRequired(_l("请写明发货、签收和沟通的情况")), Length(max=2_000)]
    )
