"""What a cooperative types of its freight: one row a zone."""

from __future__ import annotations

from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from wtforms import FieldList, FormField, IntegerField, SelectField
from wtforms.validators import InputRequired, NumberRange, Optional

from marketplace.linkage.fields import YuanField
from marketplace.ordering.freight.models import FreightSheet
from marketplace.ordering.freight.rules import MOST_DAYS, Rate
from marketplace.registry.models import Region, RegionLevel
from marketplace.web.forms import Row

ELSEWHERE = "elsewhere"
REQUIRED = InputRequired(_l("请填写这一项"))
DAYS = NumberRange(1, MOST_DAYS, _l("送达天数须在 1 到 60 天之间"))
MONEY = {"inputmode": "decimal", "autocomplete": "off"}
NUMBER = {"inputmode": "numeric", "autocomplete": "off"}
FIRST_ROWS = (("36", 800, 200, 2, 4), (ELSEWHERE, 1_200, 500, 3, 7))
SPARE = 1


class RateForm(Row):
    """A zone with what it costs; a row without a zone is passed over."""

    zone = SelectField(_l("送货地区"), validate_choice=False)
    first = YuanField(_l("首重 1 千克"), [Optional()], render_kw=MONEY)
    further = YuanField(_l("续重每千克"), [Optional()], render_kw=MONEY)
    days_from = IntegerField(_l("最快几天"), [Optional(), DAYS], render_kw=NUMBER)
    days_to = IntegerField(_l("最慢几天"), [Optional(), DAYS], render_kw=NUMBER)

    def validate(self, extra_validators: object = None) -> bool:
        """A row with a zone needs all of it."""
        whole = super().validate()
        if self.zone.data:
            for field in (self.first, self.further, self.days_from, self.days_to):
                if field.data is None and not field.errors:
                    field.errors = [_("请填写这一项")]
                    whole = False
        return whole


class FreightForm(FlaskForm):
    """A sheet."""

    free_from = YuanField(_l("满多少元包邮"), [Optional()], render_kw=MONEY)
    rates = FieldList(FormField(RateForm), min_entries=0, max_entries=41)

    def offer(self, session: Session) -> None:
        """Fill the lists of zones."""
        choices = zone_choices(session)
        for entry in self.rates:
            entry.form.zone.choices = choices

    def show(self, sheet: FreightSheet | None) -> None:
        """The rows of a sheet, or two to begin with; then one to fill."""
        rows = (
            [
                (rate.zone_code or ELSEWHERE, rate.first_fen, rate.further_fen, rate.days_from, rate.days_to)
                for rate in sheet.rates
            ]
            if sheet
            else list(FIRST_ROWS)
        )
        if sheet:
            self.free_from.data = sheet.free_from_fen
        names = ("zone", "first", "further", "days_from", "days_to")
        for row in rows:
            self.rates.append_entry(dict(zip(names, row, strict=True)))
        self.rates.append_entry({"zone": ""})

    @property
    def typed(self) -> list[Rate]:
        """The rows with a zone."""
        return [
            Rate(
                zone_code="" if row["zone"] == ELSEWHERE else row["zone"],
                first_fen=row["first"],
                further_fen=row["further"],
                days_from=row["days_from"],
                days_to=row["days_to"],
            )
            for row in self.rates.data
            if row["zone"]
        ]


def zone_choices(session: Session) -> list[tuple[str, str]]:
    """The province, the prefectures, the counties, and the rest of the country."""
    levels = (RegionLevel.PROVINCE, RegionLevel.PREFECTURE, RegionLevel.COUNTY)
    order = (func.length(Region.code), Region.code)
    places = session.scalars(select(Region).where(Region.level.in_(levels)).order_by(*order))
    return [
        ("", _("不填这一行")),
        (ELSEWHERE, _("其他地区")),
        *((place.code, place.full_name) for place in places),
    ]
