"""What has changed of the goods in a cart since the buyer last saw them: price, share for households, words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from marketplace.catalog.listings.differences import Part, content_of_version
from marketplace.ordering.models import CartLine


@dataclass(frozen=True)
class LineChange:
    """A line whose listing was edited: the unit price (fen) and the households' share (basis points) before and now, at
    the quantity wanted, and which further parts differ."""

    line: CartLine
    price_before: int
    price_now: int
    share_before: int
    share_now: int
    words: tuple[Part, ...]


def changes_since_seen(lines: Iterable[CartLine]) -> list[LineChange]:
    """The lines whose listing says something else than the buyer saw. Lines not for sale any more are not told here."""
    found = []
    for line in lines:
        seen, current = line.seen_version, line.listing.current_version
        if seen is None or current is None or seen.id == current.id:
            continue
        before, after = content_of_version(seen), content_of_version(current)
        words = tuple(
            part
            for part in (Part.TITLE, Part.DESCRIPTION, Part.CERTIFICATE)
            if getattr(before, part.value) != getattr(after, part.value)
        )
        change = LineChange(
            line,
            before.price_at(line.quantity),
            after.price_at(line.quantity),
            before.total_bp,
            after.total_bp,
            words,
        )
        if words or change.price_before != change.price_now or change.share_before != change.share_now:
            found.append(change)
    return found
