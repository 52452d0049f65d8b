"""What is typed about a correction: the event, and the decision of the second person."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, DecimalField, RadioField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional

from marketplace.payments.corrections.models import CorrectionKind
from marketplace.registry.places.forms import PlaceForm

WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words


class ProposalForm(PlaceForm):
    """What became of a household, and since when; the place is where one that moved lives now."""

    household_no = StringField(_l("户编号"), [WORDS, Length(max=16)], render_kw={"autocomplete": "off"})
    kind = RadioField(_l("更正事由"), default=CorrectionKind.INELIGIBLE.value)
    from_on = DateField(_l("从哪一天起"), [InputRequired(_l("请填写日期"))])
    other_no = StringField(
        _l("另一户的户编号"), [Optional(), Length(max=16)], render_kw={"autocomplete": "off"}
    )
    share = DecimalField(
        _l("分给新户的比例"),
        [Optional(), NumberRange(0, 100, _l("请填写 0 到 100 之间的百分数"))],
        places=2,
        render_kw={"inputmode": "decimal"},
    )
    reason = TextAreaField(_l("更正依据"), [WORDS, Length(max=300)])


class AgreeForm(FlaskForm):
    """A word of the second person, if any."""

    note = StringField(_l("复核意见"), [Length(max=300)])


class DeclineForm(FlaskForm):
    """Why the second person does not agree."""

    reason = StringField(_l("不同意的理由"), [WORDS, Length(max=300)])
