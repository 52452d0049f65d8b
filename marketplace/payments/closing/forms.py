"""What a cooperative types when it corrects a closed period."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import HiddenField, RadioField, TextAreaField
from wtforms.validators import InputRequired, Length

from marketplace.core.labels import N_, LabelledEnum
from marketplace.linkage.fields import YuanField

DOCUMENTS = {"accept": "application/pdf,image/jpeg,image/png"}


class Way(LabelledEnum):
    """Whether a household came off too short or too well."""

    SHORT = "short", N_("少记了，要补给农户")
    OVER = "over", N_("多记了，只留记录，不收回")


class CorrectionForm(FlaskForm):
    """What a closed period should have said."""

    number = HiddenField(validators=[InputRequired()])
    way = RadioField(_l("哪里不对"), default=Way.SHORT.value)
    amount_fen = YuanField(_l("差额"), [InputRequired(_l("请填写差额"))], render_kw={"inputmode": "decimal"})
    reason = TextAreaField(_l("原因"), [InputRequired(_l("请写明为什么要更正")), Length(max=300)])
    file = FileField(_l("单据照片或扫描件"), render_kw=DOCUMENTS)

    @property
    def signed_fen(self) -> int:
        """The difference, negative when too much was given."""
        fen = self.amount_fen.data or 0
        return -fen if self.way.data == Way.OVER.value else fen
