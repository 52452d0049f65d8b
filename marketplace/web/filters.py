"""Template filters: fen as yuan, grams as kilograms, instants as Shanghai time. Pages never show raw codes or fen."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

from babel.dates import format_skeleton
from flask import Flask
from flask_babel import format_date, format_datetime, get_locale

from marketplace.core.clock import SHANGHAI
from marketplace.core.money import format_rate, format_yuan
from marketplace.core.quantity import format_kg, format_mu
from marketplace.web.locale import counted, label

ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def yuan(amount_fen: int | None, *, grouped: bool = True) -> str:
    """1234 -> "12.34"; empty for None. The ¥ sign is the macro's."""
    return "" if amount_fen is None else format_yuan(amount_fen, grouped=grouped)


def percent(rate_bp: int | None) -> str:
    """Basis points as a percentage without trailing zeros: 1250 -> "12.5%"."""
    if rate_bp is None:
        return ""
    whole, rest = divmod(rate_bp, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + "%"


def share(rate_bp: int | None) -> str:
    """Basis points as a percentage with two decimals: 1235 -> "12.35%"."""
    return "" if rate_bp is None else f"{format_rate(rate_bp)}%"


def day(value: date | datetime | None) -> str:
    """A business day in the reader's language."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = value.astimezone(SHANGHAI).date()
    return str(format_date(value, "medium"))


def day_or_text(text: str) -> str:
    """A day as rules write it for machines (2026-05-01) in the reader's language; any other text as it is, and what
    somebody typed that only looks like a day."""
    try:
        return day(date.fromisoformat(text)) if ISO_DAY.fullmatch(text) else text
    except ValueError:
        return text


def month(value: date) -> str:
    """The month of a day in the reader's language: 2026年8月, Aug 2026."""
    return str(format_skeleton("yMMM", value, locale=get_locale()))


def moment(value: datetime | None) -> str:
    """An instant in Shanghai time, to the minute; its day written as every other day."""
    return "" if value is None else f"{day(value)} {format_datetime(value, 'HH:mm')}"


def masked(name: str | None) -> str:
    """A person's name for pages that are not the person's own: 刘小红 -> 刘**."""
    return "" if not name else name[0] + "*" * max(1, min(2, len(name) - 1))


def init_filters(app: Flask) -> None:
    """Register every filter under its own name, and what pages ask for by name."""
    for function in (yuan, percent, share, day, month, moment, masked, label):
        app.jinja_env.filters[function.__name__] = function
    app.jinja_env.filters["kg"] = lambda g: "" if g is None else format_kg(g)
    app.jinja_env.filters["mu"] = lambda cmu: "" if cmu is None else format_mu(cmu)
    app.jinja_env.globals["counted"] = counted
    app.jinja_env.globals["has_endpoint"] = lambda name: name in app.view_functions
    app.jinja_env.globals["has_vendor"] = Path(
        app.static_folder or "", "vendor", "bootstrap.min.css"
    ).exists()
