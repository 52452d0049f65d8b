"""What has changed of the goods in a cart since the buyer last saw them: price, share for households, words, the mass
of a unit, certificates that are in force no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from marketplace.catalog.certificates.queries import badges_of
from marketplace.catalog.listings.differences import Part, content_of_version
from marketplace.catalog.models import CertificateKind, Listing, ListingVersion
from marketplace.catalog.queries import sale_stop
from marketplace.core.clock import today

WORDS = (Part.TITLE, Part.DESCRIPTION, Part.CERTIFICATE)


class Seen(Protocol):
    """A line of a cart, with what its owner saw of the listing; None where that is not known."""

    @property
    def listing(self) -> Listing:
        """What is in the cart."""

    @property
    def quantity(self) -> int:
        """How many units."""

    @property
    def seen_version(self) -> ListingVersion | None:
        """What the listing said."""

    @property
    def seen_certificates(self) -> str | None:
        """The codes of the kinds it showed, between spaces."""


@dataclass(frozen=True)
class LineChange:
    """A line whose listing says something else: the unit price (fen), the households' share (basis points) and the
    grams of a unit before and now, at the quantity wanted; which further parts differ, and which certificates ended."""

    line: Seen
    price_before: int
    price_now: int
    share_before: int
    share_now: int
    mass_before: int
    mass_now: int
    words: tuple[Part, ...] = ()
    ended: tuple[CertificateKind, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether the buyer has anything to look at."""
        return bool(
            self.words
            or self.ended
            or self.price_before != self.price_now
            or self.share_before != self.share_now
            or self.mass_before != self.mass_now
        )


def seen_now(listing: Listing) -> dict[str, Any]:
    """The columns of a cart line that keep what its owner sees of a listing now."""
    return {
        "seen_version_id": listing.current_version_id,
        "seen_certificates": certificates_shown(listing),
    }


def certificates_shown(listing: Listing) -> str:
    """The codes of the kinds of certificate a listing shows today, between spaces."""
    return " ".join(sorted(one.kind.value for one in badges_of(listing.product, today())))


def changes_since_seen(lines: Iterable[Seen]) -> list[LineChange]:
    """The lines whose listing says something else than the buyer saw. Lines not for sale any more are not told here."""
    found = [_change_of(line) for line in lines]
    return [change for change in found if change is not None and change.is_one]


def _change_of(line: Seen) -> LineChange | None:
    seen, current = line.seen_version, line.listing.current_version
    if seen is None or current is None or sale_stop(line.listing, today()) is not None:
        return None
    before, after = content_of_version(seen), content_of_version(current)
    shown = certificates_shown(line.listing).split()
    return LineChange(
        line,
        before.price_at(line.quantity),
        after.price_at(line.quantity),
        before.total_bp,
        after.total_bp,
        seen.net_mass_g,
        current.net_mass_g,
        tuple(part for part in WORDS if getattr(before, part.value) != getattr(after, part.value)),
        tuple(CertificateKind(code) for code in (line.seen_certificates or "").split() if code not in shown),
    )
