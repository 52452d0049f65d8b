"""What is typed about a group purchase: its plan, and what somebody wants of it."""

from __future__ import annotations

from datetime import datetime

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, IntegerField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange

from marketplace.core.clock import SHANGHAI
from marketplace.ordering.forms import REQUIRED, WORDS, CheckoutForm
from marketplace.ordering.rules import Delivery
from marketplace.ordering.wishes import MAX_QUANTITY
from marketplace.procurement.group_purchases.models import GroupPurchase, Paying
from marketplace.procurement.group_purchases.rules import MAX_GROUP_NOTE, Plan
from marketplace.web.locale import label


class GroupForm(CheckoutForm):
    """The plan of a group purchase. The deadline is read as the time in China."""

    name = StringField(_l("拼单名称"), [WORDS, Length(max=60)])
    deadline = DateTimeLocalField(_l("截止时间"), [REQUIRED], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
    paying = RadioField(_l("谁付款"))
    note = StringField(_l("给合作社的备注"), [Length(max=MAX_GROUP_NOTE)])

    def offer(self, ways: list[Paying]) -> None:
        """Offer the ways of paying that are the actor's to choose."""
        self.paying.choices = [SelectChoice(way.value, label(way)) for way in ways]

    @property
    def plan(self) -> Plan:
        """What was typed, as the rules take it."""
        typed: datetime = self.deadline.data
        return Plan(
            name=self.name.data or "",
            deadline_at=typed.replace(tzinfo=SHANGHAI),
            paying=Paying(self.paying.data),
            delivery=Delivery(
                self.recipient_name.data or "",
                self.recipient_phone.data or "",
                self.address.data or "",
                self.note.data or "",
            ),
        )


class ShareForm(FlaskForm):
    """So many units of a listing, for whom, in which group."""

    group = SelectField(_l("放进哪个拼单"), [InputRequired(_l("请选择一个拼单"))])
    quantity = IntegerField(
        _l("数量"),
        [REQUIRED, NumberRange(1, MAX_QUANTITY, _l("数量须是 1 到 100000 的整数"))],
        default=1,
        render_kw={"min": 1, "inputmode": "numeric"},
    )
    name = StringField(_l("分装时贴的姓名"), [WORDS, Length(max=60)])

    def offer(self, groups: list[GroupPurchase]) -> None:
        """Offer the groups one may still join."""
        self.group.choices = [SelectChoice(one.public_no, one.name) for one in groups]
