"""What a buyer types to order: quantities, where it goes, and why something is called off."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, IntegerField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Regexp

from marketplace.ordering.wishes import MAX_QUANTITY
from marketplace.web.forms import OnceForm

REQUIRED = InputRequired(_l("请填写这一项"))
WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words


class QuantityForm(FlaskForm):
    """How many units."""

    quantity = IntegerField(
        _l("数量"), [REQUIRED, NumberRange(0, MAX_QUANTITY, _l("数量须是 1 到 100000 的整数"))], default=1
    )


class CheckoutForm(OnceForm):
    """Where the goods go. Counts once, however often it is sent."""

    recipient_name = StringField(_l("收货人"), [WORDS, Length(max=60)], render_kw={"autocomplete": "name"})
    recipient_phone = StringField(
        _l("联系电话"),
        [REQUIRED, Regexp(r"^[0-9+\- ]{7,20}$", message=_l("请填写 7 到 20 位的电话号码"))],
        render_kw={"autocomplete": "tel", "inputmode": "tel"},
    )
    address = StringField(
        _l("收货地址"), [WORDS, Length(min=5, max=200)], render_kw={"autocomplete": "street-address"}
    )
    note = TextAreaField(_l("备注"), [Length(max=300)])
    shown = HiddenField()  # what the page showed: number:version:quantity of each listing, between spaces


class ReasonForm(FlaskForm):
    """Why an order is called off, rejected or cannot be delivered."""

    reason = StringField(_l("原因"), [WORDS, Length(max=300)])


class ShipForm(FlaskForm):
    """Who carries the goods."""

    carrier = StringField(_l("承运方"), [WORDS, Length(max=40)])
    waybill_no = StringField(_l("运单号"), [Length(max=40)])
