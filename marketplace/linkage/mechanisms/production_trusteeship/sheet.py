"""Yields by the sheet: the columns, and recording a row by the rule that records any yield."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.linkage.agreement_finder import WHO_COLUMNS, AgreementFinder
from marketplace.linkage.mechanisms.production_trusteeship.models import HalfYear
from marketplace.linkage.mechanisms.production_trusteeship.rules import record_yield
from marketplace.linkage.models import Agreement, Evidence, Mechanism
from marketplace.linkage.queries import version_on
from marketplace.linkage.sheet_format import (
    Ground,
    Record,
    SheetColumn,
    SheetFormat,
    SheetRow,
    read_day,
    read_kg,
    read_whole,
)

FIRST_HALF = frozenset({"上半年", "上", "1", "第一季"})
SECOND_HALF = frozenset({"下半年", "下", "2", "第二季"})


def read_half(text: str) -> HalfYear:
    """The half of a year as people write it. Raises ValueError."""
    if text in FIRST_HALF:
        return HalfYear.FIRST
    if text in SECOND_HALF:
        return HalfYear.SECOND
    raise ValueError(text)


def read_year(text: str) -> int:
    """A year, with or without its sign. Raises ValueError."""
    return read_whole(text.removesuffix("年"))


COLUMNS = (
    *WHO_COLUMNS,
    SheetColumn(
        "year",
        N_("产季年份"),
        read_year,
        N_("请填写年份，例如 2026"),
        aliases=("年份", "年度"),
        help=N_("例如 2026"),
    ),
    SheetColumn(
        "half",
        N_("产季"),
        read_half,
        N_("请填写“上半年”或“下半年”"),
        aliases=("季别", "季节"),
        help=N_("填“上半年”或“下半年”"),
    ),
    SheetColumn(
        "actual_g",
        N_("实际产量（千克）"),
        read_kg,
        N_("请填写千克数，最多三位小数，例如 126.5"),
        aliases=("实际产量", "产量", "产量千克", "千克"),
        help=N_("千克，最多三位小数；绝收填 0"),
    ),
    SheetColumn(
        "recorded_on",
        N_("收获日期"),
        read_day,
        N_("看不懂这个日期，请填成 2015-03-01 这样的格式"),
        aliases=("日期", "收割日期"),
        help=N_("收完的那一天，例如 2026-05-20"),
    ),
)


def open_yields(session: Session, actor: Actor, ground: Ground, _rows: Sequence[SheetRow]) -> Record:
    """What records a row as the yield of a season into the lot chosen on the page."""
    lot = ground.lot
    assert lot is not None

    def tends(agreement: Agreement, day: date) -> bool:
        version = version_on(agreement, day)
        return version is not None and bool(version.terms["commodity"] == lot.commodity)

    finder = AgreementFinder(session, ground.cooperative_id, Mechanism.PRODUCTION_TRUSTEESHIP, suits=tends)

    def record(row: SheetRow) -> Evidence:
        return record_yield(
            session,
            actor,
            agreement=finder.agreement_of(row, row["recorded_on"]),
            lot=lot,
            year=row["year"],
            half=row["half"],
            actual_g=row["actual_g"],
            recorded_on=row["recorded_on"],
        )

    return record


YIELDS = SheetFormat(
    name="yields",
    title=N_("托管产量登记表"),
    lead=N_("一行一户一季的产量，全部记进这个批次；服务费跟着算。"),
    columns=COLUMNS,
    unique=("head_name", "registry_no", "agreement_no", "year", "half"),
    open=open_yields,
    needs_lot=True,
)
