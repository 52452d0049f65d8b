"""Rents by the sheet: the columns, and recording a row by the rule that records any parcel-year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.linkage.agreement_finder import WHO_COLUMNS, AgreementFinder
from marketplace.linkage.mechanisms.land_transfer.rules import record_parcel_year
from marketplace.linkage.models import Agreement, Evidence, Mechanism
from marketplace.linkage.queries import version_on
from marketplace.linkage.sheet_format import (
    Ground,
    Record,
    SheetColumn,
    SheetFormat,
    SheetRow,
    read_day,
)
from marketplace.linkage.spans import FOREVER

DAY_HINT = N_("看不懂这个日期，请填成 2015-03-01 这样的格式")


def read_last_day(text: str) -> date:
    """Where a span ends whose last day is written. Raises ValueError."""
    day = read_day(text)
    if day >= FOREVER:
        raise ValueError(text)
    return day + timedelta(days=1)


COLUMNS = (
    *WHO_COLUMNS,
    SheetColumn(
        "parcel_no",
        N_("地块编码"),
        aliases=("地块", "承包地块编码", "地块代码", "地块号"),
        required=False,
        help=N_("19 位承包地块编码；协议里只有一块地时可以不填"),
    ),
    SheetColumn(
        "starts_on",
        N_("租金起始日"),
        read_day,
        DAY_HINT,
        aliases=("起始日期", "开始日期", "起"),
        help=N_("这笔租金从哪一天算起，例如 2026-01-01"),
    ),
    SheetColumn(
        "ends_on",
        N_("租金截止日（含当天）"),
        read_last_day,
        DAY_HINT,
        aliases=("租金截止日", "截止日期", "结束日期", "止"),
        help=N_("算到哪一天为止，含当天，例如 2026-12-31"),
    ),
)


def open_rents(session: Session, actor: Actor, ground: Ground, _rows: Sequence[SheetRow]) -> Record:
    """What records a row as the rent of one parcel for its days."""
    finder = AgreementFinder(session, ground.cooperative_id, Mechanism.LAND_TRANSFER)

    def record(row: SheetRow) -> Evidence:
        agreement = finder.agreement_of(row, row["starts_on"])
        return record_parcel_year(
            session,
            actor,
            agreement=agreement,
            parcel_no=row["parcel_no"] or _only_parcel(agreement, row["starts_on"]),
            starts_on=row["starts_on"],
            ends_on=row["ends_on"],
        )

    return record


def _only_parcel(agreement: Agreement, day: date) -> str:
    version = version_on(agreement, day) or agreement.versions[-1]
    parcels = version.terms["parcels"]
    if len(parcels) > 1:
        raise Refused("several_parcels", N_("这份协议有几块地，请填地块编码"), field="parcel_no")
    return str(parcels[0]["parcel_no"])


RENTS = SheetFormat(
    name="rents",
    title=N_("土地租金登记表"),
    lead=N_("一行一块地一段时间的租金，可以一次记全村一年。"),
    columns=COLUMNS,
    unique=("head_name", "registry_no", "agreement_no", "parcel_no", "starts_on"),
    open=open_rents,
)
