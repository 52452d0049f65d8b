"""How a surplus is shared out: the pure arithmetic.

With D the distributable surplus, p_bp the part for patronage (at least 6000: Law on Farmers' Specialised Cooperatives
of 2017, article 44) and stake-days the sum of stake x days held, in the order in which the money is set aside:

    base_i      = half_up(stake_days_i * base_bp / (10000 * days))     for each stake held here, before anything else
    patronage   = ceil(D * p_bp / 10000)                               of the whole D, so that the law's part is whole
    patronage_i = largest_remainder(patronage, dealings)               dealings of all members
    capital     = D - sum(base_i) - patronage                          what is left; never negative
    capital_i   = largest_remainder(capital, stake_days)               all members' capital x days

Base and capital shares are both returns on capital and lie together in the part that the law leaves to it. A stake held
all days of the period has base half_up(stake * base_bp / 10000). What no household here holds, and what no household
here dealt, is the other members', who come last in both splits. Ties go to the smaller household id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.core.money import BASIS, half_up, split_by_weights


@dataclass(frozen=True)
class Decided:
    """What a general meeting decided, and over which days. `capital_fen` and `dealings_fen` are of all members."""

    surplus_fen: int
    patronage_bp: int
    base_bp: int
    capital_fen: int
    dealings_fen: int
    days: int

    @property
    def patronage_fen(self) -> int:
        """ceil(D * p_bp / 10000)."""
        return -(-self.surplus_fen * self.patronage_bp // BASIS)

    def base_of(self, stake_days_fen: int) -> int:
        """The preference base of a stake, in fen, by the days it was held."""
        return half_up(stake_days_fen * self.base_bp, BASIS * self.days)


@dataclass(frozen=True)
class Share:
    """What one stake gets, in fen; `patronage_extra` and `capital_extra` are 1 where a remaining fen went to it."""

    base_fen: int
    patronage_fen: int
    capital_fen: int
    patronage_extra: int
    capital_extra: int

    @property
    def total_fen(self) -> int:
        """Base, patronage and capital together."""
        return self.base_fen + self.patronage_fen + self.capital_fen


@dataclass(frozen=True)
class SharedOut:
    """The shares in the order of the stakes given, and what goes to the other members. All sums to D."""

    shares: list[Share]
    base_fen: int
    patronage_fen: int
    capital_fen: int
    others_patronage_fen: int
    others_capital_fen: int


class BaseTooLarge(ValueError):
    """The preference base does not fit into what patronage leaves; `room_fen` is what it leaves."""

    def __init__(self, base_fen: int, room_fen: int) -> None:
        super().__init__(f"the base of {base_fen} does not fit into {room_fen}")
        self.base_fen, self.room_fen = base_fen, room_fen


def share_out(decided: Decided, stakes: Sequence[tuple[int, int]]) -> SharedOut:
    """Share D out over `stakes`: (stake-days in fen, dealings in fen), in ascending order of household id.

    No share is negative, and shares and the other members' parts sum to D exactly. Raises BaseTooLarge when the base
    does not fit; ValueError when stakes or dealings here exceed those of all members.
    """
    held, dealt = [stake for stake, _ in stakes], [dealings for _, dealings in stakes]
    bases = [decided.base_of(stake) for stake in held]
    rest = decided.surplus_fen - decided.patronage_fen - sum(bases)
    if rest < 0:
        raise BaseTooLarge(sum(bases), decided.surplus_fen - decided.patronage_fen)
    *patronage, others_patronage = split_by_weights(
        decided.patronage_fen, [*dealt, decided.dealings_fen - sum(dealt)]
    )
    *capital, others_capital = split_by_weights(rest, [*held, decided.capital_fen * decided.days - sum(held)])
    return SharedOut(
        shares=[
            Share(
                base_fen=bases[i],
                patronage_fen=patronage[i],
                capital_fen=capital[i],
                patronage_extra=patronage[i] - floored(decided.patronage_fen, dealt[i], decided.dealings_fen),
                capital_extra=capital[i] - floored(rest, held[i], decided.capital_fen * decided.days),
            )
            for i in range(len(stakes))
        ],
        base_fen=sum(bases),
        patronage_fen=decided.patronage_fen,
        capital_fen=rest,
        others_patronage_fen=others_patronage,
        others_capital_fen=others_capital,
    )


def floored(pool_fen: int, weight: int, total: int) -> int:
    """The part of a pool that a weight has before remaining fen are handed out."""
    return pool_fen * weight // total
