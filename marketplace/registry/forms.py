"""What people fill in about households and enrolments."""

from __future__ import annotations

from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, Optional

from marketplace.core.clock import today
from marketplace.registry.models import HouseholdStatusKind
from marketplace.registry.rules import MAX_REASON
from marketplace.web.locale import label

REQUIRED = InputRequired(_l("请填写这一项"))
OFF = {"autocomplete": "off"}


class HouseholdSearchForm(FlaskForm):
    """Finding households."""

    class Meta:
        """A search changes nothing, so it carries no token."""

        csrf = False

    q = StringField(_l("户主姓名或户编号"), [Length(max=60)], render_kw=OFF)
    place = StringField(_l("村或乡镇"), [Length(max=60)], render_kw=OFF)
    status = SelectField(_l("今天的状态"), validate_choice=False)

    def offer(self) -> None:
        """Fill the list."""
        kinds = [SelectChoice(kind.value, label(kind)) for kind in HouseholdStatusKind]
        self.status.choices = [SelectChoice("", _("全部")), *kinds]


class AsOfForm(FlaskForm):
    """A day, and the day as of which it was known."""

    class Meta:
        """Looking changes nothing, so it carries no token."""

        csrf = False

    on = DateField(_l("哪一天的状态"), [Optional()], default=today)
    known = DateField(_l("按哪一天知道的"), [Optional()], default=today)


class ReasonForm(FlaskForm):
    """A reason, kept with what is done."""

    reason = TextAreaField(_l("原因"), [REQUIRED, Length(max=MAX_REASON)])


class Reasons:
    """The reason forms of a page that asks for several: all fresh but the one that was sent, `asked`."""

    def __init__(self, asked: str = "", sent: ReasonForm | None = None) -> None:
        self._asked, self._sent = asked, sent

    def of(self, what: str) -> ReasonForm:
        """The form for `what`, with an id of its own on the page."""
        form = self._sent if self._sent and what == self._asked else ReasonForm(formdata=None)
        form.reason.id = f"reason-{what}"
        return form


class StatusForm(ReasonForm):
    """A statement about a household's status."""

    status = SelectField(_l("状态"), [REQUIRED])
    valid_from = DateField(_l("从哪一天起"), [REQUIRED])
    valid_to = DateField(_l("到哪一天止（不含当天）"), [Optional()])

    def offer(self) -> None:
        """Fill the list."""
        kinds = [SelectChoice(kind.value, label(kind)) for kind in HouseholdStatusKind]
        self.status.choices = [SelectChoice("", _("请选择")), *kinds]


class ProposalForm(FlaskForm):
    """A registered household the cooperative wants to take in."""

    registry_no = StringField(
        _l("户编号"), [REQUIRED, Length(max=20)], render_kw={**OFF, "inputmode": "numeric"}
    )
    head_name = StringField(_l("户主姓名"), [REQUIRED, Length(max=60)], render_kw=OFF)
    enrolled_on = DateField(_l("加入日期"), [REQUIRED], default=today)
