"""Reading sheets: lines one after the other, whatever their number; and files that mean harm."""

import tracemalloc
import warnings
import zipfile
from datetime import datetime, time
from io import BytesIO

import pytest
import xlsxwriter
from openpyxl import load_workbook

from marketplace.core.errors import Refused
from marketplace.registry.roster.columns import Column, column_of
from marketplace.registry.roster.sheets import MAX_ROWS, MergedCells, SheetReader
from marketplace.registry.roster.xlsx_rows import Formula
from tests.factories.rosters import HEADERS, csv_of, households, person, xlsx_of

DAY = datetime(2015, 3, 1)  # noqa: DTZ001 - a spreadsheet knows no zones
NOON = DAY.replace(hour=12)
WRITERS = pytest.mark.parametrize("write", [csv_of, xlsx_of], ids=["csv", "xlsx"])


def read_all(reader, step=50_000):
    """The numbers of all its lines."""
    numbers = []
    while not reader.at_end:
        numbers += [number for number, _cells in reader.lines(step)]
    return numbers


@WRITERS
def test_lines_come_in_order_with_their_numbers_and_the_count_is_known_before(write):
    reader = SheetReader(write(households(3000)))
    assert reader.header.row == 1
    assert reader.total in (6001, 6002)  # a CSV ends with an empty line
    assert read_all(reader, 700) == list(range(2, 6002))


@WRITERS
def test_reading_holds_one_step_of_lines_in_memory_not_the_sheet(write):
    reader = SheetReader(write(households(2000)))
    peaks = []
    tracemalloc.start()
    while not reader.at_end:
        tracemalloc.reset_peak()
        reader.lines(200)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert len(peaks) == 21
    assert max(peaks[10:]) < 1.3 * max(peaks[:10])


def test_merged_ranges_are_found_far_down_the_sheet():
    rows = list(households(1500))
    reader = SheetReader(xlsx_of(rows, merges=["A2:A3", "C2900:D2950"]))
    assert len(reader.merged) == 2
    assert reader.merged.holds(3, 0)
    assert reader.merged.holds(2950, 3)
    assert not reader.merged.holds(2951, 3)
    assert not reader.merged.holds(3, 1)


def test_a_cell_is_merged_when_any_range_holds_it():
    merged = MergedCells([(2, 100, 1, 1), (50, 51, 2, 3)])
    assert [merged.holds(row, 0) for row in (1, 2, 100, 101)] == [False, True, True, False]
    assert [merged.holds(51, place) for place in (0, 1, 2, 3)] == [True, True, True, False]
    assert not MergedCells(()).holds(1, 0)


def test_the_roster_may_be_on_a_later_sheet_and_hidden_ones_do_not_count():
    stream = BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        hidden, notes, roster = (book.add_worksheet(name) for name in ("旧", "说明", "名册"))
        hidden.write_row(0, 0, HEADERS)
        hidden.hide()
        notes.write(0, 0, "请看下一张")
        roster.write_row(2, 0, HEADERS)
        roster.write_row(3, 0, [person(1)[header] for header in HEADERS])
        notes.activate()
        notes.set_first_sheet()
    reader = SheetReader(stream.getvalue())
    assert reader.header.row == 3
    assert reader.lines(10)[0][1][0] == "3700000001"


def _as_a_roster_reads(cell):
    """What openpyxl reads as a float stays as the sheet writes it, and a time of day is left out."""
    if isinstance(cell, datetime):
        return datetime.combine(cell, time.min)
    return f"{cell:.16G}" if isinstance(cell, float) else cell


