"""What the cashier types: a statement file, and how a queued line was settled."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import RadioField, StringField
from wtforms.validators import InputRequired, Length


class StatementForm(FlaskForm):
    """One CSV file from the bank."""

    file = FileField(_l("对账单文件"), [FileRequired(_l("请选择从网银导出的 CSV 文件"))])


class ResolveForm(FlaskForm):
    """What a queued line is: one of the open transfers of the same amount, or something explained in words."""

    payment = RadioField(_l("这笔钱是"), validate_choice=False, default="")
    note = StringField(_l("处理依据"), [InputRequired(_l("请写明处理依据")), Length(max=300)])
