"""Reading an uploaded sheet line by line: CSV in the encodings of Chinese offices, and XLSX.

Streams: a sheet of 100,000 lines is never in memory as a whole. Finds the header, counts the lines and notes merged
cells. What the cells mean is for `checks`. Pure: bytes in, lines out.
"""

from __future__ import annotations

import codecs
import csv
import re
import warnings
import zipfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO, TextIOWrapper
from itertools import chain, islice
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils.cell import range_boundaries

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.registry.roster.columns import HEADER_LINES, Header, header_in
from marketplace.registry.roster.xlsx_rows import FORMULA, Cells, RowParser, rows_of

MAX_ROWS = 200_000
MAX_COLUMNS = 60
MAX_SHEETS = 10
MAX_UNPACKED = 400 * 1024 * 1024
MAX_MERGED = 20_000
CHUNK = 1024 * 1024
ENCODINGS = ("utf-8", "gb18030")
DELIMITERS = ",\t;，"
OLD_OFFICE = b"\xd0\xcf\x11\xe0"
ZIP = b"PK\x03\x04"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"')
_OVERLAP = 200


HeaderFinder = Callable[[Sequence[Sequence[object]]], Any]


class MergedCells:
    """The merged ranges of a sheet, asked line by line."""

    def __init__(self, ranges: Iterable[tuple[int, int, int, int]]) -> None:
        self._ranges = sorted(ranges)  # first row, last row, first column, last column, from 1
        self._starts = [one[0] for one in self._ranges]
        self._longest = max((last - first for first, last, _a, _b in self._ranges), default=0)

    def __len__(self) -> int:
        return len(self._ranges)

    def holds(self, row: int, place: int) -> bool:
        """Whether the cell at `row` (from 1) and `place` (from 0) is part of a merged range."""
        upto = bisect_right(self._starts, row)
        since = bisect_right(self._starts, row - self._longest - 1)
        return any(
            first <= row <= last and left <= place + 1 <= right
            for first, last, left, right in self._ranges[since:upto]
        )


class SheetReader:
    """A sheet being read: its header, how many lines it has, and the lines in order.

    `find_header` finds the header in the first lines, a roster's when none is named; it has `row` (from 1). Raises
    Refused for a file that is no sheet, cannot be opened, or has too many lines.
    """

    def __init__(self, content: bytes, find_header: HeaderFinder = header_in) -> None:
        if kind_of(content) == "xlsx":
            self._lines, self.total, self.merged = _open_xlsx(content, find_header)
        else:
            self._lines, self.total, self.merged = _open_csv(content)
        self.position = 0
        self.at_end = False
        first = self._read(HEADER_LINES)
        self.header: Header | None = find_header(first)
        self.titles: Cells = first[self.header.row - 1] if self.header else ()
        self._lines = chain(first, self._lines)
        if self.header:
            self.lines(self.header.row)

    def lines(self, most: int) -> list[tuple[int, Cells]]:
        """Up to `most` further lines with their numbers (1 is the first line of the sheet)."""
        read = self._read(most)
        numbered = list(enumerate(read, start=self.position + 1))
        self.position += len(read)
        self.at_end = len(read) < most
        if self.position > MAX_ROWS + HEADER_LINES and any(any(cells) for cells in read):
            raise _too_many()
        return numbered

    def _read(self, most: int) -> list[Cells]:
        read: list[Cells] = []
        try:
            read.extend(islice(self._lines, most))  # keeps what came before a break
        except Exception as error:
            raise Refused(
                "sheet_broken",
                N_("第 %(row)s 行之后无法读取，请用 Excel 打开后另存一份再上传"),
                row=self.position + len(read),
            ) from error
        return read


def kind_of(content: bytes) -> str:
    """What a file is by its content, "xlsx" or "csv". Raises Refused for anything else; file names are not believed."""
    if not content.strip():
        raise Refused("empty_file", N_("上传的文件是空的，请重新选择"), field="file")
    if content.startswith(OLD_OFFICE):
        raise Refused(
            "old_excel",
            N_("这是旧版 .xls 或加了密码的文件，请在 Excel 里另存为不加密的 .xlsx 再上传"),
            field="file",
        )
    if content.startswith(ZIP):
        return "xlsx"
    if content[:2] not in UTF_16 and b"\x00" in content[:65536]:
        raise Refused("not_a_sheet", N_("这不是 CSV 或 XLSX 表格，请使用模板填写后上传"), field="file")
    encoding_of(content)
    return "csv"


