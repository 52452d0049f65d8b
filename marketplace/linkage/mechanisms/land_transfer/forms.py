"""Terms of a land transfer, and the rent of a parcel, as people type them."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    DateField,
    FieldList,
    FormField,
    IntegerField,
    SelectChoice,
    SelectField,
    StringField,
    SubmitField,
)
from wtforms.validators import InputRequired, Length, Optional

from marketplace.linkage.fields import MuField, YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, REQUIRED, AgreementForm
from marketplace.linkage.mechanisms.land_transfer.terms import BASES, MOST_PARCELS, MOST_STEPS
from marketplace.web.forms import Row

ROWS = 2


class KeptDayField(DateField):
    """A day that the terms keep as text."""

    def process_data(self, value: Any) -> None:
        """Take a day or its ISO form."""
        self.data = date.fromisoformat(value) if isinstance(value, str) else value


class ParcelForm(Row):
    """One parcel; an empty row counts for nothing."""

    parcel_no = StringField(
        _l("地块代码"), [Length(max=40)], render_kw={"inputmode": "numeric", "autocomplete": "off"}
    )
    area_cmu = MuField(_l("面积"), render_kw={"inputmode": "decimal", "autocomplete": "off"})


class StepForm(Row):
    """A rent that holds from a day on; an empty row counts for nothing."""

    from_on = KeptDayField(_l("从哪天起"), [Optional()])
    rate_fen_per_mu = YuanField(_l("年租金"), render_kw={"inputmode": "decimal"})


class LeaseForm(AgreementForm):
    """A land transfer of some parcels."""

    right_certificate_no = StringField(_l("土地承包经营权证号"), [REQUIRED, Length(max=40)])
    parcels = FieldList(FormField(ParcelForm), label=_l("地块"), min_entries=ROWS, max_entries=MOST_PARCELS)
    more_parcels = SubmitField(_l("再加一块地"))
    rate_fen_per_mu = YuanField(_l("年租金"), render_kw={"inputmode": "decimal"})
    steps = FieldList(FormField(StepForm), label=_l("租金调整"), min_entries=1, max_entries=MOST_STEPS)
    more_steps = SubmitField(_l("再加一次调整"))
    jin_per_mu = IntegerField(_l("每亩年租折稻谷"), [Optional()], render_kw={"inputmode": "numeric"})
    days_in_year = SelectField(
        _l("一年按"),
        coerce=int,
        choices=[SelectChoice(days, _l("%(days)s 天", days=days)) for days in BASES],
        default=365,
    )

    @property
    def has_more(self) -> bool:
        """Whether steps or grain are filled in, or wrong."""
        filled = any(row.from_on.data or row.rate_fen_per_mu.data for row in self.steps)
        wrong = self.steps.errors or self.jin_per_mu.errors or len(self.steps) > 1
        return bool(filled or wrong or self.jin_per_mu.data)

    def terms(self) -> dict[str, Any]:
        steps = [
            {"from_on": row.from_on.data, "rate_fen_per_mu": row.rate_fen_per_mu.data} for row in self.steps
        ]
        rows = [{"parcel_no": row.parcel_no.data, "area_cmu": row.area_cmu.data} for row in self.parcels]
        return {
            "right_certificate_no": self.right_certificate_no.data,
            "parcels": [row for row in rows if row["parcel_no"] or row["area_cmu"] is not None],
            "rate_fen_per_mu": self.rate_fen_per_mu.data,
            "steps": [step for step in steps if any(value is not None for value in step.values())],
            "jin_per_mu": self.jin_per_mu.data,
            "days_in_year": self.days_in_year.data,
        }

    def grow(self) -> bool:
        for rows, button, most in (
            (self.parcels, self.more_parcels, MOST_PARCELS),
            (self.steps, self.more_steps, MOST_STEPS),
        ):
            if button.data:
                if len(rows) < most:
                    rows.append_entry()
                return True
        return False


class RentForm(FlaskForm):
    """The rent of one parcel for some days."""

    parcel_no = SelectField(_l("地块"), [REQUIRED])
    starts_on = DateField(_l("第一天"), [DAY])
    ends_on = DateField(_l("最后一天（含当天）"), [DAY])
    file = FileField(_l("付款凭据或收条"), render_kw=DOCUMENTS)


class GrainPriceForm(FlaskForm):
    """The price of a place and year, and where it is written."""

    region_code = SelectField(_l("地区"), [REQUIRED])
    year = IntegerField(_l("年份"), [InputRequired(_l("请填写年份"))], render_kw={"inputmode": "numeric"})
    fen_per_kg = YuanField(_l("稻谷价格"), [REQUIRED], render_kw={"inputmode": "decimal"})
    source = StringField(_l("价格来源"), [REQUIRED, Length(max=200)])
