"""What the operator fills in about a buyer unit."""

from __future__ import annotations

from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from marketplace.registry.fields import check_phone
from marketplace.registry.identifiers import check_uscc
from marketplace.registry.models import UnitKind
from marketplace.registry.queries import counties
from marketplace.registry.validators import Checked
from marketplace.web.locale import label

REQUIRED = InputRequired(_l("请填写这一项"))
OFF = {"autocomplete": "off"}


class UnitForm(FlaskForm):
    """A unit whose canteen buys."""

    name = StringField(_l("单位名称"), [REQUIRED, Length(max=120)], render_kw=OFF)
    kind = SelectField(_l("单位类型"), [REQUIRED])
    uscc = StringField(
        _l("统一社会信用代码"),
        [REQUIRED, Length(max=40), Checked(check_uscc)],
        render_kw={**OFF, "spellcheck": "false"},
    )
    county_code = SelectField(
        _l("县（市、区）"), [InputRequired(_l("请选择单位所在的县（市、区）"))], validate_choice=False
    )
    address = StringField(_l("收货地址"), [REQUIRED, Length(max=200)], render_kw=OFF)
    contact_name = StringField(_l("联系人"), [REQUIRED, Length(max=60)], render_kw=OFF)
    contact_phone = StringField(
        _l("联系电话"),
        [REQUIRED, Length(max=30), Checked(check_phone)],
        render_kw={**OFF, "inputmode": "tel"},
    )

    def offer(self, session: Session) -> None:
        """Fill the lists."""
        self.kind.choices = [SelectChoice(kind.value, label(kind)) for kind in UnitKind]
        places = [SelectChoice(place.code, place.full_name) for place in counties(session)]
        self.county_code.choices = [SelectChoice("", _("请选择县（市、区）")), *places]


class UnitSearchForm(FlaskForm):
    """Finding a unit."""

    class Meta:
        """A search changes nothing, so it carries no token."""

        csrf = False

    q = StringField(_l("单位名称或信用代码"), [Length(max=60)])
