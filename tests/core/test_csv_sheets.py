"""Text for spreadsheets: exact amounts, days, no formulas, and a mark so that Chinese is read right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from io import BytesIO

import pytest

from marketplace.core.csv_sheets import write_csv
from marketplace.core.workbooks import Cell, Column, Rate

COLUMNS = (
    Column("词", 10),
    Column("元", 10, "yuan"),
    Column("率", 10, "percent"),
    Column("日", 10, "day"),
    Column("数", 10, "number"),
)


def written(*rows: Sequence[Cell]) -> str:
    target = BytesIO()
    assert write_csv(target, COLUMNS, iter(rows), translate=lambda words: words) == len(rows)
    return target.getvalue().decode()


def test_cells_are_exact() -> None:
    text = written(
        ("脐橙, 5 公斤", 123_456, 1_235, date(2026, 3, 1), 7),
        (None, -5, -50, None, 0),
        ("", 0, Rate(10_000), date(2026, 12, 31), -3),
    )
    assert text == (
        "\ufeff词,元,率,日,数\r\n"
        '"脐橙, 5 公斤",1234.56,12.35%,2026-03-01,7\r\n'
        ",-0.05,-0.50%,,0\r\n"
        ",0.00,100.00%,2026-12-31,-3\r\n"
    )


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_never_becomes_a_formula(words: str) -> None:
    line = written((words, 1, 1, None, 1)).split("\r\n", 1)[1]
    assert line.lstrip('"').startswith(f"'{words}")


def test_rows_are_written_as_they_come() -> None:
    """What was written before a row is asked for is at the target already: nothing is collected."""
    target, seen = BytesIO(), []

    def rows() -> Iterator[Sequence[Cell]]:
        for number in range(3):
            seen.append(target.getvalue().count(b"\r\n"))
            yield ("", 0, 0, None, number)

    write_csv(target, COLUMNS, rows(), translate=lambda words: words)
    assert seen == [1, 2, 3]
    target.write(b"still open")
