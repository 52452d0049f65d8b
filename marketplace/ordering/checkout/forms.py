"""What a person types at the checkout."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext as _, lazy_gettext as _l
from wtforms import BooleanField, HiddenField, RadioField
from wtforms.validators import Optional

from marketplace.ordering.addresses.forms import OUTSIDE, PlaceFields
from marketplace.ordering.addresses.models import SavedAddress
from marketplace.ordering.forms import CheckoutForm

ANOTHER = "new"


class PersonalCheckoutForm(CheckoutForm, PlaceFields):
    """Where a person's goods go: an address that was kept, or a new one."""

    saved = RadioField(_l("送到哪里"), [Optional()], validate_choice=False)
    keep = BooleanField(_l("存入我的地址"), default=True)
    shown_freight = HiddenField()  # what the page showed: cooperative id:fen of each freight, between spaces

    def choose(self, addresses: Sequence[SavedAddress]) -> None:
        """Offer these addresses; the one that is chosen stands for the fields, whatever was typed into them."""
        self.saved.choices = [
            *((one.public_no, f"{one.recipient_name} {one.recipient_phone}") for one in addresses),
            (ANOTHER, _("用新地址")),
        ]
        chosen = next((one for one in addresses if one.public_no == self.saved.data), None)
        if chosen is None:
            self.saved.data = ANOTHER
            return
        self._fill(
            chosen.recipient_name, chosen.recipient_phone, chosen.region_code or OUTSIDE, chosen.address
        )

    def _fill(self, name: str, phone: str, region: str, address: str) -> None:
        fields = (self.recipient_name, self.recipient_phone, self.region, self.address)
        for field, text in zip(fields, (name, phone, region, address), strict=True):
            field.data, field.raw_data = text, [text]

    @property
    def is_new(self) -> bool:
        """Whether the fields were typed, rather than an address chosen."""
        return self.saved.data == ANOTHER

    def clear_place(self) -> None:
        """Show empty fields beside a chosen address."""
        if not self.is_new:
            self._fill("", "", "", "")
