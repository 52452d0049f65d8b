"""What is typed of dishes and menus."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

WORDS = DataRequired(_l("请填写这一项"))


class DishForm(FlaskForm):
    """A dish: a name, and a line for each ingredient."""

    name = StringField(_l("菜名"), [WORDS, Length(max=40)])
    ingredients = TextAreaField(_l("食材和每人克数"), [WORDS, Length(max=1_000)])


class MenuForm(FlaskForm):
    """A menu: a name, and the Monday it begins on; heads and dishes are fields of their own."""

    name = StringField(_l("菜谱名称"), [WORDS, Length(max=40)])
    starts_on = DateField(_l("从哪个星期一"), [Optional()])
