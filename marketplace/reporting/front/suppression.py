"""Which totals must not be shown: those over fewer than five households, and those that would give them away.

Pure. Source of the rule: domain.md section 13.
"""

from __future__ import annotations

from collections.abc import Mapping

from marketplace.registry.cooperatives.queries import SMALL_COUNT as SMALLEST_SHOWN


def withheld(households: Mapping[str, int]) -> frozenset[str]:
    """The groups whose totals are withheld beside a grand total, given the number of households of each.

    Those with one to four households; and since the grand total less all that is shown is the sum of what is withheld,
    the next smallest too until at least two groups with at least five households together are withheld. A group
    without households has nothing to hide.
    """
    ordered = sorted((count, code) for code, count in households.items() if count)
    small = [one for one in ordered if one[0] < SMALLEST_SHOWN]
    if not small:
        return frozenset()
    taken = list(small)
    for one in ordered[len(small) :]:
        if len(taken) >= 2 and sum(count for count, _ in taken) >= SMALLEST_SHOWN:
            break
        taken.append(one)
    return frozenset(code for _, code in taken)
