"""What the buyer chooses on the page of a payment."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import RadioField
from wtforms.validators import InputRequired


class MethodForm(FlaskForm):
    """One of the means the deployment offers; the view fills the choices."""

    method = RadioField(_l("付款方式"), [InputRequired(_l("请选择一种付款方式"))], validate_choice=False)
