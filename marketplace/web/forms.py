"""Forms: showing a rule's refusal next to the field it means, and the key that makes a repeated submit harmless."""

from __future__ import annotations

from functools import cache

from babel.support import Translations
from flask import Flask, flash, request
from flask_babel import gettext
from flask_wtf import FlaskForm
from flask_wtf.i18n import translations
from wtforms import Form, HiddenField
from wtforms.i18n import messages_path
from wtforms.validators import InputRequired, Length

from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.core.ids import random_key
from marketplace.core.labels import N_
from marketplace.web.errors import explain
from marketplace.web.locale import current_locale
from marketplace.web.transaction import current_session

_A_CHOICE, _A_NUMBER = N_("请从列表里选择"), N_("请填写数字，例如 12.5")
WHAT_TO_FIX = {  # what WTForms says of input it cannot read: that something is not valid; here what to write instead
    "Not a valid choice.": _A_CHOICE,
    "Invalid Choice: could not coerce.": _A_CHOICE,
    "Not a valid integer value.": N_("请填写整数，例如 30"),
    "Not a valid decimal value.": _A_NUMBER,
    "Not a valid float value.": _A_NUMBER,
    "Not a valid date value.": N_("请填写日期，例如 2026-06-01"),
    "Not a valid datetime value.": N_("请填写日期和时间，例如 2026-06-01 09:00"),
    "Not a valid time value.": N_("请填写时间，例如 08:30"),
    "Number must be between %(min)s and %(max)s.": N_("须在 %(min)s 到 %(max)s 之间"),
}


@cache
def _own_words(locale: str) -> Translations:
    """What WTForms brings in a language; read once."""
    return Translations.load(messages_path(), [locale], domain="wtforms")


class FormWords:
    """What WTForms says by itself, in the reader's language; of input it cannot read it says what to write instead."""

    def ugettext(self, message: str) -> str:
        """The words of one message."""
        if message in WHAT_TO_FIX:
            return str(gettext(WHAT_TO_FIX[message]))
        return str(_own_words(current_locale()).ugettext(message))

    def ungettext(self, one: str, many: str, count: int) -> str:
        """The words of a message that counts something."""
        return str(_own_words(current_locale()).ungettext(one, many, count))


def init_forms(app: Flask) -> None:
    """Let every form of a request speak with FormWords: Flask-WTF looks for them on the request."""
    app.before_request(lambda: setattr(request, "wtforms_translations", FormWords()))


class Row(Form):
    """One of the rows of a form, which speaks as the form does."""

    class Meta:
        """Where WTForms finds the words of a row."""

        def get_translations(self, _form: Form) -> object:
            """Those of the request."""
            return translations


class OnceForm(FlaskForm):
    """A form that counts once: its key is made when the form is shown and comes back with every submit."""

    idempotency_key = HiddenField(validators=[InputRequired(), Length(min=16, max=64)], default=random_key)


def place_error(form: FlaskForm, error: DomainError) -> None:
    """Undo what the rule began and show its refusal in the form, which keeps what was typed.

    Refusals that are not about the input (not found, not allowed) are raised on.
    """
    _undo(error)
    field = form[error.field] if error.field and error.field in form else None
    if field is None:
        form.form_errors.append(explain(error))
    else:
        field.errors = [*field.errors, explain(error)]


def tell(error: DomainError) -> None:
    """Undo what the rule began and say its refusal on the next page, for a button that has no form to come back to.

    Refusals that are not about the input (not found, not allowed) are raised on.
    """
    _undo(error)
    flash(explain(error), "error")


def _undo(error: DomainError) -> None:
    if isinstance(error, NotFound | Forbidden):
        raise error
    current_session().rollback()
