"""What is noted at the ramp: weights, temperature, photos, and what is wrong with which units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import BooleanField, Field, HiddenField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import Length, NumberRange, Optional

from marketplace.core.ids import random_key
from marketplace.core.quantity import parse_decimal
from marketplace.linkage.fields import KgField, ScaledField
from marketplace.ordering.forms import ShipForm
from marketplace.procurement.receiving.goods import MOST_DAYS
from marketplace.procurement.receiving.models import Inspection, RejectReason
from marketplace.procurement.receiving.photos import Upload
from marketplace.procurement.receiving.queries import Delivered
from marketplace.procurement.receiving.rules import Arrival, Verdict
from marketplace.web.locale import label

PICTURES = {"accept": "image/jpeg,image/png,image/webp", "multiple": True}
AGAIN = "units-"
PAPERS = {"accept": "image/jpeg,image/png,image/webp,application/pdf", "multiple": True}


def parse_celsius(text: str) -> int:
    """Tenths of a degree of a temperature typed with at most one decimal, below zero with its sign."""
    typed = text.strip().replace("−", "-").rstrip("℃").strip()
    sign = -1 if typed.startswith("-") else 1
    return sign * parse_decimal(typed.removeprefix("-"), places=1)


class CelsiusField(ScaledField):
    """Degrees Celsius typed, tenths handed on."""

    parse = staticmethod(parse_celsius)
    show = staticmethod(lambda dc: f"{'-' if dc < 0 else ''}{abs(dc) // 10}.{abs(dc) % 10}")
    hint = _l("请填写温度，最多一位小数，例如 4.5 或 -18")


def uploads_of(field: MultipleFileField) -> list[Upload]:
    """The files chosen in a field."""
    return [Upload(one.read(), one.filename) for one in field.data or [] if getattr(one, "filename", "")]


class RampForm(FlaskForm):
    """A form that counts once when it carries the key of the page it was shown on; a single button carries none."""

    idempotency_key = HiddenField(validators=[Optional(), Length(min=16, max=64)], default=random_key)


class ReceiveForm(RampForm):
    """What arrived; `receive_form` adds a weight for each line."""

    temperature = CelsiusField(
        _l("到货温度"), [Optional()], render_kw={"inputmode": "decimal", "autocomplete": "off"}
    )
    remark = StringField(_l("备注"), [Length(max=300)])
    photos = MultipleFileField(_l("照片"), render_kw=PICTURES)

    def arrival(self, delivered: Sequence[Delivered]) -> Arrival:
        """What was noted."""
        weights = {one.line.public_no: self[f"mass-{one.line.public_no}"].data for one in delivered}
        return Arrival(
            weights={number: mass_g for number, mass_g in weights.items() if mass_g is not None},
            temperature_dc=self.temperature.data,
            remark=self.remark.data or "",
            photos=uploads_of(self.photos),
        )


def receive_form(delivered: Sequence[Delivered]) -> ReceiveForm:
    """The form for a delivery."""
    fields = {
        f"mass-{one.line.public_no}": KgField(
            one.line.title, [Optional()], render_kw={"inputmode": "decimal", "autocomplete": "off"}
        )
        for one in delivered
    }
    form: ReceiveForm = type("WeightsForm", (ReceiveForm,), fields)()
    return form


class InspectForm(RampForm):
    """What was found; `inspect_form` adds four fields for each line."""

    note = StringField(_l("验收说明"), [Length(max=300)])
    rejected = HiddenField()  # where a refusal stands that is about all lines

    def verdicts(self, delivered: Sequence[Delivered]) -> dict[str, Verdict]:
        """What was found of each line that was not left out."""
        found = {}
        for one in delivered:
            number = one.line.public_no
            code = self[f"reason-{number}"].data
            found[number] = Verdict(
                rejected=self[f"rejected-{number}"].data or 0,
                reason=RejectReason(code) if code else None,
                words=self[f"words-{number}"].data or "",
                photos=uploads_of(self[f"photos-{number}"]),
            )
        return found


def inspect_form(delivered: Sequence[Delivered]) -> InspectForm:
    """The form for a delivery, line by line."""
    reasons = [SelectChoice(reason.value, label(reason)) for reason in RejectReason]
    choices = [SelectChoice("", _l("请选择")), *reasons]
    fields: dict[str, Field] = {}
    for one in delivered:
        number, most = one.line.public_no, one.units
        fields |= {
            f"rejected-{number}": IntegerField(
                _l("拒收数量"),
                [Optional(), NumberRange(0, most, _l("数量须在 0 到 %(max)s 之间"))],
                render_kw={"inputmode": "numeric", "min": 0, "max": most, "autocomplete": "off"},
            ),
            f"reason-{number}": SelectField(_l("拒收原因"), choices=choices),
            f"words-{number}": StringField(_l("哪里不合格"), [Length(max=300)]),
            f"photos-{number}": MultipleFileField(_l("照片"), render_kw=PICTURES),
        }
    form: InspectForm = type("LinesForm", (InspectForm,), fields)()
    return form


class ReplaceForm(ShipForm):
    """How much of what was rejected is sent again, and by whom; `replace_form` adds a field for each line."""

    @property
    def units(self) -> dict[str, int]:
        """The units to send again, by line number."""
        return {
            field.name.removeprefix(AGAIN): field.data or 0 for field in self if field.name.startswith(AGAIN)
        }


def replace_form(inspection: Inspection, **options: Any) -> ReplaceForm:
    """The form that answers a rejection, line by line; first everything is sent again."""
    fields: dict[str, Field] = {
        AGAIN + line.line.public_no: IntegerField(
            _l("补发“%(title)s”", title=line.line.title),
            [Optional(), NumberRange(0, line.rejected_units, _l("数量须在 0 到 %(max)s 之间"))],
            default=line.rejected_units,
            render_kw={"inputmode": "numeric", "min": 0, "max": line.rejected_units, "autocomplete": "off"},
        )
        for line in inspection.lines
        if line.rejected_units
    }
    form: ReplaceForm = type("AgainForm", (ReplaceForm,), fields)(**options)
    return form


class PolicyForm(FlaskForm):
    """What a unit asks of its deliveries."""

    inspection_days = IntegerField(
        _l("验收期（工作日）"),
        [NumberRange(1, MOST_DAYS, _l("须在 1 到 15 个工作日之间"))],
        render_kw={"inputmode": "numeric", "min": 1, "max": MOST_DAYS},
    )
    needs_certificates = BooleanField(_l("每个批次都要有合格证才能发货"))


class StatementForm(RampForm):
    """What one side says, with photos or papers."""

    statement = TextAreaField(_l("情况说明"), [Length(max=1000)], render_kw={"required": True})
    files = MultipleFileField(_l("照片或文件"), render_kw=PAPERS)


class AnswerForm(FlaskForm):
    """Why a rejection ends the way it does."""

    reason = StringField(_l("理由"), [Length(max=300)])
