"""Checking one row of a roster: what each cell means, or what is wrong with it and how to mend it.

Pure: no database, no clock. A finding names its row and column and never repeats what stands in the cell: findings
are kept, cells may be personal data. What only several rows or the register can show is for `cross_checks`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.registry import identifiers
from marketplace.registry.models import HouseholdStatusKind, Region
from marketplace.registry.roster.columns import MOST_CHARACTERS, MOST_DIGITS, OPTIONAL, Column, Header
from marketplace.registry.roster.sheets import MergedCells
from marketplace.registry.roster.xlsx_rows import Cells, Formula

HEAD = "户主"
EXAMPLE_REGISTRY_NO = "0000000000"
VILLAGE_ENDINGS = ("村民委员会", "村委会", "村")
COMMUNITY_ENDINGS = ("社区居民委员会", "社区居委会", "居民委员会", "居委会", "社区")
LIKELY_A_PERSON = 3
STATUS_WORDS = {
    HouseholdStatusKind.REGISTERED: (
        "建档立卡贫困户",
        "建档立卡户",
        "建档立卡",
        "贫困户",
        "一般贫困户",
        "低保贫困户",
        "特困供养贫困户",
        "未脱贫",
    ),
    HouseholdStatusKind.EXITED: ("脱贫户", "已脱贫户", "已脱贫", "脱贫", "脱贫享受政策户"),
    HouseholdStatusKind.AT_RISK: ("边缘易致贫户", "边缘户", "易致贫户", "监测户", "监测对象"),
    HouseholdStatusKind.INELIGIBLE: ("不符合条件", "不符合", "非贫困户", "一般农户"),
}
_STATUS_OF = {word: status for status, words in STATUS_WORDS.items() for word in words}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff]")
_BETWEEN_HANZI = re.compile(r"(?<=[\u3400-\u9fff·])\s+(?=[\u3400-\u9fff·])")
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+?\d{1,2}")
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_LANDLINE = re.compile(r"(0\d{2,3}-?)?\d{7,8}")


@dataclass(frozen=True)
class Finding:
    """What is wrong in a cell (`column` None: in the row), and how to mend it: a Chinese source text and its params."""

    row: int
    column: Column | None
    code: str
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class PersonRow:
    """A row as far as it could be read; what could not is None."""

    row: int
    registry_no: str | None = None
    head_name: str | None = None
    village_code: str | None = None
    person_no: str | None = None
    name: str | None = None
    relation: str | None = None
    id_number: str | None = None
    status: HouseholdStatusKind | None = None
    valid_from: date | None = None
    phone: str | None = None

    @property
    def is_head(self) -> bool:
        """Whether the row is the household's head."""
        return self.relation == HEAD


class Villages:
    """The villages of a county, by code and by the names people write.

    `places` are the county's places, with the city above it.
    """

    def __init__(self, county_code: str, places: Iterable[Region]) -> None:
        self.county_code = county_code
        self._by_name: dict[str, str | None] = {}
        names = {place.code: place.name for place in places}
        self._codes = {code for code in names if len(code) == 12}
        for code in self._codes:
            city, county, township = (names.get(code[:length], "") for length in (4, 6, 9))
            befores = ("", township, county + township, city + county + township)
            for name in {before + name for name in _village_names(names[code]) for before in befores}:
                known = self._by_name.setdefault(name, code)
                if known != code:
                    self._by_name[name] = None  # two villages of that name

    def code_of(self, text: str) -> str:
        """The village meant by a code of 12 digits or a name. Raises Refused: unknown, ambiguous or elsewhere."""
        if text.isascii() and text.isdigit():
            if len(text) == 12 and not text.startswith(self.county_code):
                raise Refused("village_elsewhere", N_("这个村不在本合作社所在的县，名册只能登记本县农户"))
            if text in self._codes:
                return text
            raise Refused(
                "unknown_village", N_("没有这个行政区划代码，村级代码为 12 位，请核对或改填村的全名")
            )
        name = text.replace(" ", "").removeprefix("江西省")
        if name not in self._by_name:
            raise Refused(
                "unknown_village", N_("本县没有找到这个村，请填“县＋乡镇＋村”的全名或 12 位行政区划代码")
            )
        code = self._by_name[name]
        if code is None:
            raise Refused(
                "village_ambiguous", N_("本县有几个同名的村，请填“乡镇＋村”的全名或 12 位行政区划代码")
            )
        return code


def _village_names(name: str) -> set[str]:
    """Every way of writing a village's name: 鳌溪村委会, 鳌溪村民委员会, 鳌溪村, 鳌溪."""
    for endings in (VILLAGE_ENDINGS, COMMUNITY_ENDINGS):
        ending = next((ending for ending in endings if name.endswith(ending) and name != ending), None)
        if ending:
            core = name.removesuffix(ending)
            return {core, *(core + other for other in endings)}
    return {name}


@dataclass(frozen=True)
class Ground:
    """What a row is checked against: the sheet's header and merged cells, the villages, who counts, the day."""

    header: Header
    merged: MergedCells
    villages: Villages
    counting: frozenset[HouseholdStatusKind]
    today: date


