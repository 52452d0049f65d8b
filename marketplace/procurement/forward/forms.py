"""What is typed about orders before the harvest: units, prices in yuan a kilogram, a deposit in percent, a lot."""

from __future__ import annotations

from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange

from marketplace.core.quantity import format_kg
from marketplace.linkage.fields import YuanField
from marketplace.linkage.models import Lot
from marketplace.linkage.queries import free_g
from marketplace.ordering.forms import CheckoutForm
from marketplace.procurement.requests.forms import PercentField
from marketplace.web.forms import OnceForm

REQUIRED = InputRequired(_l("请填写这一项"))
WHOLE = {"inputmode": "numeric", "autocomplete": "off"}


class AheadForm(OnceForm):
    """What a unit orders before the harvest."""

    units = IntegerField(_l("数量"), [REQUIRED, NumberRange(min=1)], render_kw=WHOLE)
    price = YuanField(_l("最高价（每千克）"), [REQUIRED])
    floor = YuanField(_l("保底价（每千克）"), [REQUIRED])
    deposit = PercentField(_l("订金比例"), [REQUIRED], default=2_000)
    harvest_on = DateField(_l("预计采收日"), [REQUIRED])
    note = StringField(_l("备注"), [Length(max=300)])


class LotForm(FlaskForm):
    """Which lot is delivered."""

    lot = SelectField(_l("交货批次"), choices=[])

    def offer(self, lots: list[Lot]) -> None:
        """Offer the lots of the product, with what they have left."""
        self.lot.choices = [
            SelectChoice(
                lot.public_no,
                _("%(lot)s · 可交 %(kg)s 千克", lot=lot.lot_no, kg=format_kg(free_g(lot))),
            )
            for lot in lots
        ]


class DeliverForm(CheckoutForm):
    """How much is taken, when, and where it goes."""

    units = IntegerField(_l("数量"), [REQUIRED, NumberRange(min=1)], render_kw=WHOLE)
    deliver_on = DateField(_l("交货日期"), [REQUIRED])
