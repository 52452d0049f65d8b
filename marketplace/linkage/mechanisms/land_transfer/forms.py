"""Terms of a land transfer, and the rent of a parcel, as people type them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, FieldList, Form, FormField, SelectChoice, SelectField, StringField, SubmitField
from wtforms.validators import Length

from marketplace.linkage.fields import MuField, YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, REQUIRED, AgreementForm
from marketplace.linkage.mechanisms.land_transfer.mechanism import BASES, MOST_PARCELS

ROWS = 2


class ParcelForm(Form):
    """One parcel; an empty row counts for nothing."""

    parcel_no = StringField(
        _l("地块代码"), [Length(max=40)], render_kw={"inputmode": "numeric", "autocomplete": "off"}
    )
    area_cmu = MuField(_l("面积"), render_kw={"inputmode": "decimal", "autocomplete": "off"})


class LeaseForm(AgreementForm):
    """A land transfer of some parcels."""

    right_certificate_no = StringField(_l("土地承包经营权证号"), [REQUIRED, Length(max=40)])
    parcels = FieldList(FormField(ParcelForm), label=_l("地块"), min_entries=ROWS, max_entries=MOST_PARCELS)
    more_parcels = SubmitField(_l("再加一块地"))
    rate_fen_per_mu = YuanField(_l("年租金"), [REQUIRED], render_kw={"inputmode": "decimal"})
    days_in_year = SelectField(
        _l("一年按"),
        coerce=int,
        choices=[SelectChoice(days, _l("%(days)s 天", days=days)) for days in BASES],
        default=365,
    )

    def terms(self) -> dict[str, Any]:
        rows = [{"parcel_no": row.parcel_no.data, "area_cmu": row.area_cmu.data} for row in self.parcels]
        return {
            "right_certificate_no": self.right_certificate_no.data,
            "parcels": [row for row in rows if row["parcel_no"] or row["area_cmu"] is not None],
            "rate_fen_per_mu": self.rate_fen_per_mu.data,
            "days_in_year": self.days_in_year.data,
        }

    def grow(self) -> bool:
        if not self.more_parcels.data:
            return False
        if len(self.parcels) < MOST_PARCELS:
            self.parcels.append_entry()
        return True


class RentForm(FlaskForm):
    """The rent of one parcel for some days."""

    parcel_no = SelectField(_l("地块"), [REQUIRED])
    starts_on = DateField(_l("第一天"), [DAY])
    ends_on = DateField(_l("最后一天（含当天）"), [DAY])
    file = FileField(_l("付款凭据或收条"), render_kw=DOCUMENTS)
