"""From an order line's net value to a household's fen: the pure arithmetic, without any I/O.

    total     = half_up(net x sum(rate_bp) / 10000)
    pool_m    = largest_remainder(total, rate_bp)         one per mechanism, ties in the order of the mechanisms
    pool_l    = largest_remainder(pool_m, grams)          DIRECT mechanisms only: one per lot, ties by lot id
    credit_i  = largest_remainder(pool, entitlement_i)    ties by ascending household id

Largest remainder: every share is floored, and the fen left over go one by one to the largest remainders, so shares are
never negative and sum exactly. Refunds do not use it:

    target    = half_up(pool x R / net)                   R is the cumulative refunded part of net
    reversed  = webster(target, credit_i)                 each next fen to the largest credit / (2k + 1)

because with credits 3:1:6 a largest remainder of 4 fen reverses 1, 1, 2 and of 5 fen 2, 0, 3: a further refund would
give household 2 its fen back. Webster's method never lowers a share as the target grows, and at R = net it takes back
each credit exactly.

Guarantee (保底): in each scope a household's money is max(due, credited). Which entitlements are in scope, and what is
posted from these numbers, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from marketplace.core.money import BASIS, half_up, split_by_weights, webster


def pool_of_line(net_fen: int, rates_bp: Sequence[int]) -> list[int]:
    """The pools of a line in fen, one per rate, in the order given.

    `rates_bp` are shares of the net value in basis points, in the order in which ties are broken. The pools sum to
    half_up(net x sum / 10000), which is never more than net. Raises ValueError when an argument is negative or the
    rates sum to more than 10000.
    """
    total_bp = sum(rates_bp)
    if net_fen < 0 or any(rate < 0 for rate in rates_bp) or total_bp > BASIS:
        raise ValueError("net and rates are not negative, and the rates sum to at most 10000")
    return split_by_weights(half_up(net_fen * total_bp, BASIS), rates_bp)


def split_pool_over_lots(pool_fen: int, grams: Sequence[int]) -> list[int]:
    """The part of a DIRECT pool that each lot of the line carries, by its grams in the line, in the order given.

    Callers pass lots in ascending order of id, so that ties go to the older lot. Raises ValueError when there is a
    pool and no gram to carry it.
    """
    return split_by_weights(pool_fen, grams)


def credits_of_pool(pool_fen: int, weights: Mapping[int, int]) -> dict[int, int]:
    """What each household gets of a pool, in fen by household id, ascending; zero shares are included.

    `weights` are entitlements in fen by household id, in any order. They sum to the pool exactly. Raises ValueError
    for a negative argument, or when there is a pool and no weight: then it has to wait for evidence.
    """
    households = sorted(weights)
    shares = split_by_weights(pool_fen, [weights[household] for household in households])
    return dict(zip(households, shares, strict=True))


def reversal_target(pool_fen: int, net_fen: int, refunded_fen: int) -> int:
    """How much of a pool is to be taken back in all, in fen, once `refunded_fen` of the line's net are refunded.

    half_up(pool x R / net): grows with R and is the whole pool at R = net. Raises ValueError unless 0 <= R <= net and
    0 <= pool <= net.
    """
    if not 0 <= refunded_fen <= net_fen or not 0 <= pool_fen <= net_fen:
        raise ValueError("neither the pool nor the refunds exceed the net value")
    return half_up(pool_fen * refunded_fen, net_fen) if net_fen else 0


def reversal_of_credits(credited: Mapping[int, int], target_fen: int) -> dict[int, int]:
    """How much of each credit is to be taken back in all, in fen by household id, ascending.

    `credited` are the original credits of one pool. Webster's method, ties by ascending household id: a larger target
    never lowers a share, and no share exceeds its credit. Raises ValueError unless the target lies between zero and
    the sum of the credits.
    """
    households = sorted(credited)
    shares = webster(target_fen, [credited[household] for household in households])
    return dict(zip(households, shares, strict=True))


def reversal_to_post(
    credited: Mapping[int, int], reversed_fen: Mapping[int, int], target_fen: int
) -> dict[int, int]:
    """What a further refund takes back now, in fen by household id: the cumulative reversal less what was reversed.

    Households that lose nothing now are left out. Any sequence of partial refunds ends at the same fen as one refund
    of their sum. Raises ValueError when `reversed_fen` is not on the way to `target_fen`.
    """
    now_fen = {
        household: fen - reversed_fen.get(household, 0)
        for household, fen in reversal_of_credits(credited, target_fen).items()
    }
    if any(fen < 0 for fen in now_fen.values()) or not reversed_fen.keys() <= credited.keys():
        raise ValueError("more has been reversed than this target allows")
    return {household: fen for household, fen in now_fen.items() if fen}


def top_up(due_fen: int, credited_fen: int) -> int:
    """The guarantee to post for a household in a scope, in fen: max(0, due - credited).

    `credited_fen` is what it has in the scope so far: credits less reversals, and guarantees still standing.
    """
    return max(0, due_fen - credited_fen)


def guarantee_reduction(credit_fen: int, guaranteed_fen: int) -> int:
    """How much of a standing guarantee a later credit of the same scope replaces, in fen.

    At most the credit, so nothing is ever taken back; at most the guarantee still standing, so that the household ends
    at max(due, credited) and is not paid twice for one thing. Raises ValueError for a negative argument.
    """
    if credit_fen < 0 or guaranteed_fen < 0:
        raise ValueError("credits and guarantees are not negative")
    return min(credit_fen, guaranteed_fen)
