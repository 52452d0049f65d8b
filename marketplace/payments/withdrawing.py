"""The reason for which a paper is withdrawn: an income slip or a purchase certificate."""

from __future__ import annotations

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

MOST_REASON = 300
LEAST_REASON = 2


def withdrawal_reason(reason: str) -> str:
    """The reason, trimmed. Raises Refused unless it is 2 to 300 characters."""
    text = reason.strip()
    if not LEAST_REASON <= len(text) <= MOST_REASON:
        raise Refused("reason", N_("请写明作废的原因，2 到 300 个字"), field="reason")
    return text
