"""What a form says of a field that cannot be read: what to fill in, in the reader's language."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_wtf import FlaskForm
from wtforms import (
    DateField,
    DateTimeLocalField,
    DecimalField,
    FieldList,
    FormField,
    IntegerField,
    SelectChoice,
    SelectField,
    StringField,
    TimeField,
)
from wtforms.validators import InputRequired, Length, NumberRange

from marketplace.web import field_words, locale
from marketplace.web.forms import RowForm


class Line(RowForm):
    units = IntegerField()


class Asked(FlaskForm):
    count = IntegerField()
    part = DecimalField()
    day = DateField()
    until = DateTimeLocalField()
    at = TimeField()
    kind = SelectField(choices=[SelectChoice("tea", "茶叶")])
    name = StringField(validators=[InputRequired()])
    most = StringField(validators=[Length(max=3)])
    least = StringField(validators=[Length(min=5)])
    within = IntegerField(validators=[NumberRange(1, 8)])
    above = IntegerField(validators=[NumberRange(min=1)])
    below = IntegerField(validators=[NumberRange(max=9)])
    lines = FieldList(FormField(Line))


TYPED = {
    "count": "一箱", "part": "半", "day": "2026-13-45", "until": "明天", "at": "99:99", "kind": "wine", "name": "",
    "most": "四个字了", "least": "短", "within": "9", "above": "0", "below": "10",
    "lines-0-units": "三箱",
}  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Flask:
    """The words alone, on an application without a database."""
    app = Flask("marketplace")
    app.config.update(SECRET_KEY="tests", WTF_CSRF_ENABLED=False)
    locale.init_locale(app)
    field_words.init_field_words(app)
    return app


def said(app: Flask, language: str) -> dict[str, list[str]]:
    """The messages of each field for what nobody should type."""
    with app.test_request_context("/", method="POST", data=TYPED, headers={"Cookie": f"lang={language}"}):
        app.preprocess_request()
        form = Asked()
        assert not form.validate()
        found = {field.name: [str(one) for one in field.errors] for field in form if field.name != "lines"}
        return found | {"units": [str(one) for one in form.lines[0].form.units.errors]}


def test_each_message_says_what_to_fill_in(small: Flask) -> None:
    assert said(small, "zh_CN") == {
        "count": ["请填写整数，例如 12"],
        "part": ["请填写数字，例如 12.5"],
        "day": ["请填写日期，例如 2026-11-30"],
        "until": ["请填写日期和时间，例如 2026-11-30 09:00"],
        "at": ["请填写时间，例如 09:00"],
        "kind": ["请从列表中选择一项"],
        "name": ["请填写这一项"],
        "most": ["最多 3 个字"],
        "least": ["至少 5 个字"],
        "within": ["须在 1 到 8 之间"],
        "above": ["不能小于 1"],
        "below": ["不能大于 9"],
        "units": ["请填写整数，例如 12"],
    }


def test_they_are_said_in_english_as_well(small: Flask) -> None:
    assert said(small, "en") == {
        "count": ["Enter a whole number, for example 12"],
        "part": ["Enter a number, for example 12.5"],
        "day": ["Enter a date, for example 2026-11-30"],
        "until": ["Enter a date and time, for example 2026-11-30 09:00"],
        "at": ["Enter a time, for example 09:00"],
        "kind": ["Choose one from the list"],
        "name": ["Fill in this field"],
        "most": ["At most 3 characters"],
        "least": ["At least 5 characters"],
        "within": ["Must be between 1 and 8"],
        "above": ["Must be at least 1"],
        "below": ["Must be at most 9"],
        "units": ["Enter a whole number, for example 12"],
    }


def test_what_has_no_words_of_ours_stays_as_it_is() -> None:
    words = field_words.FieldWords()
    assert words.ugettext("Invalid UUID.") == "Invalid UUID."
    assert words.ungettext("one", "many", 2) == "many"
    assert words.ungettext("one", "many", 1) == "one"
