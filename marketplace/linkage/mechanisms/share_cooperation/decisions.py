"""What a general meeting decided on a surplus, and what the law says about such a decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from marketplace.core.clock import today
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS
from marketplace.linkage.mechanisms.share_cooperation.models import LEAST_PATRONAGE_BP, QUORUM
from marketplace.linkage.mechanisms.share_cooperation.terms import MOST_FEN
from marketplace.linkage.models import LinkagePeriod, PeriodState

MOST_MEMBERS = 100_000


@dataclass(frozen=True)
class Decision:
    """What the minutes of a general meeting say; sums in fen, of all members."""

    resolution_no: str
    meeting_on: date
    surplus_fen: int
    patronage_bp: int
    base_bp: int
    capital_fen: int
    dealings_fen: int
    members_total: int
    members_present: int
    votes_for: int


def check_decision(decision: Decision) -> None:
    """Raise Refused, naming the field, for a decision that the law or arithmetic forbids."""
    if decision.patronage_bp > BASIS:
        raise Refused("patronage", N_("按交易量返还的比例不能超过百分之百"), field="patronage_bp")
    if decision.patronage_bp < LEAST_PATRONAGE_BP:
        message = N_(
            "按交易量返还的比例不得低于可分配盈余的 %(least)s%%，这是农民专业合作社法第四十四条的规定"
        )
        least = LEAST_PATRONAGE_BP // 100
        raise Refused("below_patronage", message, field="patronage_bp", least=least)
    if not 0 <= decision.base_bp <= BASIS:
        raise Refused("base", N_("保底分红率不能小于零，也不能超过百分之百"), field="base_bp")
    for field in ("surplus_fen", "capital_fen", "dealings_fen"):
        if not 0 < getattr(decision, field) <= MOST_FEN:
            raise Refused("amount", N_("金额须大于零，请核对单位是否为元"), field=field)
    _check_votes(decision)


def _check_votes(decision: Decision) -> None:
    total, present, votes = decision.members_total, decision.members_present, decision.votes_for
    if not 0 < total <= MOST_MEMBERS:
        raise Refused("members", N_("请填写成员总数"), field="members_total")
    if not 0 < present <= total:
        raise Refused("present", N_("到会人数不能超过成员总数"), field="members_present")
    if not 0 < votes <= present:
        raise Refused("votes", N_("同意人数不能超过到会人数"), field="votes_for")
    if present * QUORUM[1] < total * QUORUM[0]:
        message = N_("到会人数不足成员总数的三分之二，决议无效（农民专业合作社法第三十条）")
        raise Refused("quorum", message, field="members_present")
    if votes * 2 <= total:
        message = N_("同意人数没有超过成员总数的一半，决议没有通过（农民专业合作社法第三十条）")
        raise Refused("majority", message, field="votes_for")


def check_period(period: LinkagePeriod, decision: Decision) -> None:
    """Raise Refused unless the period is over by the meeting, and still open."""
    if period.state is PeriodState.CLOSED:
        raise Refused("closed_period", N_("这个联结期已关账，不能再登记分红"), field="period_no")
    if decision.meeting_on > today():
        raise Refused("future_day", N_("日期不能晚于今天"), field="meeting_on")
    if decision.meeting_on < period.ends_on:
        message = N_("盈余要等联结期结束、算清以后才能分，开会日期不能早于 %(day)s")
        raise Refused("before_end", message, field="meeting_on", day=period.ends_on.isoformat())
