"""What is typed about requests, offers, awards and supplies: mass in kilograms or jin, prices in yuan, percent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import get_locale, lazy_gettext as _l
from sqlalchemy.orm import Session
from wtforms import (
    DateField,
    DateTimeLocalField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional

from marketplace.catalog.models import Listing, Product
from marketplace.catalog.queries import category_tree
from marketplace.core.clock import SHANGHAI
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.quantity import format_kg, parse_decimal, parse_kg
from marketplace.linkage.fields import ScaledField, YuanField, parse_percent
from marketplace.linkage.models import Lot
from marketplace.ordering.forms import CheckoutForm
from marketplace.ordering.models import PaymentStart
from marketplace.ordering.terms import PaymentTerms
from marketplace.procurement.requests.facts import Wanted
from marketplace.procurement.requests.models import PurchaseRequest
from marketplace.registry.models import Cooperative
from marketplace.registry.queries import children_of, counties
from marketplace.web.forms import OnceForm
from marketplace.web.locale import label

REQUIRED = InputRequired(_l("请填写这一项"))
WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words
WHOLE = {"inputmode": "numeric", "autocomplete": "off"}
GRAMS_IN_CENTIJIN = 5  # jin are typed with two decimals at most
TOWNSHIP_DIGITS = 9


class PercentField(ScaledField):
    """Percent typed, basis points handed on."""

    parse = staticmethod(parse_percent)
    show = staticmethod(lambda rate_bp: f"{rate_bp // 100}.{rate_bp % 100:02d}".rstrip("0").rstrip("."))
    hint = _l("请填写百分数，最多两位小数，例如 8.5")


def read_mass(text: str, unit: str) -> int:
    """Grams of a mass typed in kilograms or in jin. Raises Refused for the field `mass`."""
    try:
        return parse_decimal(text, places=2) * GRAMS_IN_CENTIJIN if unit == "jin" else parse_kg(text)
    except ValueError:
        raise Refused("mass_form", N_("请填写数字，千克最多三位小数，斤最多两位小数"), field="mass") from None


class MassForm(OnceForm):
    """A form with a mass in kilograms or in jin."""

    mass = StringField(_l("数量"), [REQUIRED], render_kw={"inputmode": "decimal", "autocomplete": "off"})
    mass_unit = SelectField(
        _l("计量单位"), choices=[SelectChoice("kg", _l("千克")), SelectChoice("jin", _l("斤"))], default="kg"
    )

    @property
    def mass_g(self) -> int:
        """Grams. Raises Refused."""
        return read_mass(self.mass.data or "", self.mass_unit.data)


def category_choices(session: Session) -> list[SelectChoice]:
    """Every category under its parents, in the reader's language."""
    english = str(get_locale()) == "en"
    return [
        SelectChoice(one.code, "　" * one.path.count("/") + (one.name_en if english else one.name_zh))
        for one in category_tree(session)
    ]


class RequestForm(MassForm):
    """What a unit wants. The deadline is read as the time in China."""

    title = StringField(_l("需要什么"), [WORDS, Length(max=80)])
    category_code = SelectField(_l("商品类别"))
    specification = TextAreaField(_l("规格要求"), [WORDS, Length(max=500)])
    deliver_from = DateField(_l("最早交货"), [REQUIRED])
    deliver_until = DateField(_l("最晚交货"), [REQUIRED])
    county_code = SelectField(_l("优先产地"))
    ceiling = YuanField(_l("最高单价（每千克）"), [REQUIRED])
    min_linkage = PercentField(_l("归农户比例不低于"), [REQUIRED], default=0)
    min_households = IntegerField(_l("至少带动户数"), [Optional()], render_kw=WHOLE)
    deadline = DateTimeLocalField(
        _l("报价截止时间"), [REQUIRED], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
    )
    payment_days = IntegerField(
        _l("付款期限（天）"),
        [REQUIRED],
        render_kw=WHOLE,
    )
    payment_start = SelectField(_l("从哪天起算"))

    def offer(self, session: Session) -> None:
        """Fill the choices."""
        self.category_code.choices = category_choices(session)
        self.county_code.choices = [
            SelectChoice("", _l("不限")),
            *(SelectChoice(county.code, county.full_name) for county in counties(session)),
        ]
        self.payment_start.choices = [SelectChoice(start.value, label(start)) for start in PaymentStart]

    def wanted(self, policy: PaymentTerms) -> Wanted:
        """What was typed, as the rules take it; the late rate and its basis are those of the `policy` in force.

        Raises Refused for a mass that cannot be read.
        """
        typed: datetime = self.deadline.data
        return Wanted(
            title=self.title.data or "",
            category_code=self.category_code.data,
            specification=self.specification.data or "",
            mass_g=self.mass_g,
            deliver_from=self.deliver_from.data,
            deliver_until=self.deliver_until.data,
            county_code=self.county_code.data or None,
            ceiling_fen_per_kg=self.ceiling.data or 0,
            min_linkage_bp=self.min_linkage.data or 0,
            min_households=self.min_households.data,
            deadline_at=typed.replace(tzinfo=SHANGHAI),
            terms=PaymentTerms(
                self.payment_days.data or 0,
                PaymentStart(self.payment_start.data),
                policy.late_rate_bp,
                policy.basis,
                policy.cap_days,
            ),
        )


