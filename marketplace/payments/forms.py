"""What is typed about payments: a statement file, how a queued line was settled, why a paper is withdrawn."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import RadioField, StringField
from wtforms.validators import InputRequired, Length

from marketplace.payments.withdrawing import MOST_REASON


class StatementForm(FlaskForm):
    """One CSV file from the bank."""

    file = FileField(_l("对账单文件"), [FileRequired(_l("请选择从网银导出的 CSV 文件"))])


class ResolveForm(FlaskForm):
    """What a queued line is: one of the open transfers of the same amount, or something explained in words."""

    payment = RadioField(_l("这笔钱是"), validate_choice=False, default="")
    note = StringField(_l("处理依据"), [InputRequired(_l("请写明处理依据")), Length(max=300)])


class WithdrawForm(FlaskForm):
    """Why a paper no longer counts."""

    reason = StringField(_l("作废原因"), [InputRequired(_l("请写明作废的原因")), Length(max=MOST_REASON)])
