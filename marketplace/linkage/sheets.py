"""Reading a sheet of evidence: its header, its rows, and the rows that stand in it twice. What a sheet is: see
sheet_format; what becomes of it: see sheet_rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from marketplace.core.errors import NotFound, Refused
from marketplace.core.labels import N_
from marketplace.linkage.mechanisms.sheet_table import SHEETS
from marketplace.linkage.sheet_format import Finding, SheetFormat, SheetHeader, SheetRow, SheetShape
from marketplace.registry.roster.sheets import SheetReader

MOST_ROWS = 1_000
MOST_LINES = 2 * MOST_ROWS
MOST_BYTES = 4 * 1024 * 1024


def format_named(name: str) -> SheetFormat:
    """The format of that name. Raises NotFound."""
    if name not in SHEETS:
        raise NotFound
    return SHEETS[name]


def sheet_reader(sheet_format: SheetShape, content: bytes) -> SheetReader:
    """The sheet, its header found. Raises Refused when it is none, too large, or lacks a column."""
    if len(content) > MOST_BYTES:
        raise Refused("sheet_too_large", N_("文件太大，请分成几份上传"), field="file")
    reader = SheetReader(content, sheet_format.header_in)
    header: Any = reader.header
    if header is None:
        message = N_("没有找到表头，请下载模板，把内容填在模板里再上传")
        raise Refused("no_header", message, field="file")
    missing = [one for one in sheet_format.columns if one.required and one not in header.places]
    if missing:
        message = N_("缺少“%(column)s”这一列，请照模板补上")
        raise Refused("no_column", message, field="file", column=missing[0].label)
    return reader


def rows_of(sheet_format: SheetShape, content: bytes) -> tuple[list[SheetRow], list[Finding]]:
    """The rows of a sheet that could be read, and what is wrong in the others.

    Raises Refused for what is no such sheet, has no rows, or more than MOST_ROWS.
    """
    reader = sheet_reader(sheet_format, content)
    header: SheetHeader = reader.header  # type: ignore[assignment]  # found by this format
    rows: list[SheetRow] = []
    findings: list[Finding] = []
    read = 0
    for number, cells in reader.lines(MOST_LINES):
        found = sheet_format.read_row(number, cells, header)
        if found is None:
            continue
        read += 1
        if isinstance(found, SheetRow):
            rows.append(found)
        else:
            findings += found
    if read > MOST_ROWS or not reader.at_end:
        message = N_("一份登记表最多 %(most)s 行，请分成几份上传")
        raise Refused("too_many_rows", message, field="file", most=MOST_ROWS)
    if not read:
        raise Refused("no_rows", N_("表里没有内容，请填好后再上传"), field="file")
    return rows, findings


def without_repeats(
    sheet_format: SheetShape, rows: Iterable[SheetRow]
) -> tuple[list[SheetRow], list[Finding]]:
    """The first row of each key, and a finding for each further one."""
    first: dict[tuple[Any, ...], int] = {}
    kept: list[SheetRow] = []
    findings: list[Finding] = []
    label = next((one.label for one in sheet_format.columns if one.key == sheet_format.unique[0]), "")
    for row in rows:
        key = tuple(row[name] for name in sheet_format.unique)
        if key in first:
            message = N_("和第 %(first)s 行重复，同一笔只能登记一次，请删去一行")
            findings.append(Finding(row.number, label, message, {"first": first[key]}))
        else:
            first[key] = row.number
            kept.append(row)
    return kept, findings
