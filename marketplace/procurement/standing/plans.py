"""What a unit wants of regular deliveries, and what must hold of it before a standing order is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from marketplace.catalog.prices.agreed import require_fair_agreed
from marketplace.catalog.queries import listings_by_nos
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.ordering.rules import Delivery, check_delivery
from marketplace.ordering.wishes import MAX_LINES, check_quantity, require_for_sale
from marketplace.procurement.standing.closures import closed_days
from marketplace.procurement.standing.models import PriceRule, StandingLine
from marketplace.procurement.standing.queries import spans_of
from marketplace.procurement.standing.schedule import MINUTES_OF_DAY, Schedule, cutoff_of, instant_of
from marketplace.registry.models import BuyerUnit, Cooperative

MAX_SPAN_DAYS = 731  # two years, a leap day among them
MAX_NAME = 60
MAX_PRICE_FEN = 100_000_000
MAX_CUTOFF_DAYS = 30
MAX_WEEKS = 8
NO_LINE = N_("请至少为一种商品填写数量")
CHOOSE = N_("请从列表中选择商品")


@dataclass(frozen=True)
class LineWish:
    """Units of a listing in every delivery: at a fixed price, or at the listing's with a ceiling (fen a unit)."""

    listing_no: str
    quantity: int
    price_rule: PriceRule
    price_fen: int


@dataclass(frozen=True)
class Slot:
    """The time of the day of a delivery, in minutes after local midnight."""

    from_min: int
    to_min: int


@dataclass(frozen=True)
class Plan:
    """What a unit wants: lines, days, slot, and the cut-off: a time of the day `cutoff_days` before each window."""

    name: str
    lines: Sequence[LineWish]
    schedule: Schedule
    slot: Slot
    cutoff_days: int
    cutoff_min: int
    skips_public_holidays: bool = True
    delivery: Delivery = field(default_factory=lambda: Delivery("", "", ""))


def planned_windows(session: Session, unit: BuyerUnit, plan: Plan) -> list[dict[str, Any]]:
    """The windows of a plan as rows: its days on which the unit is open and whose cut-off is still to come.

    Raises Refused naming the field for a plan that cannot be.
    """
    _check_plan(plan)
    closed = closed_days(spans_of(session, unit.id), skips_public_holidays=plan.skips_public_holidays)
    rows = []
    for day in plan.schedule.days(closed):
        cutoff_at = cutoff_of(day, days_before=plan.cutoff_days, minute=plan.cutoff_min)
        if cutoff_at > now():
            rows.append(
                {
                    "planned_on": day,
                    "deliver_on": day,
                    "slot_from_min": plan.slot.from_min,
                    "slot_to_min": plan.slot.to_min,
                    "cutoff_at": cutoff_at,
                    "starts_at": instant_of(day, plan.slot.from_min),
                }
            )
    if not rows:
        raise Refused(
            "no_window", N_("这段时间里没有一次送货，请检查星期、起止日期、学期和假期"), field="ends_on"
        )
    return rows


def _check_plan(plan: Plan) -> None:
    schedule = plan.schedule
    if not 1 <= len(plan.name.strip()) <= MAX_NAME:
        raise Refused("name", N_("请写一个名称，最多 %(most)s 个字"), field="name", most=MAX_NAME)
    if not schedule.weekdays or not schedule.weekdays <= set(range(7)):
        raise Refused("no_weekday", N_("请至少选一个星期几"), field="weekdays")
    if not 1 <= schedule.every_weeks <= MAX_WEEKS:
        raise Refused("every_weeks", N_("间隔须在 1 到 %(most)s 周之间"), field="every_weeks", most=MAX_WEEKS)
    if schedule.starts_on < today():
        raise Refused("starts_past", N_("开始日期已过，请从今天或以后开始"), field="starts_on")
    if schedule.ends_on < schedule.starts_on:
        raise Refused("until_before_from", N_("结束日期早于开始日期"), field="ends_on")
    if (schedule.ends_on - schedule.starts_on).days >= MAX_SPAN_DAYS:
        raise Refused("span_long", N_("一张长期订单最多两年，请分开填写"), field="ends_on")
    check_slot(plan.slot, cutoff_days=plan.cutoff_days, cutoff_min=plan.cutoff_min)
    check_delivery(plan.delivery)


def check_slot(slot: Slot, *, cutoff_days: int, cutoff_min: int) -> None:
    """Raise Refused unless the slot is a stretch of one day and the cut-off comes before it."""
    if not 0 <= slot.from_min < slot.to_min <= MINUTES_OF_DAY:
        raise Refused("slot", N_("送货时段的开始须早于结束"), field="slot_to")
    if not 0 <= cutoff_days <= MAX_CUTOFF_DAYS or not 0 <= cutoff_min < MINUTES_OF_DAY:
        raise Refused(
            "cutoff",
            N_("截止时间须在送货当天到前 %(most)s 天之间"),
            field="cutoff_days",
            most=MAX_CUTOFF_DAYS,
        )
    if cutoff_days == 0 and cutoff_min > slot.from_min:
        raise Refused("cutoff_late", N_("截止时间须早于送货时段"), field="cutoff_time")


def planned_lines(
    session: Session, cooperative: Cooperative, wishes: Sequence[LineWish]
) -> list[StandingLine]:
    """The lines of a plan. Raises Refused for units or prices that cannot be or fixed ones above the price guard,
    Conflict for a listing not for sale."""
    if not wishes:
        raise Refused("no_line", NO_LINE, field="lines")
    if len(wishes) > MAX_LINES:
        raise Refused("too_many_lines", N_("一张订单最多 %(most)s 种商品，请分开下单"), most=MAX_LINES)
    numbers = [wish.listing_no for wish in wishes]
    listings = {one.public_no: one for one in listings_by_nos(session, numbers)}
    if len(set(numbers)) < len(numbers):
        raise Refused("listing_twice", N_("同一种商品只能填写一行"), field="lines")
    lines = []
    for wish in wishes:
        listing = listings.get(wish.listing_no)
        if listing is None or listing.cooperative_id != cooperative.id:
            raise Conflict("listing_gone", N_("有商品已不存在，请重新选择"))
        require_for_sale(listing)
        check_quantity(wish.quantity)
        if not 1 <= wish.price_fen <= MAX_PRICE_FEN:
            raise Refused("price", N_("“%(title)s”的单价须大于零"), field="lines", title=listing.product.name)
        if wish.price_rule is PriceRule.FIXED:
            require_fair_agreed(
                session,
                listing.product,
                unit_price_fen=wish.price_fen,
                net_mass_g=listing.product.net_mass_g,
                field="lines",
            )
        lines.append(
            StandingLine(
                listing=listing,
                quantity=wish.quantity,
                price_rule=wish.price_rule,
                price_fen=wish.price_fen,
            )
        )
    return lines