@pytest.mark.parametrize("options", [{}, {"constant_memory": True}], ids=["shared strings", "inline strings"])
def test_cells_are_read_as_openpyxl_reads_them(options):
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {**options, "default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True})
        sheet.write_row(0, 0, HEADERS)
        sheet.write_row(1, 0, ["文字", " 空格 ", "", 42, -7, 3.5, 3600000001, 361025197001010000])
        sheet.write_boolean(1, 8, True)
        sheet.write_datetime(1, 9, DAY)
        sheet.write_datetime(2, 3, NOON)
        if not options:
            sheet.write_rich_string(2, 5, "半", bold, "粗", "体")
        sheet.write_string(4, 2, "隔行 & <符号>")  # the fourth line is missing
        sheet.write_blank(5, 0, None, bold)
    content = stream.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = list(load_workbook(BytesIO(content)).active.iter_rows(min_row=2, values_only=True))
    read = [cells for _number, cells in SheetReader(content).lines(10)]
    padded = [cells + (None,) * (len(HEADERS) - len(cells)) for cells in read]
    assert [[_as_a_roster_reads(cell) for cell in cells] for cells in expected[: len(padded)]] == [
        *map(list, padded)
    ]
    assert len(padded) in (4, 5)
    assert read[0][9] == DAY


def test_a_row_far_down_an_otherwise_empty_sheet_is_refused():
    stream = BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADERS)
        sheet.write(1_048_575, 0, "最后一行")
    reader = SheetReader(stream.getvalue())
    with pytest.raises(Refused) as refused:
        read_all(reader)
    assert refused.value.code == "too_many_rows"


def test_formulas_of_every_kind_are_told_apart_from_values():
    stream = BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADERS)
        sheet.write_formula(1, 0, "=1+1", value=2)
        sheet.write_array_formula("B2:B2", "{=SUM(A2:A3)}")
        sheet.write_string(1, 2, "文字")
    [(_row, cells)] = SheetReader(stream.getvalue()).lines(1)
    assert [isinstance(cell, Formula) for cell in cells[:3]] == [True, True, False]


def test_more_lines_than_allowed_are_refused_before_they_are_read():
    with pytest.raises(Refused) as refused:
        SheetReader(b"a\n" * (MAX_ROWS + 20))
    assert (refused.value.code, refused.value.params) == ("too_many_rows", {"most": MAX_ROWS})


def repacked(content, **changes):
    """The package with other contents for some of its parts."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name.rsplit("/", 1)[-1].replace(".xml", ""), old.read(name)))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"workbook": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}, "sheet_unreadable"),
        ({"workbook": b"not xml"}, "sheet_unreadable"),
        ({"sheet1": b"<worksheet><sheetData><row></worksheet>"}, "sheet_unreadable"),
        ({"theme1": b" " * (410 * 1024 * 1024)}, "sheet_too_large"),
    ],
    ids=["entities", "no workbook", "broken sheet", "bomb"],
)
def test_a_package_that_means_harm_is_refused(changes, code):
    with pytest.raises(Refused) as refused:
        SheetReader(repacked(xlsx_of([person(1)]), **changes))
    assert refused.value.code == code


def test_a_sheet_that_breaks_off_says_after_which_line():
    whole = xlsx_of(households(200))
    with zipfile.ZipFile(BytesIO(whole)) as package:
        sheet = package.read("xl/worksheets/sheet1.xml")
    reader = SheetReader(repacked(whole, sheet1=sheet[: len(sheet) // 2]))
    with pytest.raises(Refused) as refused:
        reader.lines(400)
    assert refused.value.code == "sheet_broken"
    assert 150 < refused.value.params["row"] < 250


@pytest.mark.parametrize(
    ("written", "column"),
    [
        ("身份证号", Column.ID_NUMBER),
        (" 身份证号码（18位）* ", Column.ID_NUMBER),
        ("户 主 姓 名", Column.HEAD_NAME),
        ("户主", Column.HEAD_NAME),
        ("与户主的关系：", Column.RELATION),
        ("备注", None),
        ("", None),
        (None, None),
        (12, None),
    ],
)
def test_a_header_is_recognised_as_people_write_it(written, column):
    assert column_of(written) is column
