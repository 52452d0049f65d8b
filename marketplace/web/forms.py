"""Forms: showing a rule's refusal next to the field it means, and the key that makes a repeated submit harmless."""

from __future__ import annotations

from flask import flash
from flask_wtf import FlaskForm
from flask_wtf.i18n import Translations, translations
from wtforms import Form, HiddenField
from wtforms.validators import InputRequired, Length

from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.core.ids import random_key
from marketplace.web.errors import explain
from marketplace.web.transaction import current_session


class OnceForm(FlaskForm):
    """A form that counts once: its key is made when the form is shown and comes back with every submit."""

    idempotency_key = HiddenField(validators=[InputRequired(), Length(min=16, max=64)], default=random_key)


class RowForm(Form):
    """One of several rows in a form: no token of its own, and its built-in messages in the reader's language."""

    class Meta:
        """A plain form would answer in English."""

        def get_translations(self, _form: Form) -> Translations:
            """The catalogue that the form around it speaks from."""
            return translations


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