def encoding_of(content: bytes) -> str:
    """The encoding of a CSV file: by its mark, else UTF-8, else GBK/GB18030. Raises Refused when none fits."""
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if content[:2] in UTF_16:
        return "utf-16"
    for encoding in ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        try:
            for start in range(0, len(content), CHUNK):
                decoder.decode(content[start : start + CHUNK])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise Refused(
        "unknown_encoding",
        N_("看不懂这个文件的编码，请在 Excel 里另存为“CSV UTF-8”或 .xlsx 再上传"),
        field="file",
    )


def _too_many() -> Refused:
    return Refused("too_many_rows", N_("一份名册最多 %(most)s 行，请分成几份上传"), most=MAX_ROWS)


# --- CSV ---


def _open_csv(content: bytes) -> tuple[Iterator[Cells], int, MergedCells]:
    total = content.count(b"\n") + 1
    if total > MAX_ROWS + HEADER_LINES:
        raise _too_many()
    encoding = encoding_of(content)
    head = content[: CHUNK // 16].decode(encoding, errors="ignore").splitlines()[:HEADER_LINES]
    delimiter = max(DELIMITERS, key=lambda one: max((line.count(one) for line in head), default=0))
    text = TextIOWrapper(BytesIO(content), encoding=encoding, newline="")
    lines = csv.reader(text, delimiter=delimiter)
    return (tuple(_csv_cell(cell) for cell in cells[:MAX_COLUMNS]) for cells in lines), total, MergedCells(())


def _csv_cell(cell: str) -> object:
    return FORMULA if cell.startswith("=") else cell


# --- XLSX ---


def _open_xlsx(content: bytes, find_header: HeaderFinder) -> tuple[Iterator[Cells], int, MergedCells]:
    try:
        _refuse_bomb(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions that do not matter here
            book = load_workbook(BytesIO(content), read_only=True, keep_links=False)
        lines, path = _sheet_with_header(content, book, find_header)
        total, merged = _survey(content, path)
    except Refused:
        raise
    except Exception as error:  # a broken package makes the parsers raise whatever broke first
        raise Refused(
            "sheet_unreadable", N_("这个 XLSX 文件打不开，请用 Excel 打开后另存一份再上传"), field="file"
        ) from error
    if total > MAX_ROWS + HEADER_LINES:
        raise _too_many()
    return lines, total, merged


def _refuse_bomb(content: bytes) -> None:
    with zipfile.ZipFile(BytesIO(content)) as package:
        parts = package.infolist()
        for part in parts:
            if part.filename.endswith(".xml"):
                with package.open(part) as opened:
                    if b"<!DOCTYPE" in opened.read(1024):
                        raise Refused(
                            "sheet_unreadable", N_("这个 XLSX 文件打不开，请用 Excel 打开后另存一份再上传")
                        )
    if sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise Refused("sheet_too_large", N_("这个表格解开后太大，请删去图片和多余的工作表，或分成几份上传"))


def _sheet_with_header(content: bytes, book: Any, find_header: HeaderFinder) -> tuple[Iterator[Cells], str]:
    """The lines of the first visible sheet that has a header, or of the first visible one; and its path."""
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"][:MAX_SHEETS]
    found = next(
        (one for one in sheets if find_header(list(islice(_lines_of(content, one), HEADER_LINES)))), sheets[0]
    )
    return _lines_of(content, found), found._worksheet_path  # noqa: SLF001 - openpyxl tells it nowhere else


def _lines_of(content: bytes, sheet: Any) -> Iterator[Cells]:
    book, strings, path = sheet.parent, sheet._shared_strings, sheet._worksheet_path  # noqa: SLF001 - see above
    day_styles = book._date_formats  # noqa: SLF001 - see above
    limits = {"most_rows": MAX_ROWS + HEADER_LINES, "most_columns": MAX_COLUMNS}
    return rows_of(content, path, RowParser(strings, day_styles, book.epoch, **limits))


def _survey(content: bytes, path: str) -> tuple[int, MergedCells]:
    """How many rows the sheet's part holds, and what is merged: one quick pass over its bytes."""
    ranges: list[bytes] = []
    rows, tail = 0, b""
    with zipfile.ZipFile(BytesIO(content)) as package, package.open(path.lstrip("/")) as part:
        while chunk := part.read(CHUNK):
            window = tail + chunk
            settled = max(0, len(window) - _OVERLAP)  # what begins later is met again with the next chunk
            rows += sum(match.start() < settled for match in _ROW.finditer(window))
            ranges += [match[1] for match in _MERGED.finditer(window) if match.start() < settled]
            tail = window[settled:]
    rows += len(_ROW.findall(tail))
    ranges += _MERGED.findall(tail)
    boundaries = (range_boundaries(one.decode()) for one in ranges[:MAX_MERGED])
    return rows, MergedCells(
        (top or 0, bottom or 0, left or 0, right or 0) for left, top, right, bottom in boundaries
    )
