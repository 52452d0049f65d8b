"""What an edit or a version changes against the one before. Pure: contents in, differences out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marketplace.catalog.listings.models import ListingEdit, Matter
from marketplace.catalog.models import ListingVersion
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import BASIS
from marketplace.linkage.models import Mechanism

Tiers = tuple[tuple[int, int], ...]


class Part(LabelledEnum):
    """The parts of a listing that may differ."""

    TITLE = "title", N_("标题")
    DESCRIPTION = "description", N_("介绍")
    TIERS = "tiers", N_("价格")
    TERMS = "terms", N_("归农户的比例")
    CERTIFICATE = "certificate", N_("认证证书")


@dataclass(frozen=True)
class Content:
    """What a listing says: prices as (least quantity, fen), shares in basis points by mechanism, a certificate's
    number."""

    title: str
    description: str
    tiers: Tiers
    terms: Mapping[Mechanism, int] = field(default_factory=dict)
    certificate: str = ""

    @property
    def total_bp(self) -> int:
        """The share of all mechanisms."""
        return sum(self.terms.values())

    def price_at(self, quantity: int) -> int:
        """The unit price of so many units; that of the first tier below it."""
        reached = [price for least, price in self.tiers if least <= quantity]
        return reached[-1] if reached else self.tiers[0][1]


@dataclass(frozen=True)
class Difference:
    """One part before and after."""

    part: Part
    before: object
    after: object


def content_of_version(version: ListingVersion) -> Content:
    """What a version says."""
    return Content(
        version.title,
        version.description,
        tuple((tier.min_quantity, tier.unit_price_fen) for tier in version.tiers),
        {term.mechanism: term.rate_bp for term in version.terms},
        version.certificate.number if version.certificate else "",
    )


def content_of_edit(edit: ListingEdit) -> Content:
    """What an edit says."""
    return Content(
        edit.title,
        edit.description,
        tuple((least, price) for least, price in sorted(edit.tiers)),
        {
            mechanism: edit.terms[mechanism.value]
            for mechanism in Mechanism
            if edit.terms.get(mechanism.value)
        },
        edit.certificate.number if edit.certificate else "",
    )


def differences(before: Content | None, after: Content) -> list[Difference]:
    """The parts that differ, in the order of Part; every part when there was nothing before."""
    pairs = [
        (part, getattr(before, part.value) if before else None, getattr(after, part.value)) for part in Part
    ]
    return [Difference(part, old, new) for part, old, new in pairs if old != new and (old or new)]


def matters_of(before: Content, after: Content, *, change_bp: int, has_new_pictures: bool) -> list[Matter]:
    """What of an edit is looked at first: words, pictures, the claim of a certificate, a price that rises by more than
    `change_bp` of what it was at any quantity, and a smaller share for households."""
    quantities = {least for least, _price in (*before.tiers, *after.tiers)}
    dearer = any(
        after.price_at(count) * BASIS > before.price_at(count) * (BASIS + change_bp) for count in quantities
    )
    found = {
        Matter.TITLE: before.title != after.title,
        Matter.DESCRIPTION: before.description != after.description,
        Matter.PICTURE: has_new_pictures,
        Matter.CERTIFICATE: bool(after.certificate) and before.certificate != after.certificate,
        Matter.PRICE: dearer,
        Matter.TERMS: after.total_bp < before.total_bp,
    }
    return [matter for matter, applies in found.items() if applies]
