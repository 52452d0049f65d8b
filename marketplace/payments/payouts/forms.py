"""What people fill in about payouts: what a batch holds, the bank's answer, and household accounts."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import DateField, HiddenField, SelectField, StringField, ValidationError
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from marketplace.core.clock import today
from marketplace.core.errors import Refused
from marketplace.linkage.fields import YuanField
from marketplace.payments.payouts.account_numbers import check_account_number
from marketplace.payments.payouts.files import shipped_layouts
from marketplace.payments.payouts.rules import DEFAULT_MINIMUM_FEN
from marketplace.web.errors import explain
from marketplace.web.forms import OnceForm
from marketplace.web.locale import current_locale

REQUIRED = InputRequired(_l("请填写这一项"))
OFF = {"autocomplete": "off"}


class PlanForm(FlaskForm):
    """How much is due at least, and up to which day: looking changes nothing."""

    class Meta:
        """A look carries no token."""

        csrf = False

    minimum = YuanField(
        _l("起发金额"), [REQUIRED], default=DEFAULT_MINIMUM_FEN, render_kw={"inputmode": "decimal"}
    )
    up_to_on = DateField(_l("截止到哪一天的入账"), [REQUIRED], default=today)
    layout = SelectField(_l("银行文件格式"), [REQUIRED])

    def offer(self) -> None:
        """Fill the list."""
        self.layout.choices = layout_choices()


class PrepareForm(OnceForm):
    """The batch that was looked at; it counts once."""

    minimum = HiddenField()
    up_to_on = HiddenField()
    layout = HiddenField()


def layout_choices() -> list[SelectChoice]:
    """The shipped layouts in the reader's language."""
    return [SelectChoice(code, layout_name(layout)) for code, layout in shipped_layouts().items()]


def layout_name(layout: dict[str, Any]) -> str:
    """What a layout is called in the reader's language."""
    name: str = layout["name_en" if current_locale() == "en" else "name_zh"]
    return name


class ResultForm(FlaskForm):
    """The bank's result file."""

    file = FileField(_l("银行回盘文件"), [FileRequired(_l("请选择银行返回的结果文件"))])


class AccountSheetForm(FlaskForm):
    """A sheet of household accounts."""

    file = FileField(_l("收款账号表"), [FileRequired(_l("请选择按模板填写的表格"))])


class AccountForm(FlaskForm):
    """The account one household is paid to."""

    account_number = StringField(
        _l("银行账号"), [REQUIRED, Length(max=40)], render_kw={**OFF, "inputmode": "numeric"}
    )
    holder_name = StringField(_l("开户人"), [REQUIRED, Length(max=40)], render_kw=OFF)
    bank_name = StringField(_l("开户银行"), [REQUIRED, Length(max=40)], render_kw=OFF)
    valid_from = DateField(_l("从哪一天起用"), [REQUIRED], default=today)

    def validate_account_number(self, field: StringField) -> None:
        """Show what is wrong with the number beside it, with everything else that is wrong."""
        try:
            check_account_number(field.data or "")
        except Refused as refusal:
            raise ValidationError(explain(refusal)) from refusal
