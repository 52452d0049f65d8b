"""What an approver types: a note, a reason, the steps of the chain, a limit, a deputy."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    DateField,
    FieldList,
    FormField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.validators import DataRequired, InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from marketplace.identity.models import User
from marketplace.linkage.fields import YuanField
from marketplace.procurement.approvals.models import ApprovalChain
from marketplace.procurement.approvals.rules import MOST_STEPS, StepWanted
from marketplace.web.forms import RowForm

REQUIRED = InputRequired(_l("请填写这一项"))
WORDS = DataRequired(_l("请填写这一项"))


class DecisionForm(FlaskForm):
    """What the approver wants to say with an approval."""

    note = StringField(_l("意见"), [Length(max=300)])


class PeopleField(SelectMultipleField):
    """People as a list of boxes to tick."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class StepRow(RowForm):
    """One step; a row that names nobody and no amount is no step."""

    from_fen = YuanField(_l("从多少元起"), render_kw={"inputmode": "decimal", "autocomplete": "off"})
    approvers = PeopleField(_l("由谁审批"), validate_choice=False)


class ChainForm(FlaskForm):
    """The steps of a unit's chain in their order, and why."""

    rows = FieldList(FormField(StepRow), min_entries=MOST_STEPS, max_entries=MOST_STEPS)
    reason = StringField(_l("原因"), [WORDS, Length(max=300)])

    def offer(self, approvers: list[User]) -> None:
        """Fill the lists of people."""
        for row in self.rows:
            row.form.approvers.choices = [SelectChoice(one.public_no, one.display_name) for one in approvers]

    def wanted(self) -> list[StepWanted]:
        """The rows that were filled in, in their order; an amount that is missing counts from 0."""
        return [
            StepWanted(row.from_fen.data or 0, tuple(row.approvers.data or ()))
            for row in self.rows
            if row.approvers.data or row.from_fen.data is not None
        ]


def rows_of(chain: ApprovalChain | None) -> list[dict[str, object]]:
    """The rows a chain fills the form with."""
    steps = chain.steps if chain else []
    return [
        {"from_fen": step.from_fen, "approvers": [one.user.public_no for one in step.approvers]}
        for step in steps
    ]


class LimitForm(FlaskForm):
    """Up to how much somebody approves, and why."""

    limit = YuanField(_l("审批限额"), render_kw={"inputmode": "decimal", "autocomplete": "off"})
    reason = StringField(_l("原因"), [WORDS, Length(max=300)])


class DeputyForm(FlaskForm):
    """Who stands in, from which day to which, and why."""

    deputy = SelectField(_l("代办人"), validate_choice=False)
    from_on = DateField(_l("从哪一天"), [REQUIRED])
    until_on = DateField(_l("到哪一天"), [REQUIRED])
    reason = StringField(_l("原因"), [WORDS, Length(max=300)])

    def offer(self, colleagues: list[User]) -> None:
        """Fill the list of colleagues."""
        self.deputy.choices = [SelectChoice(one.public_no, one.display_name) for one in colleagues]
