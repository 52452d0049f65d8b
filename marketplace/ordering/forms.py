"""What a buyer types to order: quantities, where it goes, and why something is called off."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, IntegerField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange

from marketplace.ordering.addresses.forms import RecipientFields
from marketplace.ordering.wishes import MAX_QUANTITY
from marketplace.web.forms import OnceForm

REQUIRED = InputRequired(_l("请填写这一项"))
WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words


class QuantityForm(FlaskForm):
    """How many units."""

    quantity = IntegerField(
        _l("数量"), [REQUIRED, NumberRange(0, MAX_QUANTITY, _l("数量须是 1 到 100000 的整数"))], default=1
    )


class CheckoutForm(OnceForm, RecipientFields):
    """Where the goods go. Counts once, however often it is sent."""

    note = TextAreaField(_l("备注"), [Length(max=300)])
    agrees = BooleanField(_l("我已看过变化，按现在的价格和条款购买"))
    shown = HiddenField()  # what the page showed: number:version:quantity of each listing, between spaces


class ReasonForm(FlaskForm):
    """Why an order is called off, rejected or cannot be delivered."""

    reason = StringField(_l("原因"), [WORDS, Length(max=300)])


class ShipForm(FlaskForm):
    """Who carries the goods."""

    carrier = StringField(_l("承运方"), [WORDS, Length(max=40)])
    waybill_no = StringField(_l("运单号"), [Length(max=40)])
