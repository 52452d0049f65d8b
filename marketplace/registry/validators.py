"""Checks of the registry as form validators, so that a form shows everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable

from wtforms import Field, Form, ValidationError

from marketplace.core.errors import Refused
from marketplace.web.errors import explain


class Checked:
    """Runs `check` on what was typed and shows its refusal beside the field; an empty field is for others to judge."""

    def __init__(self, check: Callable[[str], str]) -> None:
        self.check = check

    def __call__(self, _form: Form, field: Field) -> None:
        """Raise ValidationError with the refusal's own words."""
        if not field.data:
            return
        try:
            self.check(field.data)
        except Refused as refusal:
            raise ValidationError(explain(refusal)) from refusal
