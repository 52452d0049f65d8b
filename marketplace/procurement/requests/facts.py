"""What a request says, as plain values, and what must hold of them whatever the database knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from marketplace.core.clock import business_day, now, today
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS
from marketplace.ordering.terms import PaymentTerms
from marketplace.registry.reviews.notices import refuse_personal_numbers

MAX_TITLE = 80
MAX_SPECIFICATION = 500
MAX_MASS_G = 1_000_000_000  # a thousand tonnes
MAX_FEN_PER_KG = 10_000_000
FEWEST_HOUSEHOLDS = 5  # to ask for fewer would tell what is withheld
MAX_DAYS_AHEAD = 730


@dataclass(frozen=True)
class Wanted:
    """What a unit asks for. `deadline_at` is exclusive: an offer at that instant comes too late.

    Mass in grams, the ceiling in fen per kilogram, the least linkage share in basis points of the net value.
    """

    title: str
    category_code: str
    specification: str
    mass_g: int
    deliver_from: date
    deliver_until: date
    county_code: str | None
    ceiling_fen_per_kg: int
    min_linkage_bp: int
    min_households: int | None
    deadline_at: datetime
    terms: PaymentTerms

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of a version that keep them."""
        return {
            "title": self.title.strip(),
            "category_code": self.category_code,
            "specification": self.specification.strip(),
            "mass_g": self.mass_g,
            "deliver_from": self.deliver_from,
            "deliver_until": self.deliver_until,
            "county_code": self.county_code or None,
            "ceiling_fen_per_kg": self.ceiling_fen_per_kg,
            "min_linkage_bp": self.min_linkage_bp,
            "min_households": self.min_households,
            "deadline_at": self.deadline_at,
            "deadline_on": business_day(self.deadline_at),
            **self.terms.columns,
        }


def public_words(text: str, *, most: int, field: str) -> str:
    """Words for the public, trimmed. Raises Refused for too many of them, or for an ID or mobile number in them."""
    words = text.strip()
    if len(words) > most:
        raise Refused("words_long", N_("这一项最多 %(most)s 个字"), field=field, most=most)
    refuse_personal_numbers(words, field=field)
    return words


def check_wanted(wanted: Wanted) -> None:
    """Raise Refused naming the field for what no request may say."""
    for field, most in (("title", MAX_TITLE), ("specification", MAX_SPECIFICATION)):
        if not public_words(getattr(wanted, field), most=most, field=field):
            raise Refused("words_missing", N_("请填写这一项"), field=field)
    _check_numbers(wanted)
    _check_days(wanted)
    _check_terms(wanted.terms)


def _check_numbers(wanted: Wanted) -> None:
    if not 0 < wanted.mass_g <= MAX_MASS_G:
        raise Refused("mass", N_("数量须大于 0，且不超过 1000 吨"), field="mass")
    if not 0 < wanted.ceiling_fen_per_kg <= MAX_FEN_PER_KG:
        raise Refused("ceiling", N_("最高单价须大于 0，且不超过每千克 10 万元"), field="ceiling")
    if not 0 <= wanted.min_linkage_bp <= BASIS:
        raise Refused("linkage", N_("联结比例须在 0 到 100% 之间"), field="min_linkage")
    if wanted.min_households is not None and not FEWEST_HOUSEHOLDS <= wanted.min_households <= BASIS:
        raise Refused(
            "households",
            N_("最少带动户数须不少于 %(fewest)s 户：更小的数字不公开"),
            field="min_households",
            fewest=FEWEST_HOUSEHOLDS,
        )


def _check_days(wanted: Wanted) -> None:
    if wanted.deliver_until < wanted.deliver_from:
        raise Refused("window", N_("交货期的最后一天不能早于第一天"), field="deliver_until")
    if (wanted.deliver_until - today()).days > MAX_DAYS_AHEAD:
        raise Refused("window_far", N_("交货期须在两年以内"), field="deliver_until")
    if wanted.deadline_at <= now():
        raise Refused("deadline_past", N_("报价截止时间已经过去，请填写以后的时间"), field="deadline")
    if business_day(wanted.deadline_at) >= wanted.deliver_until:
        raise Refused(
            "deadline_after_window",
            N_("报价须在交货期最后一天之前截止，否则来不及交货"),
            field="deadline",
        )


def _check_terms(terms: PaymentTerms) -> None:
    """At most the days that the policy in force lets be agreed, and late interest is owed."""
    if not 1 <= terms.days <= terms.cap_days:
        raise Refused(
            "payment_days",
            N_("付款期限须在 1 到 %(most)s 天之间"),
            field="payment_days",
            most=terms.cap_days,
        )
    if not 0 <= terms.late_rate_bp <= 100:
        raise Refused("late_rate", N_("逾期利息须在每日万分之 0 到 100 之间"), field="late_rate")
