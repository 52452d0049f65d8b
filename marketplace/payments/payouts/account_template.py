"""The empty sheet of household accounts: headers alone, every column kept as text, so that no digit is lost."""

from __future__ import annotations

from io import BytesIO

import xlsxwriter

from marketplace.payments.payouts.account_sheets import COLUMNS

TITLE = "收款账号"
WIDTH = 24


def template() -> bytes:
    """An XLSX workbook with one sheet."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        text = book.add_format({"num_format": "@"})
        head = book.add_format({"num_format": "@", "bold": True, "bottom": 1})
        sheet = book.add_worksheet(TITLE)
        sheet.freeze_panes(1, 0)
        for place, aliases in enumerate(COLUMNS.values()):
            sheet.set_column(place, place, WIDTH, text)
            sheet.write_string(0, place, aliases[0], head)
    return stream.getvalue()
