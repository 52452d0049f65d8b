"""The colour scheme of the reader's choice: as the device has it, light, or dark. Kept in a cookie, so that the first
byte of a page already knows it; the switch is a POST and works without scripts.
"""

from __future__ import annotations

from flask import Flask, request

from marketplace.core.labels import N_

SCHEMES = {"auto": N_("跟随系统"), "light": N_("浅色"), "dark": N_("深色")}
DEFAULT_SCHEME = "auto"
COOKIE = "scheme"
DARK_MEDIA = {"auto": "screen and (prefers-color-scheme: dark)", "light": "not all", "dark": "screen"}


def current_scheme() -> str:
    """The scheme of this request: the cookie's, else that of the device."""
    chosen = request.cookies.get(COOKIE, "") if request else ""
    return chosen if chosen in SCHEMES else DEFAULT_SCHEME


def init_scheme(app: Flask) -> None:
    """Tell every page which scheme is in use and for which media the palette by night counts."""

    def context() -> dict[str, object]:
        chosen = current_scheme()
        return {"current_scheme": chosen, "schemes": SCHEMES, "dark_media": DARK_MEDIA[chosen]}

    app.context_processor(context)
