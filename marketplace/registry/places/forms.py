"""Three lists to choose a place from. Which levels are needed is for the form that inherits them, and its rule."""

from __future__ import annotations

from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import SelectField
from wtforms.fields.choices import SelectChoice

from marketplace.registry.models import Region
from marketplace.registry.queries import children_of, counties


class PlaceForm(FlaskForm):
    """County, township and village. The rule decides whether the place exists, so a stale list never blocks."""

    county_code = SelectField(_l("县（市、区）"), validate_choice=False)
    township_code = SelectField(_l("乡镇（街道）"), validate_choice=False)
    village_code = SelectField(_l("村（社区）"), validate_choice=False)

    def offer(self, session: Session) -> None:
        """Fill the lists for what is chosen; a choice that lies outside the one above it is dropped."""
        county, township = self.county_code.data or "", self.township_code.data or ""
        if not county or not township.startswith(county):
            self.township_code.data = township = ""
        if not township or not (self.village_code.data or "").startswith(township):
            self.village_code.data = ""
        self.county_code.choices = _choices(counties(session), _("请选择县（市、区）"), in_full=True)
        self.township_code.choices = _choices(
            children_of(session, county) if county else [], _("请选择乡镇（街道）")
        )
        self.village_code.choices = _choices(
            children_of(session, township) if township else [], _("请选择村（社区）")
        )

    def place(self, village_code: str) -> None:
        """Choose the place of a village."""
        self.county_code.data, self.township_code.data = village_code[:6], village_code[:9]
        self.village_code.data = village_code


class PlaceChoice(PlaceForm):
    """The lists alone, read from an address."""

    class Meta:
        """Looking at lists changes nothing, so it carries no token."""

        csrf = False


def _choices(places: list[Region], first: str, *, in_full: bool = False) -> list[SelectChoice]:
    return [
        SelectChoice("", first),
        *(SelectChoice(place.code, place.full_name if in_full else place.name) for place in places),
    ]