def typed_of(request: PurchaseRequest) -> dict[str, Any]:
    """What the form shows for a request that is changed, or written again."""
    current = request.current
    return {
        "title": current.title,
        "category_code": current.category_code,
        "specification": current.specification,
        "mass": format_kg(current.mass_g).replace(",", ""),
        "mass_unit": "kg",
        "deliver_from": current.deliver_from,
        "deliver_until": current.deliver_until,
        "county_code": current.county_code or "",
        "ceiling": current.ceiling_fen_per_kg,
        "min_linkage": current.min_linkage_bp,
        "min_households": current.min_households,
        "deadline": current.deadline_at.astimezone(SHANGHAI),
        "payment_days": current.payment_days,
        "payment_start": current.payment_start.value,
    }


class OfferForm(OnceForm):
    """What a cooperative offers."""

    listing = SelectField(_l("用哪个商品报价"), [InputRequired(_l("请选择一个商品"))])
    units = IntegerField(_l("数量"), [REQUIRED, NumberRange(min=1)], render_kw=WHOLE)
    unit_price = YuanField(_l("单价（每件）"), [REQUIRED])
    deliver_on = DateField(_l("交货日期"), [REQUIRED])
    note = StringField(_l("说明"), [Length(max=300)])

    def offer(self, listings: list[Listing]) -> None:
        """Offer the cooperative's own listings."""
        self.listing.choices = [
            SelectChoice(one.public_no, f"{one.product.name} · {one.product.specification}")
            for one in listings
        ]


class AwardForm(CheckoutForm):
    """Where the goods go, and why this offer when another is cheaper."""

    reason = TextAreaField(_l("选择这家的理由"), [Length(max=300)])


class AheadAwardForm(OnceForm):
    """The deposit on goods that are not there yet, and why this offer when another is cheaper."""

    reason = TextAreaField(_l("选择这家的理由"), [Length(max=300)])
    deposit = PercentField(_l("订金比例"), [REQUIRED], default=2_000)


class SupplyForm(MassForm):
    """What a cooperative says will be ready."""

    commodity = StringField(_l("品名"), [WORDS, Length(max=60)])
    product = SelectField(_l("对应产品"), choices=[])
    category_code = SelectField(_l("商品类别"))
    lot = SelectField(_l("来自批次"), choices=[])
    village_code = SelectField(_l("出产的村"))
    ask = YuanField(_l("期望单价（每千克）"), [REQUIRED])
    ready_from = DateField(_l("最早可供"), [REQUIRED])
    ready_until = DateField(_l("最晚可供"), [REQUIRED])
    note = StringField(_l("说明"), [Length(max=300)])

    def offer(
        self, session: Session, cooperative: Cooperative, products: list[Product], lots: list[Lot]
    ) -> None:
        """Fill the choices: the cooperative's products and lots, the villages of its township."""
        self.category_code.choices = category_choices(session)
        self.product.choices = [
            SelectChoice("", _l("暂不指定")),
            *(SelectChoice(one.public_no, f"{one.name} · {one.specification}") for one in products),
        ]
        self.lot.choices = [
            SelectChoice("", _l("还没有建立批次")),
            *(SelectChoice(lot.public_no, f"{lot.lot_no} · {lot.commodity}") for lot in lots),
        ]
        villages = children_of(session, cooperative.village_code[:TOWNSHIP_DIGITS])
        self.village_code.choices = [SelectChoice(village.code, village.name) for village in villages]
        if self.village_code.data is None:
            self.village_code.data = cooperative.village_code
