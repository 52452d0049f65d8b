"""Terms of employment, and a day's attendance, as people type them."""

from __future__ import annotations

from datetime import time
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    DateField,
    FieldList,
    FormField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    SubmitField,
    TimeField,
)
from wtforms.validators import InputRequired, Length, Optional

from marketplace.core.clock import today
from marketplace.linkage.fields import YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, AgreementForm
from marketplace.linkage.mechanisms.employment.mechanism import HOUR, MOST_KINDS
from marketplace.linkage.mechanisms.employment.models import DAY_MINUTES
from marketplace.web.forms import Row

ROWS = 2
DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}


class PieceForm(Row):
    """The wage of one kind of work; an empty row counts for nothing."""

    kind = StringField(_l("活计名称"), [Length(max=40)], render_kw={"autocomplete": "off"})
    rate_fen = YuanField(_l("每件单价"), render_kw=DECIMAL)


class EmploymentForm(AgreementForm):
    """Who of a household may work, and for what wage."""

    persons = SelectMultipleField(_l("务工的家庭成员"), validate_choice=False)
    rate_fen_per_hour = YuanField(_l("时薪"), [Optional()], render_kw=DECIMAL)
    piece_rates = FieldList(
        FormField(PieceForm), label=_l("计件单价"), min_entries=ROWS, max_entries=MOST_KINDS
    )
    more_kinds = SubmitField(_l("再加一种活计"))
    payment_days = IntegerField(
        _l("工资兑付期限"), [InputRequired(_l("请填写天数"))], default=30, render_kw={"inputmode": "numeric"}
    )

    def terms(self) -> dict[str, Any]:
        rows = [{"kind": row.kind.data, "rate_fen": row.rate_fen.data} for row in self.piece_rates]
        return {
            "persons": self.persons.data or [],
            "rate_fen_per_hour": self.rate_fen_per_hour.data,
            "piece_rates": [row for row in rows if row["kind"] or row["rate_fen"] is not None],
            "payment_days": self.payment_days.data,
        }

    def grow(self) -> bool:
        if not self.more_kinds.data:
            return False
        if len(self.piece_rates) < MOST_KINDS:
            self.piece_rates.append_entry()
        return True


class DayForm(FlaskForm):
    """What is the same for everybody on a day's sheet; the people are lines of their own."""

    worked_on = DateField(_l("哪一天"), [DAY], default=today)
    lot = SelectField(_l("为哪批货干活"))
    starts = TimeField(_l("上工"), [Optional()])
    ends = TimeField(_l("收工"), [Optional()])
    file = FileField(_l("考勤表照片"), render_kw=DOCUMENTS)

    @property
    def starts_minute(self) -> int | None:
        """When work began, in minutes after midnight."""
        return _minute(self.starts.data)

    @property
    def ends_minute(self) -> int | None:
        """When work ended; midnight is the end of the day."""
        return _minute(self.ends.data) or (DAY_MINUTES if self.ends.data is not None else None)


def _minute(at: time | None) -> int | None:
    return None if at is None else at.hour * HOUR + at.minute
