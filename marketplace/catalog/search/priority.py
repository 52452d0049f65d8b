"""Priority entry: cooperatives that take in more poor households come first among equals.

Pure. The formula and its reasons are in docs/decisions/priority-entry-counts-households-then-their-share.md.
"""

from __future__ import annotations

from marketplace.core.money import BASIS


def priority_score(acknowledged_households: int, credited_share_bp: int = 0) -> int:
    """The score of a cooperative, by which its listings stand among equally relevant ones (higher first).

    `acknowledged_households` counts households on the register whose enrolment is acknowledged today and whose status
    counts as beneficiary; `credited_share_bp` is the part of the cooperative's settled sales of the last year that
    was credited to households, 0..10000 basis points. One household more outweighs any share; the share only decides
    between cooperatives that take in equally many. Raises ValueError for negative input.
    """
    if acknowledged_households < 0 or credited_share_bp < 0:
        raise ValueError("households and shares cannot be negative")
    return acknowledged_households * (BASIS + 1) + min(credited_share_bp, BASIS)