def check_row(row: int, cells: Cells, ground: Ground) -> tuple[PersonRow, list[Finding]] | None:
    """Read a row: what it says and what is wrong with it. None for an empty row and for the template's example."""
    filled = [
        place
        for place, cell in enumerate(cells)
        if (cell.strip() if isinstance(cell, str) else cell is not None)
    ]
    if not filled:
        return None
    person = PersonRow(row)
    if len(set(filled) & set(ground.header.places.values())) < LIKELY_A_PERSON:
        return person, [
            Finding(row, None, "not_a_person", N_("这一行不像一个人的信息，如果是合计或说明，请删掉"))
        ]
    findings = []
    for column, place in ground.header.places.items():
        cell = cells[place] if place < len(cells) else None
        is_merged = len(ground.merged) > 0 and ground.merged.holds(row, place)
        try:
            setattr(person, FIELDS[column], _value_of(column, cell, ground, is_merged=is_merged))
        except Refused as refusal:
            findings.append(Finding(row, column, refusal.code, refusal.message, refusal.params))
    return None if person.registry_no == EXAMPLE_REGISTRY_NO else (person, findings)


def _value_of(column: Column, cell: object, ground: Ground, *, is_merged: bool) -> Any:
    if isinstance(cell, Formula):
        raise Refused("formula_cell", N_("这一格是公式，请复制后“选择性粘贴 → 数值”再上传"))
    text = text_of(cell)
    if not text:
        if is_merged:
            raise Refused("merged_cell", N_("这一格和别的格合并了，请取消合并，在每一行都填上内容"))
        if column in OPTIONAL:
            return None
        raise Refused("empty_cell", N_("这一格没有填，请补上"))
    if not text.isalnum() and _CONTROL.search(text):
        raise Refused("bad_characters", N_("这一格里有看不见的特殊字符，请删掉后重新输入"))
    most = MOST_CHARACTERS.get(column, MOST_DIGITS)
    if len(text) > most:
        raise Refused("cell_too_long", N_("内容太长，最多 %(most)s 个字，请核对是否填错了列"), most=most)
    if column in NUMBERS and _SCIENTIFIC.fullmatch(text):
        raise Refused(
            "digits_lost", N_("长数字被 Excel 改成了科学计数，后几位已丢失，请把这一列设为“文本”后重新填写")
        )
    return READERS[column](cell, text, ground)


def text_of(cell: object) -> str:
    """What a cell says as text, spaces tidied: numbers without decimals, days as 2015-03-01."""
    if cell is None or isinstance(cell, Formula):
        return ""
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    text = str(cell)
    if text.isalnum() and (text.isascii() or unicodedata.is_normalized("NFKC", text)):
        return text
    tidy = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip()
    return _BETWEEN_HANZI.sub("", tidy.removeprefix("'").strip())


def _id_number(cell: object, text: str, ground: Ground) -> str:
    try:
        return identifiers.parse_resident_id(text, on=ground.today).number
    except Refused as refusal:
        if not isinstance(cell, int):
            raise
        raise Refused(
            "digits_lost", N_("身份证号被 Excel 存成了数字，后三位已丢失，请把这一列设为“文本”后重新填写")
        ) from refusal


def _status(_cell: object, text: str, ground: Ground) -> HouseholdStatusKind:
    status = _STATUS_OF.get(text.replace(" ", ""))
    if status is None:
        raise Refused(
            "unknown_status", N_("看不懂这个户状态，请填：建档立卡贫困户、脱贫户、边缘易致贫户或不符合条件")
        )
    if status not in ground.counting:
        raise Refused(
            "not_beneficiary",
            N_("按本县当年政策，“%(status)s”不是帮扶对象，不能加入，请删去这户"),
            status=status.label,
        )
    return status


def day_written(text: str) -> date | None:
    """The day meant by 2015-03-01, 2015年3月1日, 2015/3/1 or 20150301; None for anything else."""
    match = _DATE.fullmatch(text) or _COMPACT_DATE.fullmatch(text)
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None


def _valid_from(_cell: object, text: str, ground: Ground) -> date:
    day = day_written(text)
    if day is None or day.year < 1978:
        raise Refused("bad_date", N_("看不懂这个日期，请填成 2015-03-01 这样的格式"))
    if day > ground.today:
        raise Refused("date_in_future", N_("认定日期晚于今天，请核对"))
    return day


def _phone(_cell: object, text: str, _ground: Ground) -> str:
    if _LANDLINE.fullmatch(text.replace(" ", "")):
        return text.replace(" ", "")
    return identifiers.check_mobile(text)


FIELDS = {column: "village_code" if column is Column.VILLAGE else column.value for column in Column}
NUMBERS = frozenset({Column.REGISTRY_NO, Column.PERSON_NO, Column.ID_NUMBER, Column.VILLAGE, Column.PHONE})
READERS: dict[Column, Callable[[object, str, Ground], Any]] = {
    Column.REGISTRY_NO: lambda _cell, text, _ground: identifiers.check_household_no(text),
    Column.HEAD_NAME: lambda _cell, text, _ground: text,
    Column.VILLAGE: lambda _cell, text, ground: ground.villages.code_of(text),
    Column.PERSON_NO: lambda _cell, text, _ground: identifiers.check_person_no(text),
    Column.NAME: lambda _cell, text, _ground: text,
    Column.RELATION: lambda _cell, text, _ground: text,
    Column.ID_NUMBER: _id_number,
    Column.STATUS: _status,
    Column.VALID_FROM: _valid_from,
    Column.PHONE: _phone,
}
