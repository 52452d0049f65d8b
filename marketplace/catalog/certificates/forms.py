"""What is typed about certificates: the application of each kind, fees and waivers, reasons. Yuan, mu and kilograms as
people write them."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, Form, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from marketplace.catalog.models import CertificateKind
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan
from marketplace.core.quantity import parse_kg, parse_mu

REQUIRED = InputRequired(_l("请填写这一项"))


class ChoiceForm(Form):
    """Which product, and which kind of certificate; sent by the address."""

    product = SelectField(_l("产品"))
    kind = SelectField(_l("证书类别"))


class ApplicationForm(FlaskForm):
    """A certificate of any kind; pages show the fields of the kind at hand."""

    number = StringField(_l("证书编号"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "off"})
    enterprise_no = StringField(_l("第二编号"), [Length(max=40)], render_kw={"autocomplete": "off"})
    issuer = StringField(_l("发证机构"), [Length(max=80)])
    issued_on = DateField(_l("发证日期"), [InputRequired(_l("请填写日期"))])
    expires_on = DateField(_l("到期日期"), [InputRequired(_l("请填写日期"))])
    holder = StringField(_l("登记证书持有人"), [Length(max=80)])
    area = StringField(_l("协议面积（亩）"), [Length(max=12)], render_kw={"inputmode": "decimal"})
    cap = StringField(_l("协议数量（千克）"), [Length(max=14)], render_kw={"inputmode": "decimal"})
    file = FileField(_l("证书扫描件"))


class FeeForm(FlaskForm):
    """What a certificate costs, and what is asked to be waived."""

    fee = StringField(_l("费用（元）"), [REQUIRED, Length(max=14)], render_kw={"inputmode": "decimal"})
    payee = StringField(_l("收费单位"), [REQUIRED, Length(max=80)])
    asked = StringField(_l("申请减免（元）"), [Length(max=14)], render_kw={"inputmode": "decimal"})
    basis = StringField(_l("减免依据"), [Length(max=200)])


class WaiverForm(FlaskForm):
    """What the county waives; nothing declines."""

    waived = StringField(_l("批准减免（元）"), [Length(max=14)], render_kw={"inputmode": "decimal"})
    reason = TextAreaField(_l("说明"), [Length(max=300, message=_l("最多 300 个字"))])


class ReasonForm(FlaskForm):
    """Why a certificate is suspended, used again, or revoked."""

    reason = TextAreaField(_l("原因"), [REQUIRED, Length(max=300, message=_l("最多 300 个字"))])


def read_yuan(text: str | None, field: str) -> int:
    """Fen of an amount in yuan; nothing typed is 0. Raises Refused for `field`."""
    return _read(parse_yuan, text, field, N_("请填写金额，最多两位小数，例如 1500.00"))


def read_kg(text: str | None, field: str) -> int:
    """Grams of a mass in kilograms; nothing typed is 0. Raises Refused for `field`."""
    return _read(parse_kg, text, field, N_("请填写千克数，最多三位小数，例如 2.5"))


def read_mu(text: str | None, field: str) -> int:
    """Hundredths of a mu of an area in mu; nothing typed is 0. Raises Refused for `field`."""
    return _read(parse_mu, text, field, N_("请填写亩数，最多两位小数，例如 12.5"))


def _read(parse: Callable[[str], int], text: str | None, field: str, words: str) -> int:
    try:
        return parse(text.strip()) if text and text.strip() else 0
    except ValueError:
        raise Refused("number_form", words, field=field) from None


def kind_of(code: str) -> CertificateKind | None:
    """The kind under a code from an address."""
    return CertificateKind.known(code)
