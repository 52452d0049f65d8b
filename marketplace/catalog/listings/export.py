"""The cooperative's products as a sheet that can be changed and brought back: the columns of listings/sheet.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

import xlsxwriter

from marketplace.catalog.listings.differences import Content
from marketplace.catalog.listings.sheet import COLUMNS
from marketplace.catalog.models import Product
from marketplace.core.money import format_rate, format_yuan
from marketplace.core.quantity import format_kg
from marketplace.linkage.models import Mechanism
from marketplace.registry.roster.workbooks import NAVY, PLAIN

WIDTH = 16
MOST_WORDS = 120  # what a cell of an uploaded sheet may hold; longer words stay as they are


def write_products(
    rows: Iterator[tuple[Product, Content | None]], category_name: Callable[[Product], str]
) -> bytes:
    """An XLSX with a row for each product and what its listing says (or nothing yet); text only, so that numbers stay
    as they are."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, **PLAIN}) as book:
        text = book.add_format({"num_format": "@"})
        head = book.add_format({"bold": True, "font_color": "white", "bg_color": NAVY, "border": 1})
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(COLUMNS) - 1, WIDTH, text)
        for place, column in enumerate(COLUMNS):
            sheet.write_string(0, place, column.label, head)
        for line, (product, content) in enumerate(rows, start=1):
            cells = _cells(product, content, category_name(product))
            for place, column in enumerate(COLUMNS):
                sheet.write_string(line, place, cells.get(column.key, ""), text)
    return stream.getvalue()


def _cells(product: Product, content: Content | None, category: str) -> Mapping[str, str]:
    cells = {
        "product_no": product.public_no,
        "name": product.name,
        "category": category,
        "village": product.village.full_name,
        "specification": product.specification,
        "unit_name": product.unit_name,
        "net_mass_g": format_kg(product.net_mass_g),
        "gross_mass_g": format_kg(product.gross_mass_g),
        "shelf_life_days": str(product.shelf_life_days or ""),
        "storage": product.storage,
        "description": product.description if len(product.description) <= MOST_WORDS else "",
    }
    if content is None:
        return cells
    further = [f"{least}:{format_yuan(price, grouped=False)}" for least, price in content.tiers[1:3]]
    return cells | {
        "title": content.title,
        "description": content.description if len(content.description) <= MOST_WORDS else "",
        "price_fen": format_yuan(content.tiers[0][1], grouped=False) if content.tiers else "",
        "tier_2": further[0] if further else "",
        "tier_3": further[1] if len(further) > 1 else "",
        **{f"term_{one.value}": format_rate(content.terms[one]) for one in Mechanism if one in content.terms},
    }
