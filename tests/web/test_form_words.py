"""What forms say of input they cannot read: what to write instead, in the reader's language, in rows of a form too."""

from __future__ import annotations

import pytest
from flask import Flask, request
from flask_babel import force_locale
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import DateField, FieldList, FormField, IntegerField, SelectChoice, SelectField, TimeField
from wtforms.validators import NumberRange

from marketplace.web import forms, locale
from marketplace.web.forms import FormWords, Row


class DaysForm(Row):
    days = IntegerField("天数")


class SampleForm(FlaskForm):
    on = DateField("日期")
    at = TimeField("时间")
    kind = SelectField("类别", choices=[SelectChoice("tea", "茶叶")])
    units = IntegerField("数量", [NumberRange(min=1, max=20)])
    rows = FieldList(FormField(DaysForm))


TYPED = MultiDict({"on": "昨天", "at": "早上", "kind": "beer", "units": "40", "rows-0-days": "三天"})


@pytest.fixture
def app() -> Flask:
    app = Flask("marketplace")
    app.config.update(SECRET_KEY="tests", WTF_CSRF_ENABLED=False)
    locale.init_locale(app)
    forms.init_forms(app)
    return app


def errors_in(app: Flask, language: str) -> dict[str, object]:
    with app.test_request_context("/", method="POST", data=TYPED), force_locale(language):
        app.preprocess_request()
        assert isinstance(request.wtforms_translations, FormWords)  # type: ignore[attr-defined]
        form = SampleForm()
        assert not form.validate()
        return {name: [str(one) for one in form[name].errors] for name in ("on", "at", "kind", "units")} | {
            "days": [str(one) for one in form.rows[0].form.days.errors]
        }


def test_what_cannot_be_read_says_what_to_write(app: Flask) -> None:
    assert errors_in(app, "zh_CN") == {
        "on": ["请填写日期，例如 2026-06-01"],
        "at": ["请填写时间，例如 08:30"],
        "kind": ["请从列表里选择"],
        "units": ["须在 1 到 20 之间"],
        "days": ["请填写整数，例如 30"],
    }


def test_it_says_so_in_english(app: Flask) -> None:
    assert errors_in(app, "en") == {
        "on": ["Enter a date, for example 2026-06-01"],
        "at": ["Enter a time, for example 08:30"],
        "kind": ["Choose from the list"],
        "units": ["Must be between 1 and 20"],
        "days": ["Enter a whole number, for example 30"],
    }
