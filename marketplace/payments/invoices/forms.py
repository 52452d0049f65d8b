"""What is typed about invoices: what stands on the paper, and why one goes back."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from marketplace.linkage.fields import YuanField
from marketplace.web.forms import OnceForm

WORDS = DataRequired(_l("请填写这一项"))  # spaces are no words
DIGITS = {"inputmode": "numeric", "autocomplete": "off"}


class InvoiceForm(OnceForm):
    """An invoice or a red letter."""

    number = StringField(_l("发票号码"), [WORDS, Length(max=40)], render_kw=DIGITS)
    code = StringField(_l("发票代码"), [Length(max=20)], render_kw=DIGITS)
    issued_on = DateField(_l("开票日期"), [InputRequired(_l("请选择开票日期"))])
    amount = YuanField(
        _l("价税合计"), [InputRequired(_l("请填写发票上的价税合计"))], render_kw={"inputmode": "decimal"}
    )
    file = FileField(_l("发票文件"))


class ReturnForm(FlaskForm):
    """Why an invoice goes back."""

    reason = TextAreaField(_l("退回的原因"), [WORDS, Length(max=300)])
