"""What an orderer types of lists and sheets."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import IntegerField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange

from marketplace.linkage.fields import YuanField
from marketplace.ordering.wishes import MAX_QUANTITY


class NameForm(FlaskForm):
    """What a list is called."""

    name = StringField(_l("清单名称"), [DataRequired(_l("请填写这一项")), Length(max=40)])


class ItemForm(FlaskForm):
    """A product for a list."""

    product = StringField(
        _l("产品编号或名称"),
        [DataRequired(_l("请填写这一项")), Length(max=120)],
        render_kw={"list": "suggestions", "autocomplete": "off"},
    )
    quantity = IntegerField(
        _l("常用数量"),
        [
            InputRequired(_l("请填写这一项")),
            NumberRange(1, MAX_QUANTITY, _l("数量须是 1 到 100000 的整数")),
        ],
        default=1,
    )
    ceiling = YuanField(_l("最高价"), render_kw={"inputmode": "decimal", "autocomplete": "off"})


class SheetForm(FlaskForm):
    """Cells pasted from Excel, or a file."""

    pasted = TextAreaField(_l("从 Excel 粘贴"), [Length(max=60_000)])
    file = FileField(_l("或上传 CSV、XLSX"), render_kw={"accept": ".csv,.xlsx,.txt"})
