"""What is typed for standing orders: the plan, one delivery, what is approved, what a cooperative can deliver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from marketplace.catalog.models import Listing
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan
from marketplace.ordering.forms import ReasonForm
from marketplace.ordering.rules import Delivery
from marketplace.procurement.standing.models import PriceRule, SpanKind
from marketplace.procurement.standing.plans import MAX_CUTOFF_DAYS, MAX_NAME, MAX_WEEKS, LineWish, Plan, Slot
from marketplace.procurement.standing.schedule import Schedule
from marketplace.web.forms import OnceForm

REQUIRED = InputRequired(_l("请填写这一项"))
WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words
WEEKDAY_CHOICES = [
    SelectChoice(0, _l("周一")),
    SelectChoice(1, _l("周二")),
    SelectChoice(2, _l("周三")),
    SelectChoice(3, _l("周四")),
    SelectChoice(4, _l("周五")),
    SelectChoice(5, _l("周六")),
    SelectChoice(6, _l("周日")),
]
Typed = Mapping[str, str]


def minutes(value: time | None) -> int:
    """The minute of the day of a time on the wall."""
    return value.hour * 60 + value.minute if value else 0


class WeekdayField(SelectMultipleField):
    """The days of a week, as boxes to tick."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class PlanForm(OnceForm):
    """A standing order: when, until when a delivery can be changed, and where to. Its lines are typed per listing."""

    name = StringField(_l("名称"), [WORDS, Length(max=MAX_NAME)])
    weekdays = WeekdayField(_l("每周送货的日子"), choices=WEEKDAY_CHOICES, coerce=int)
    every_weeks = IntegerField(_l("每几周一次"), [REQUIRED, NumberRange(1, MAX_WEEKS)], default=1)
    starts_on = DateField(_l("从"), [REQUIRED])
    ends_on = DateField(_l("到"), [REQUIRED])
    skips_public_holidays = BooleanField(_l("法定节假日不送"), default=True)
    slot_from = TimeField(_l("送货时段从"), [REQUIRED], default=time(8))
    slot_to = TimeField(_l("送货时段到"), [REQUIRED], default=time(10))
    cutoff_days = IntegerField(
        _l("提前几天截止"), [InputRequired(), NumberRange(0, MAX_CUTOFF_DAYS)], default=2
    )
    cutoff_time = TimeField(_l("截止时刻"), [REQUIRED], default=time(16))
    recipient_name = StringField(_l("收货人"), [WORDS, Length(max=60)])
    recipient_phone = StringField(
        _l("联系电话"), [REQUIRED, Regexp(r"^[0-9+\- ]{7,20}$", message=_l("请填写 7 到 20 位的电话号码"))]
    )
    address = StringField(_l("收货地址"), [WORDS, Length(min=5, max=200)])
    note = TextAreaField(_l("备注"), [Length(max=280)])

    def plan(self, lines: Sequence[LineWish]) -> Plan:
        """What was typed, as the rules read it."""
        return Plan(
            name=self.name.data or "",
            lines=lines,
            schedule=Schedule(
                frozenset(self.weekdays.data or ()),
                self.every_weeks.data or 1,
                self.starts_on.data,
                self.ends_on.data,
            ),
            slot=Slot(minutes(self.slot_from.data), minutes(self.slot_to.data)),
            cutoff_days=self.cutoff_days.data or 0,
            cutoff_min=minutes(self.cutoff_time.data),
            skips_public_holidays=bool(self.skips_public_holidays.data),
            delivery=Delivery(
                self.recipient_name.data or "",
                self.recipient_phone.data or "",
                self.address.data or "",
                self.note.data or "",
            ),
        )


class WindowForm(FlaskForm):
    """One delivery on another day or in another slot. Its units are typed per listing."""

    deliver_on = DateField(_l("送货日期"), [REQUIRED])
    slot_from = TimeField(_l("送货时段从"), [REQUIRED])
    slot_to = TimeField(_l("送货时段到"), [REQUIRED])
    reason = StringField(_l("原因"), [WORDS, Length(max=300)])


class AnswerForm(FlaskForm):
    """What to do about a held delivery."""

    accepts_prices = BooleanField(_l("接受今天的价格（只限这一次）"))
    reason = StringField(_l("说明"), [WORDS, Length(max=300)])


class LimitForm(FlaskForm):
    """Up to where deliveries need no further approval."""

    up_to = StringField(_l("合计不超过（元）"), [WORDS])
    up_to_windows = IntegerField(_l("次数不超过"), [REQUIRED, NumberRange(1, 1_000)])


def reason_for(act: str) -> ReasonForm:
    """The empty form that asks why. `act` names its field in the page, where other acts ask the same."""
    form = ReasonForm(formdata=None)
    form.reason.id = f"{act}-reason"
    return form


class SubstituteForm(FlaskForm):
    """Another of the cooperative's listings for one line of one delivery."""

    listing = SelectField(_l("缺货的商品"), validate_choice=False)
    substitute = SelectField(_l("替代品"), validate_choice=False)
    quantity = IntegerField(_l("数量"), [REQUIRED, NumberRange(1, 100_000)])
    unit_price = StringField(_l("替代品单价（元）"), [WORDS])
    reason = StringField(_l("原因"), [WORDS, Length(max=300)])


class SpanForm(FlaskForm):
    """A term or a holiday of the unit."""

    kind = SelectField(_l("类型"), choices=[SelectChoice(kind.value, _l(kind.label)) for kind in SpanKind])
    name = StringField(_l("名称"), [WORDS, Length(max=40)])
    starts_on = DateField(_l("从"), [REQUIRED])
    ends_on = DateField(_l("到"), [REQUIRED])


def read_lines(typed: Typed, listings: Sequence[Listing]) -> list[LineWish]:
    """The filled rows `line-<listing no>-quantity`, `-rule` and `-price`. Raises Refused naming the goods."""
    wishes = []
    for listing in listings:
        row, title = f"line-{listing.public_no}", listing.product.name
        quantity = typed.get(f"{row}-quantity", "").strip()
        if quantity in ("", "0"):
            continue
        wishes.append(
            LineWish(
                listing.public_no,
                _units(quantity, title),
                PriceRule.known(typed.get(f"{row}-rule", "")) or PriceRule.CEILING,
                read_price(typed.get(f"{row}-price", ""), title, "lines"),
            )
        )
    return wishes


def read_units(typed: Typed, prefix: str, listings: Sequence[Listing]) -> dict[int, int]:
    """Units by listing id, of the fields `<prefix>-<listing no>`; an empty one is none. Raises Refused."""
    return {
        listing.id: _units(
            typed.get(f"{prefix}-{listing.public_no}", "").strip() or "0", listing.product.name
        )
        for listing in listings
    }


def read_price(text: str, title: str, field: str) -> int:
    """Fen of a price in yuan. Raises Refused for `field`."""
    try:
        return parse_yuan(text)
    except ValueError:
        raise Refused(
            "price_form", N_("“%(title)s”的单价须是金额，最多两位小数"), field=field, title=title
        ) from None


def _units(text: str, title: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 7:
        raise Refused("units_form", N_("“%(title)s”的数量须是整数"), field="lines", title=title)
    return int(text)
