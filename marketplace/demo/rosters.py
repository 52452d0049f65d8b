"""Rosters as cooperatives upload them: XLSX from Excel, CSV in GBK from an older office, one full of mistakes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from io import BytesIO, StringIO

import xlsxwriter

from marketplace.demo.people import Home
from marketplace.registry.models import Region
from marketplace.registry.roster.columns import Column

HEADER = [column.label for column in Column]
Row = list[str]
Writer = Callable[[Iterable[Sequence[str]]], bytes]


def rows_of(home: Home, village: Region, *, status: str, valid_from: date, phone: str) -> list[Row]:
    """The lines of a household, one a person, in the order of the template's columns."""
    return [
        [
            home.registry_no,
            home.head_name,
            village.full_name,
            member.person_no,
            member.name,
            member.relation,
            member.id_number,
            status,
            valid_from.isoformat(),
            phone if member.is_head else "",
        ]
        for member in home.members
    ]


def as_xlsx(rows: Iterable[Sequence[str]]) -> bytes:
    """A workbook with one sheet; every cell is text, as the template asks."""
    out = BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("名册")
        text = book.add_format({"num_format": "@"})
        for place, cells in enumerate([HEADER, *rows]):
            sheet.write_row(place, 0, cells, text)
    return out.getvalue()


def as_gbk_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """A CSV file in GBK, below a title line."""
    out = StringIO(newline="")
    lines = csv.writer(out)
    lines.writerow(["合作社农户名册"])
    lines.writerows([HEADER, *rows])
    return out.getvalue().encode("gb18030")


def with_mistakes(rows: list[Row]) -> list[Row]:
    """The rows with the mistakes rosters come with: a wrong check digit, an unknown village, a gap, a repeated line."""
    spoilt = [list(cells) for cells in rows]
    number, village, status, name = (HEADER.index(one.label) for one in _SPOILT)
    last = spoilt[0][number][-1]
    spoilt[0][number] = spoilt[0][number][:-1] + ("1" if last != "1" else "2")
    spoilt[len(spoilt) // 3][village] = "不知名村"
    spoilt[len(spoilt) // 2][status] = "不详"
    spoilt[-2][name] = ""
    return [*spoilt, list(spoilt[-1])]


_SPOILT = (Column.ID_NUMBER, Column.VILLAGE, Column.STATUS, Column.NAME)
