"""The columns of a roster: what they are called, which must be there, and finding them in a sheet.

Headers may stand in any order, under the names villages use, below a title. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from marketplace.core.labels import N_, LabelledEnum

HEADER_LINES = 10
RECOGNISED_AT_LEAST = 3
_NOTES = re.compile(r"[(\[【〔].*?[)\]】〕]|[\s*:：·]")


class Column(LabelledEnum):
    """A column of the roster; the label is its header in the template."""

    REGISTRY_NO = "registry_no", N_("户编号")
    HEAD_NAME = "head_name", N_("户主姓名")
    VILLAGE = "village", N_("村")
    PERSON_NO = "person_no", N_("人编号")
    NAME = "name", N_("姓名")
    RELATION = "relation", N_("与户主关系")
    ID_NUMBER = "id_number", N_("身份证号")
    STATUS = "status", N_("户状态")
    VALID_FROM = "valid_from", N_("认定日期")
    PHONE = "phone", N_("联系电话")


OPTIONAL = frozenset({Column.PHONE})
MOST_CHARACTERS = {
    Column.HEAD_NAME: 60,
    Column.VILLAGE: 160,
    Column.NAME: 60,
    Column.RELATION: 20,
    Column.STATUS: 40,
    Column.VALID_FROM: 40,
    Column.PHONE: 20,
}
MOST_DIGITS = 60  # numbers have their own checks of length; this only bounds what they look at
ALIASES = {
    Column.REGISTRY_NO: ("户编号", "户编码", "户号", "建档立卡户编号", "贫困户编号", "农户编号"),
    Column.HEAD_NAME: ("户主姓名", "户主", "户主名", "户主名字"),
    Column.VILLAGE: (
        "村",
        "所在村",
        "行政村",
        "村名",
        "村名称",
        "所属村",
        "村全名",
        "村代码",
        "村编码",
        "村行政区划代码",
        "行政区划代码",
        "行政区划代码或全名",
    ),
    Column.PERSON_NO: ("人编号", "人员编号", "人编码", "人员编码", "个人编号", "成员编号"),
    Column.NAME: ("姓名", "成员姓名", "家庭成员姓名", "人员姓名", "家庭成员", "成员"),
    Column.RELATION: ("与户主关系", "与户主的关系", "户主关系", "关系", "家庭关系"),
    Column.ID_NUMBER: (
        "身份证号",
        "身份证",
        "身份证号码",
        "公民身份号码",
        "居民身份证号",
        "居民身份证号码",
        "证件号码",
        "证件号",
    ),
    Column.STATUS: ("户状态", "状态", "户属性", "贫困户属性", "农户属性", "脱贫属性", "户类型", "农户类型"),
    Column.VALID_FROM: (
        "认定日期",
        "认定时间",
        "识别日期",
        "识别时间",
        "状态认定日期",
        "状态日期",
        "起始日期",
    ),
    Column.PHONE: ("联系电话", "电话", "电话号码", "手机", "手机号", "手机号码", "联系方式"),
}
_BY_HEADER = {alias: column for column, aliases in ALIASES.items() for alias in aliases}


@dataclass(frozen=True)
class Header:
    """Where the columns are: `row` is the line of the headers (1 first), `places` the position of each column."""

    row: int
    places: dict[Column, int]
    duplicates: tuple[Column, ...] = field(default=())

    @property
    def missing(self) -> tuple[Column, ...]:
        """The columns that must be there and are not."""
        return tuple(column for column in Column if column not in self.places and column not in OPTIONAL)

    @property
    def is_usable(self) -> bool:
        """Whether every column is found, once."""
        return not (self.missing or self.duplicates)


def plain_title(text: object) -> str:
    """A header cell without notes and marks, "" when it is no text: "身份证号码（18位）*" is 身份证号码."""
    if not isinstance(text, str):
        return ""
    return _NOTES.sub("", unicodedata.normalize("NFKC", text)[:80])


def column_of(text: object) -> Column | None:
    """The column a header cell names."""
    return _BY_HEADER.get(plain_title(text))


def header_in(lines: Sequence[Sequence[object]]) -> Header | None:
    """The header among the first lines of a sheet: the line that names most columns; None when none names three."""
    best: Header | None = None
    for row, cells in enumerate(lines[:HEADER_LINES], start=1):
        places: dict[Column, int] = {}
        duplicates: dict[Column, None] = {}
        for place, cell in enumerate(cells):
            column = column_of(cell)
            if column in places:
                duplicates[column] = None
            elif column:
                places[column] = place
        if len(places) >= RECOGNISED_AT_LEAST and len(places) > (len(best.places) if best else 0):
            best = Header(row, places, tuple(duplicates))
    return best
