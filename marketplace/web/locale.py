"""The reader's language: Simplified Chinese first, English complete.

A signed-in reader's choice is kept with the user; anybody else's in a cookie. `?lang=` is never read: the switch is a
POST, so that links stay in the reader's own language.
"""

from __future__ import annotations

from flask import Flask, g, request
from flask_babel import Babel, get_translations, gettext

from marketplace.core.labels import LabelledEnum

LOCALES = {"zh_CN": "简体中文", "en": "English"}
DEFAULT_LOCALE = "zh_CN"
COOKIE = "lang"


def current_locale() -> str:
    """The locale of this request: the actor's, else the cookie's, else Chinese."""
    chosen = g.get("locale") or (request.cookies.get(COOKIE) if request else None)
    return chosen if chosen in LOCALES else DEFAULT_LOCALE


def init_locale(app: Flask) -> None:
    """Set up translations; msgids are Simplified Chinese, so zh_CN needs no catalogue."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = "translations"
    Babel(
        app,
        locale_selector=current_locale,
        timezone_selector=lambda: "Asia/Shanghai",
        default_locale=DEFAULT_LOCALE,
    )
    app.context_processor(lambda: {"current_locale": current_locale(), "locales": LOCALES})


def label(value: LabelledEnum | None) -> str:
    """The translated label of a code; empty for None."""
    return "" if value is None or not value.label else str(gettext(value.label))


def counted(message: str, count: int, **params: object) -> str:
    """A Chinese sentence about `count` things in the reader's language, in its form for one or for many.

    Chinese has one form, so the msgid stands for both; %(count)s is filled with `count`, the rest from `params`. A
    sentence that the catalogue has in one form only is said in that.
    """
    known = get_translations()
    words = known.ungettext(message, message, count)
    return str(known.ugettext(message) if words == message else words) % {"count": count, **params}
