"""What is typed about stories: the story itself, and why one is taken down."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import HiddenField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from marketplace.core.ids import random_key

REQUIRED = InputRequired(_l("请填写这一项"))


class StoryForm(FlaskForm):
    """A story: title, text, one picture, and the products it is about."""

    idempotency_key = HiddenField(validators=[Length(max=64)], default=random_key)
    title = StringField(_l("标题"), [REQUIRED, Length(max=60, message=_l("最多 60 个字"))])
    text = TextAreaField(_l("正文"))
    picture = FileField(_l("图片"))
    alt_text = StringField(_l("图片说明"), [Length(max=120, message=_l("最多 120 个字"))])
    products = SelectMultipleField(
        _l("说的是哪些产品"),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
        validate_choice=False,
    )


class RemovalForm(FlaskForm):
    """Why a story is taken down."""

    reason = TextAreaField(_l("原因"), [REQUIRED, Length(max=300, message=_l("最多 300 个字"))])
