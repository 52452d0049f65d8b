"""Weigh slips by the sheet: the columns, and recording a row by the rule that records any slip."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date

from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.linkage.agreement_finder import WHO_COLUMNS, AgreementFinder
from marketplace.linkage.mechanisms.contract_farming.models import USUAL_GRADES
from marketplace.linkage.mechanisms.contract_farming.queries import lock_agreements
from marketplace.linkage.mechanisms.contract_farming.rules import record_weigh_slip
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
    read_yuan,
)

COLUMNS = (
    *WHO_COLUMNS,
    SheetColumn(
        "slip_no", N_("过磅单号"), str.upper, aliases=("单号", "磅单号"), help=N_("照单据填写，每张不同")
    ),
    SheetColumn(
        "weighed_on",
        N_("日期"),
        read_day,
        N_("看不懂这个日期，请填成 2015-03-01 这样的格式"),
        aliases=("过磅日期", "交货日期"),
        help=N_("过磅的那一天，例如 2026-05-20"),
    ),
    SheetColumn("grade", N_("等级"), required=False, help=N_("不填按“统货”")),
    SheetColumn(
        "net_g",
        N_("净重（千克）"),
        read_kg,
        N_("请填写千克数，最多三位小数，例如 126.5"),
        aliases=("重量", "净重千克", "千克"),
        help=N_("千克，最多三位小数"),
    ),
    SheetColumn(
        "market_price_fen_per_kg",
        N_("市价（元/千克）"),
        read_yuan,
        N_("请填写金额，最多两位小数，例如 8.50"),
        aliases=("当日市价",),
        required=False,
        help=N_("当天的市价，不知道就不填"),
    ),
    SheetColumn("household_signer", N_("农户签字"), help=N_("替农户签字的人的姓名")),
    SheetColumn("cooperative_signer", N_("合作社签字"), help=N_("司磅员的姓名")),
)


def open_slips(session: Session, actor: Actor, ground: Ground, rows: Sequence[SheetRow]) -> Record:
    """What records a row as a weigh slip into the lot chosen on the page."""
    lot = ground.lot
    assert lot is not None

    def buys(agreement: Agreement, day: date) -> bool:
        version = version_on(agreement, day)
        return version is not None and bool(version.terms["commodity"] == lot.commodity)

    finder = AgreementFinder(session, ground.cooperative_id, Mechanism.CONTRACT_FARMING, suits=buys)
    lock_agreements(session, _meant(finder, rows))

    def record(row: SheetRow) -> Evidence:
        return record_weigh_slip(
            session,
            actor,
            agreement=finder.agreement_of(row, row["weighed_on"]),
            lot=lot,
            slip_no=row["slip_no"],
            weighed_on=row["weighed_on"],
            grade=row["grade"] or USUAL_GRADES[0],
            net_g=row["net_g"],
            market_price_fen_per_kg=row["market_price_fen_per_kg"],
            signatures=(row["household_signer"], row["cooperative_signer"]),
        )

    return record


def _meant(finder: AgreementFinder, rows: Sequence[SheetRow]) -> set[int]:
    """The agreements of the rows: locked before the lot is touched, and in one order, as single slips lock theirs."""
    found: set[int] = set()
    for row in rows:
        with suppress(Refused):  # said again when the row is recorded
            found.add(finder.agreement_of(row, row["weighed_on"]).id)
    return found


WEIGH_SLIPS = SheetFormat(
    name="weigh_slips",
    title=N_("过磅单登记表"),
    lead=N_("一行一张过磅单，全部记进这个批次。"),
    columns=COLUMNS,
    unique=("slip_no",),
    open=open_slips,
    needs_lot=True,
)
