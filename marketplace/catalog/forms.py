"""What a cooperative types to sell: product, picture, certificate, offer. Yuan, kilograms and percent as people write
them; the fields turn them into fen, grams and basis points."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import DateField, HiddenField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from marketplace.core.ids import random_key

REQUIRED = InputRequired(_l("请填写这一项"))
TIER_ROWS = 4


class ProductForm(FlaskForm):
    """Goods in one specification."""

    idempotency_key = HiddenField(validators=[Length(max=64)], default=random_key)
    name = StringField(_l("产品名称"), [REQUIRED, Length(max=60)])
    category_code = SelectField(_l("品类"), [REQUIRED])
    village_code = SelectField(_l("产地（村）"), [REQUIRED])
    specification = StringField(_l("规格"), [REQUIRED, Length(max=60)])
    unit_name = StringField(_l("销售单位"), [REQUIRED, Length(max=10)])
    net_mass_g = StringField(_l("每件净重（千克）"), [REQUIRED, Length(max=12)])
    gross_mass_g = StringField(_l("每件毛重（千克）"), [REQUIRED, Length(max=12)])
    shelf_life_days = IntegerField(
        _l("保质期（天）"), [Optional(), NumberRange(1, 3650, _l("保质期须在 1 到 3650 天之间"))]
    )
    storage = StringField(_l("储存方式"), [Length(max=120)])
    description = TextAreaField(_l("产品介绍"), [Length(max=2000)])


class PictureForm(FlaskForm):
    """One picture."""

    picture = FileField(_l("图片"), [FileRequired(_l("请选择一张图片"))])
    alt_text = StringField(_l("图片说明"), [Length(max=120)])


class CertificateForm(FlaskForm):
    """A Green Food certificate."""

    number = StringField(_l("产品编号"), [REQUIRED, Length(max=40)])
    enterprise_no = StringField(_l("企业信息码"), [REQUIRED, Length(max=40)])
    issued_on = DateField(_l("发证日期"), [InputRequired(_l("请填写日期"))])
    expires_on = DateField(_l("到期日期"), [InputRequired(_l("请填写日期"))])
    file = FileField(_l("证书扫描件"))


class OfferForm(FlaskForm):
    """A version of a listing; tiers and terms are read beside it (see offers.py)."""

    title = StringField(_l("商品标题"), [REQUIRED, Length(max=80)])
    description = TextAreaField(_l("商品介绍"), [REQUIRED, Length(max=2000)])
    certificate = SelectField(_l("认证证书"), validate_choice=False)
