"""The exports as text for spreadsheets and other programs, written portion by portion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from marketplace.audit.exports import queries
from marketplace.core.clock import business_day
from marketplace.core.csv_sheets import CSV, write_csv
from marketplace.core.labels import N_
from marketplace.core.portions import in_portions
from marketplace.core.workbooks import Cell, Column, Translate
from marketplace.identity.actors import Actor
from marketplace.identity.downloads.kinds import FileKind, Making
from marketplace.identity.permissions import Permission
from marketplace.payments.models import Credit, Settlement
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.web.filters import masked

MOVEMENT_COLUMNS = (
    Column(N_("类别"), 10),
    Column(N_("编号"), 16),
    Column(N_("日期"), 12, "day"),
    Column(N_("农户编号"), 16),
    Column(N_("户主"), 12),
    Column(N_("村"), 20),
    Column(N_("合作社"), 28),
    Column(N_("联结方式"), 12),
    Column(N_("归属"), 12),
    Column(N_("订单号"), 16),
    Column(N_("订单行"), 16),
    Column(N_("商品"), 28),
    Column(N_("金额（元）"), 14, "yuan"),
    Column(N_("原因"), 28),
    Column(N_("账本凭证号"), 24),
)
LINE_COLUMNS = (
    Column(N_("订单行"), 16),
    Column(N_("结算日期"), 12, "day"),
    Column(N_("订单号"), 16),
    Column(N_("合作社"), 28),
    Column(N_("商品"), 28),
    Column(N_("数量"), 10, "number"),
    Column(N_("单位"), 8),
    Column(N_("单价（元）"), 12, "yuan"),
    Column(N_("净额（元）"), 14, "yuan"),
    Column(N_("联结资金（元）"), 14, "yuan"),
    Column(N_("账本凭证号"), 24),
)
WORDS = {Credit: N_("入账"), CreditAddition: N_("补记"), CreditReversal: N_("扣回")}


@dataclass(frozen=True)
class Export:
    """An export: its name (a source string), how many rows it has, its columns, and its rows as cells."""

    label: str
    count: Callable[[Session, Actor, date, date], int]
    columns: Sequence[Column]
    rows: Callable[[Session, Actor, date, date, Translate], Iterator[Sequence[Cell]]]


def movement_rows(
    session: Session, actor: Actor, since: date, until: date, translate: Translate
) -> Iterator[Sequence[Cell]]:
    """Credits, then additions, then what was taken back. Heads of households in full for those who may read them."""
    reads_names = actor.can(Permission.READ_HOUSEHOLDS)
    for model in queries.MOVEMENTS:
        word, query = translate(WORDS[model]), queries.movements(model, actor, since, until)
        for row in in_portions(session, query, model.id):
            yield (
                word,
                row.number,
                business_day(row.at),
                row.household_no,
                row.head_name if reads_names else masked(row.head_name),
                *_origin(row, translate),
                row.fen,
                row.reason or None,
                row.entry_no,
            )


def _origin(row: Any, translate: Translate) -> Sequence[Cell]:
    return (
        row.village,
        row.cooperative,
        translate(row.mechanism.label),
        translate(row.attribution.label),
        row.order_no,
        row.line_no,
        row.title,
    )


def line_rows(
    session: Session, actor: Actor, since: date, until: date, _translate: Translate
) -> Iterator[Sequence[Cell]]:
    """Settled lines in the order they were ordered."""
    for row in in_portions(session, queries.settled_lines(actor, since, until), Settlement.line_id):
        _line_id, line_no, at, *rest = row
        yield (line_no, business_day(at), *rest)


EXPORTS = {
    "credits": Export(N_("农户入账明细"), queries.count_movements, MOVEMENT_COLUMNS, movement_rows),
    "settlements": Export(N_("已结算订单行"), queries.count_settled, LINE_COLUMNS, line_rows),
}


def _kind_of(export: Export) -> FileKind:
    def write(making: Making) -> None:
        since, until = (date.fromisoformat(making.params[end]) for end in ("since", "until"))
        rows = export.rows(making.session, making.actor, since, until, making.translate)
        write_csv(making.target, export.columns, making.followed(rows), translate=making.translate)

    return FileKind(export.label, (Permission.READ_AUDIT,), CSV, "csv", write)


FILE_KINDS = {f"audit_{name}": _kind_of(export) for name, export in EXPORTS.items()}
