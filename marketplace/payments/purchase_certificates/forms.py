"""What is typed to issue a purchase certificate, and to withdraw one."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from marketplace.ordering.models import OrderKind
from marketplace.payments.purchase_certificates.rules import MOST_REASON
from marketplace.web.forms import OnceForm

KINDS = [
    SelectChoice(OrderKind.CANTEEN.value, _l("食堂采购")),
    SelectChoice(OrderKind.UNION.value, _l("工会福利")),
]


class CertificateForm(OnceForm):
    """The days of a certificate, both included, and which purchases."""

    kind = RadioField(_l("采购类型"), [InputRequired(_l("请选择一项"))], choices=KINDS)
    since = DateField(_l("从"), [InputRequired(_l("请选择开始日期"))])
    until = DateField(_l("到"), [InputRequired(_l("请选择结束日期"))])


class WithdrawForm(FlaskForm):
    """Why a certificate no longer counts."""

    reason = StringField(_l("作废原因"), [InputRequired(_l("请写明作废的原因")), Length(max=MOST_REASON)])
