"""What is typed to issue a purchase certificate."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import DateField, RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from marketplace.ordering.models import OrderKind
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
