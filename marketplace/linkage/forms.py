"""What a cooperative types about agreements, lots and linkage periods; terms and evidence are each mechanism's own.

People type the last day of a span; rules take the day after it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional

from marketplace.core.clock import today
from marketplace.linkage.fields import PercentField

REQUIRED = InputRequired(_l("请填写这一项"))
DAY = InputRequired(_l("请填写日期"))
DOCUMENTS = {"accept": "application/pdf,image/jpeg,image/png"}


def day_after(last_day: date | None) -> date | None:
    """Where a span ends whose last day was typed; None stays None."""
    return None if last_day is None else last_day + timedelta(days=1)


class AgreementForm(FlaskForm):
    """What every agreement has; a mechanism adds its terms."""

    valid_from = DateField(_l("生效日期"), [DAY])
    last_day = DateField(_l("有效期至（含当天）"), [Optional()])
    file = FileField(_l("签字的协议扫描件"), render_kw=DOCUMENTS)

    @property
    def valid_to(self) -> date | None:
        """The first day the version no longer holds."""
        return day_after(self.last_day.data)

    def terms(self) -> dict[str, Any]:
        """The terms typed, as the mechanism's rules take them."""
        raise NotImplementedError

    def grow(self) -> bool:
        """Whether the button pressed only asked for more rows, which are now there."""
        return False


class EndForm(FlaskForm):
    """The last day of an agreement."""

    ended_on = DateField(_l("最后一天（含当天）"), [DAY], default=today)


class LotForm(FlaskForm):
    """Produce received together."""

    lot_no = StringField(_l("批次号"), [REQUIRED, Length(max=40)])
    commodity = StringField(_l("品种"), [REQUIRED, Length(max=60)], render_kw={"list": "commodities"})
    village_code = SelectField(_l("产地（村）"), [REQUIRED])
    harvested_on = DateField(_l("采收日期"), [DAY], default=today)
    yield_bp = PercentField(_l("出成率"), [REQUIRED], default=10_000, render_kw={"inputmode": "decimal"})


class PeriodForm(FlaskForm):
    """The first and last day of a linkage period."""

    starts_on = DateField(_l("第一天"), [DAY])
    ends_on = DateField(_l("最后一天（含当天）"), [DAY])
