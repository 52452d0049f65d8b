"""What is typed about refunds: units and a reason, a decision, the serial number of a transfer."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import IntegerField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from marketplace.payments.refunds.queries import Refundable
from marketplace.procurement.receiving.forms import PICTURES
from marketplace.web.forms import OnceForm

WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words


class RefundForm(OnceForm):
    """Why money is asked back; `form_for` adds a number for each line."""

    reason = TextAreaField(_l("退款原因"), [WORDS, Length(max=300)])
    photos = MultipleFileField(_l("照片"), render_kw=PICTURES)


def form_for(lines: Sequence[Refundable], *, whole: bool) -> RefundForm:
    """The form of a request for these lines, one number each under the line's public number.

    `whole`: the goods were not shipped yet, so everything is asked back.
    """
    fields = {
        one.line.public_no: IntegerField(
            one.line.title,
            [Optional(), NumberRange(0, one.left, _l("数量须在 0 到 %(max)s 之间"))],
            default=one.left if whole else 0,
            render_kw={"inputmode": "numeric", "min": 0, "max": one.left, "autocomplete": "off"},
        )
        for one in lines
        if one.left
    }
    form: RefundForm = type("LinesForm", (RefundForm,), fields)()
    return form


class AgreeForm(FlaskForm):
    """A word to the buyer, if any."""

    note = StringField(_l("给买方的说明"), [Length(max=300)])


class DeclineForm(FlaskForm):
    """Why the cooperative does not agree."""

    reason = StringField(_l("不同意的理由"), [WORDS, Length(max=300)])


class SerialForm(FlaskForm):
    """How the bank calls the transfer."""

    serial_no = StringField(_l("银行流水号"), [WORDS, Length(max=60)], render_kw={"autocomplete": "off"})
