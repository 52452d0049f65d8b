"""Reading freight sheets, and what they ask for a load."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.ordering.freight.models import FreightRate, FreightSheet

PARCEL_G = 1_000


@dataclass(frozen=True)
class Load:
    """What one cooperative is to carry: grams with packaging, and what the goods cost in fen."""

    gross_g: int
    goods_fen: int


@dataclass(frozen=True)
class Freight:
    """What carrying a load costs in fen, under which sheet, and the days it takes where the sheet says so."""

    fen: int = 0
    sheet_id: int | None = None
    days: tuple[int, int] | None = None


FREE = Freight()


def current_sheets(session: Session, cooperative_ids: Collection[int]) -> dict[int, FreightSheet]:
    """The newest sheet of each cooperative, by its id; cooperatives without one are left out."""
    newest = (
        select(FreightSheet.cooperative_id, func.max(FreightSheet.version))
        .where(FreightSheet.cooperative_id.in_(cooperative_ids))
        .group_by(FreightSheet.cooperative_id)
    )
    query = select(FreightSheet).where(tuple_(FreightSheet.cooperative_id, FreightSheet.version).in_(newest))
    return {sheet.cooperative_id: sheet for sheet in session.scalars(query)}


def rate_for(sheet: FreightSheet, region_code: str) -> FreightRate | None:
    """The rate of the smallest zone that holds a destination (empty for one outside the province), None where the
    cooperative does not deliver."""
    fitting = [rate for rate in sheet.rates if region_code.startswith(rate.zone_code)]
    return max(fitting, key=lambda rate: len(rate.zone_code), default=None)


def freight_fen(rate: FreightRate, gross_g: int) -> int:
    """Fen for a load of `gross_g` grams: the first kilogram, and each further one begun."""
    further = max(0, -((PARCEL_G - gross_g) // PARCEL_G))
    return rate.first_fen + further * rate.further_fen


def freight_of(sheet: FreightSheet | None, region_code: str, load: Load) -> Freight | None:
    """What a sheet asks for a load, None where the cooperative does not deliver."""
    if sheet is None:
        return FREE
    rate = rate_for(sheet, region_code)
    if rate is None:
        return None
    is_free = sheet.free_from_fen is not None and load.goods_fen >= sheet.free_from_fen
    fen = 0 if is_free else freight_fen(rate, load.gross_g)
    return Freight(fen, sheet.id, (rate.days_from, rate.days_to))


def freights_of(session: Session, region_code: str, loads: Mapping[int, Load]) -> dict[int, Freight | None]:
    """What each cooperative (by id) asks for its load, None where it does not deliver; in two statements."""
    sheets = current_sheets(session, loads)
    return {key: freight_of(sheets.get(key), region_code, load) for key, load in loads.items()}


def require_delivered(freights: Mapping[int, Freight | None]) -> dict[int, Freight]:
    """The freights. Raises Refused, at field `region`, when one of the cooperatives does not deliver there."""
    found = {key: freight for key, freight in freights.items() if freight is not None}
    if len(found) < len(freights):
        raise Refused(
            "not_delivered_there",
            N_("有合作社暂不配送到这个地区，请换一个收货地区，或先移除它的商品"),
            field="region",
        )
    return found
