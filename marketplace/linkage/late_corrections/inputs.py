"""The inputs of an entitlement from a late correction, and how people read them.

Such an entitlement is of its agreement's mechanism but was not computed by its formula: the amount is what a person
recorded, with a reason. Pure; the rest of the room asks here before it asks the mechanism.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.linkage.mechanisms.seam import Computed, Described, MechanismModule

RULE_VERSION = 1
KEY = "late_correction"


def is_late_correction(inputs: Mapping[str, Any]) -> bool:
    """Whether an entitlement with these inputs comes from a late correction."""
    return KEY in inputs


def computed_from(
    *, amount_fen: int, due_on: date, reason: str, corrects: str, first_day: date, last_day: date
) -> Computed:
    """What a correction entitles to: `amount_fen` as recorded; `corrects` is the public number of what it corrects, the
    days are those of the closed period."""
    details = {
        "amount_fen": amount_fen,
        "reason": reason,
        "corrects": corrects,
        "first_day": first_day.isoformat(),
        "last_day": last_day.isoformat(),
    }
    return Computed(amount_fen, due_on, {KEY: details}, RULE_VERSION)


def summarise(module: MechanismModule, inputs: Mapping[str, Any]) -> Described:
    """What an entitlement comes from, in one line: a late correction's, or as its mechanism says."""
    if not is_late_correction(inputs):
        return module.summarise(inputs)
    details = inputs[KEY]
    days = {"first": details["first_day"], "last": details["last_day"]}
    return Described(N_("关账后更正"), N_("%(first)s 至 %(last)s 少记的一笔"), days)


def explain(module: MechanismModule, inputs: Mapping[str, Any]) -> list[Described]:
    """How an entitlement came about: a late correction's, or as its mechanism says."""
    if not is_late_correction(inputs):
        return module.explain(inputs)
    details = inputs[KEY]
    days = {"first": details["first_day"], "last": details["last_day"]}
    return [
        Described(N_("更正的联结期"), N_("%(first)s 至 %(last)s"), days),
        Described(N_("更正的对象"), "%(text)s", {"text": details["corrects"]}),
        Described(N_("少记的金额"), N_("%(yuan)s 元"), {"yuan": format_yuan(details["amount_fen"])}),
        Described(N_("原因"), "%(text)s", {"text": details["reason"]}),
    ]
