"""What the operator fills in about a government body."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from marketplace.registry.places.forms import PlaceForm


class OfficeForm(PlaceForm):
    """A body and its place: the province when nothing is chosen, else the last level chosen."""

    name = StringField(
        _l("单位名称"),
        [InputRequired(_l("请填写这一项")), Length(max=120)],
        render_kw={"autocomplete": "off"},
    )

    def region_code(self) -> str:
        """The code of the place chosen."""
        return self.village_code.data or self.township_code.data or self.county_code.data or "36"


class OfficeSearchForm(FlaskForm):
    """Finding a body."""

    class Meta:
        """A search changes nothing, so it carries no token."""

        csrf = False

    q = StringField(_l("单位名称或地方"), [Length(max=60)])
