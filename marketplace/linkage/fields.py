"""Form fields for yuan, kilograms, mu and percent: typed as people write them, handed on as integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import StringField

from marketplace.core.money import format_yuan, parse_yuan
from marketplace.core.quantity import format_kg, format_mu, parse_decimal, parse_kg, parse_mu


def parse_percent(text: str) -> int:
    """Basis points of a percentage typed with up to two decimals, with or without its sign."""
    return parse_decimal(text.strip().rstrip("%％"), places=2)


class ScaledField(StringField):
    """A number with a unit. What cannot be read stays as it was typed, with the reason beside it."""

    parse: Callable[[str], int]
    show: Callable[[int], str]
    hint: Any

    def process_formdata(self, valuelist: list[str]) -> None:
        typed = valuelist[0].strip() if valuelist else ""
        self.data = None
        if not typed:
            return
        try:
            self.data = type(self).parse(typed)
        except ValueError:
            raise ValueError(self.hint) from None

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else type(self).show(self.data)


class YuanField(ScaledField):
    """Yuan typed, fen handed on."""

    parse = staticmethod(parse_yuan)
    show = staticmethod(lambda fen: format_yuan(fen, grouped=False))
    hint = _l("请填写金额，最多两位小数，例如 8.50")


class KgField(ScaledField):
    """Kilograms typed, grams handed on."""

    parse = staticmethod(parse_kg)
    show = staticmethod(lambda grams: format_kg(grams).replace(",", ""))
    hint = _l("请填写千克数，最多三位小数，例如 126.5")


class MuField(ScaledField):
    """Mu typed, hundredths of a mu handed on."""

    parse = staticmethod(parse_mu)
    show = staticmethod(lambda cmu: format_mu(cmu).replace(",", ""))
    hint = _l("请填写亩数，最多两位小数，例如 3.25")


class PercentField(ScaledField):
    """A percentage typed, basis points handed on."""

    parse = staticmethod(parse_percent)
    show = staticmethod(lambda bp: f"{bp // 100}.{bp % 100:02d}".rstrip("0").rstrip("."))
    hint = _l("请填写百分数，最多两位小数，例如 25 或 98.5")
