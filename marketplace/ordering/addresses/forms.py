"""What a person types of an address. The checkout asks the same."""

from __future__ import annotations

from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from wtforms import BooleanField, SelectField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, Regexp

from marketplace.ordering.addresses.rules import Place
from marketplace.registry.models import Region, RegionLevel

WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words
OUTSIDE = "outside"


class RecipientFields(FlaskForm):
    """Who receives, at which address."""

    recipient_name = StringField(_l("收货人"), [WORDS, Length(max=60)], render_kw={"autocomplete": "name"})
    recipient_phone = StringField(
        _l("联系电话"),
        [
            InputRequired(_l("请填写这一项")),
            Regexp(r"^[0-9+\- ]{7,20}$", message=_l("请填写 7 到 20 位的电话号码")),
        ],
        render_kw={"autocomplete": "tel", "inputmode": "tel"},
    )
    address = StringField(
        _l("收货地址"), [WORDS, Length(min=5, max=200)], render_kw={"autocomplete": "address-line1"}
    )


class PlaceFields(RecipientFields):
    """Who receives, in which county, at which address."""

    region = SelectField(_l("收货地区"), [DataRequired(_l("请选择收货地区"))], validate_choice=False)

    def offer_regions(self, session: Session) -> None:
        """Fill the list of regions."""
        self.region.choices = region_choices(session)

    @property
    def region_code(self) -> str | None:
        """The county chosen, None outside the province."""
        return None if self.region.data in {OUTSIDE, "", None} else self.region.data

    @property
    def place(self) -> Place:
        """What was typed."""
        return Place(
            recipient_name=self.recipient_name.data or "",
            recipient_phone=self.recipient_phone.data or "",
            address=self.address.data or "",
            region_code=self.region_code,
        )


class AddressForm(PlaceFields):
    """An address to keep."""

    is_default = BooleanField(_l("设为默认地址"))


def region_choices(session: Session) -> dict[str, list[tuple[str, str]]]:
    """The counties by prefecture, after nothing chosen and the rest of the country."""
    places = session.scalars(
        select(Region)
        .where(Region.level.in_((RegionLevel.PREFECTURE, RegionLevel.COUNTY)))
        .order_by(func.length(Region.code), Region.code)
    ).all()
    names = {place.code: place.name for place in places if place.level is RegionLevel.PREFECTURE}
    choices: dict[str, list[tuple[str, str]]] = {
        _("江西省以外"): [("", _("请选择")), (OUTSIDE, _("江西省以外"))],
        **{name: [] for name in names.values()},
    }
    for place in places:
        if place.level is RegionLevel.COUNTY:
            choices.setdefault(names.get(place.code[:4], ""), []).append((place.code, place.name))
    return {name: rows for name, rows in choices.items() if rows}
