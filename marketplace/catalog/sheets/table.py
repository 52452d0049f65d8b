"""Every kind of sheet and its format."""

from __future__ import annotations

from marketplace.catalog.listings.sheet import LISTINGS
from marketplace.catalog.prices.sheet import REFERENCES
from marketplace.catalog.sheets.format import CatalogFormat
from marketplace.catalog.sheets.models import SheetKind

FORMATS: dict[SheetKind, CatalogFormat] = {
    SheetKind.REFERENCES: REFERENCES,
    SheetKind.LISTINGS: LISTINGS,
}
