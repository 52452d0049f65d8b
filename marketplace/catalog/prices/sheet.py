"""Reference prices by the sheet: what a price bureau or a market observed, one row for each specification and day."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from marketplace.catalog.prices.rules import record_reference
from marketplace.catalog.prices.specs import spec_key_of
from marketplace.catalog.sheets.format import CatalogFormat, Take
from marketplace.catalog.sheets.naming import CategoryFinder
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.sheet_format import SheetColumn, SheetRow, read_day, read_yuan


def _read_words(text: str) -> str:
    if len(text) > 60:
        raise ValueError(text)
    return text


LONG = N_("最多 60 个字")
COLUMNS = (
    SheetColumn("category", N_("品类"), _read_words, LONG, help=N_("平台的品类名称，例如 山茶油")),
    SheetColumn(
        "specification",
        N_("规格等级"),
        _read_words,
        LONG,
        aliases=("规格", "等级"),
        required=False,
        help=N_("例如 一级压榨；不填表示整个品类"),
    ),
    SheetColumn(
        "per_kg_fen",
        N_("每千克价格（元）"),
        read_yuan,
        N_("请填写金额，最多两位小数，例如 8.50"),
        aliases=("单价", "价格", "每千克价格", "元千克"),
        help=N_("元，最多两位小数"),
    ),
    SheetColumn(
        "observed_on",
        N_("采价日期"),
        read_day,
        N_("看不懂这个日期，请填成 2015-03-01 这样的格式"),
        aliases=("日期",),
        help=N_("看到这个价格的那一天"),
    ),
    SheetColumn(
        "source_name",
        N_("来源"),
        _read_words,
        LONG,
        aliases=("采价点", "数据来源"),
        help=N_("例如 县发改局价格监测、县城农贸市场"),
    ),
)


def _begin(session: Session, actor: Actor, _rows: Sequence[SheetRow]) -> Take:
    categories = CategoryFinder(session)

    def take(row: SheetRow) -> object:
        written = row["specification"] or ""
        return record_reference(
            session,
            actor,
            category_code=categories.code_of(row["category"], leaf=bool(written)),
            specification=written,
            spec_key=spec_key_of(written, written) if written else "",
            per_kg_fen=row["per_kg_fen"],
            observed_on=row["observed_on"],
            source_name=row["source_name"],
        )

    return take


REFERENCES = CatalogFormat(
    name="references",
    title=N_("参考价表"),
    lead=N_("一行一个规格的市场价。录入后作为同规格商品定价的参考，比参考价高出五分之一以上的不能上架。"),
    columns=COLUMNS,
    unique=("category", "specification", "observed_on"),
    permission=Permission.MANAGE_REFERENCE_PRICES,
    begin=_begin,
)
