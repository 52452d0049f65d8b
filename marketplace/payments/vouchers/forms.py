"""What is typed about vouchers: a batch, and a code at the counter."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange

from marketplace.catalog.models import Listing
from marketplace.linkage.fields import YuanField
from marketplace.ordering.forms import REQUIRED, WORDS
from marketplace.payments.vouchers.models import MOST_VOUCHERS
from marketplace.registry.models import Cooperative
from marketplace.web.forms import OnceForm


class BatchForm(OnceForm):
    """How many vouchers of which cooperative."""

    cooperative = SelectField(_l("哪家合作社的券"), [InputRequired(_l("请选择一家合作社"))])
    count = IntegerField(
        _l("张数"), [REQUIRED, NumberRange(1, MOST_VOUCHERS, _l("张数须是 1 到 500 的整数"))]
    )
    face = YuanField(_l("每张面值"), [REQUIRED])
    valid_until = DateField(_l("有效期至"), [REQUIRED])

    def offer(self, cooperatives: list[Cooperative]) -> None:
        """Offer the cooperatives that may sell."""
        self.cooperative.choices = [SelectChoice(one.public_no, one.name) for one in cooperatives]


class SpendForm(FlaskForm):
    """The codes that pay an order."""

    codes = TextAreaField(
        _l("券码"),
        [WORDS, Length(max=1000)],
        render_kw={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"},
    )

    @property
    def lines(self) -> list[str]:
        """The codes as they were typed, one a line."""
        return (self.codes.data or "").splitlines()


CODE_INPUT = {"autocomplete": "off", "autocapitalize": "characters", "data-from-address": "true"}


class RedeemForm(FlaskForm):
    """The code of one voucher; a page that a QR code opened has it in its address."""

    code = StringField(_l("券码"), [WORDS, Length(max=40)], render_kw=CODE_INPUT)


class CounterForm(FlaskForm):
    """A code, and what is picked up for it."""

    code = StringField(_l("券码"), [WORDS, Length(max=40)], render_kw=CODE_INPUT)
    listing = SelectField(_l("提什么"), [InputRequired(_l("请选择一个商品"))])
    quantity = IntegerField(
        _l("数量"),
        [REQUIRED, NumberRange(1, 100_000, _l("数量须是 1 到 100000 的整数"))],
        default=1,
        render_kw={"min": 1, "inputmode": "numeric"},
    )

    def offer(self, listings: list[Listing]) -> None:
        """Offer what the cooperative sells."""
        self.listing.choices = [
            SelectChoice(one.public_no, f"{one.product.name} · {one.product.specification}")
            for one in listings
        ]
