"""What a form library says of a field, in the words of this house: what to fill in, not that it is "not valid"."""

from __future__ import annotations

from flask import Flask, request
from flask_babel import gettext

from marketplace.core.labels import N_

WORDS = {
    "This field is required.": N_("请填写这一项"),
    "Not a valid choice.": N_("请从列表中选择一项"),
    "Invalid Choice: could not coerce.": N_("请从列表中选择一项"),
    "Invalid choice(s): one or more data inputs could not be coerced.": N_("请从列表中选择"),
    "Not a valid integer value.": N_("请填写整数，例如 12"),
    "Not a valid decimal value.": N_("请填写数字，例如 12.5"),
    "Not a valid date value.": N_("请填写日期，例如 2026-11-30"),
    "Not a valid datetime value.": N_("请填写日期和时间，例如 2026-11-30 09:00"),
    "Not a valid time value.": N_("请填写时间，例如 09:00"),
    "Number must be at least %(min)s.": N_("不能小于 %(min)s"),
    "Number must be at most %(max)s.": N_("不能大于 %(max)s"),
    "Number must be between %(min)s and %(max)s.": N_("须在 %(min)s 到 %(max)s 之间"),
    "Field cannot be longer than %(max)d character.": N_("最多 %(max)d 个字"),
    "Field must be at least %(min)d character long.": N_("至少 %(min)d 个字"),
    "Field must be between %(min)d and %(max)d characters long.": N_("须在 %(min)d 到 %(max)d 个字之间"),
}


class FieldWords:
    """The translations Flask-WTF asks for the messages of WTForms, looked up in our own catalogue."""

    def ugettext(self, message: str) -> str:
        """`message` in the reader's language; what this house has no words for stays as it is."""
        return str(gettext(WORDS[message])) if message in WORDS else message

    def ungettext(self, one: str, many: str, count: int) -> str:
        """The same for a counted message; Chinese counts everything alike, and English says "characters at most"."""
        return self.ugettext(one) if one in WORDS else (one if count == 1 else many)


def init_field_words(app: Flask) -> None:
    """Hand our words to Flask-WTF, which keeps the translations of a request there."""

    @app.before_request
    def hand_over() -> None:
        request.wtforms_translations = FieldWords()  # type: ignore[attr-defined]  # the seam of Flask-WTF
