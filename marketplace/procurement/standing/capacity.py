"""What a cooperative can deliver on a day by standing orders, and what it has promised of that.

Promises of a cooperative are written under its lock, so that what was read still holds when it is written; the table's
own check (never more promised than there is capacity) stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.procurement.standing.models import DayCapacity, DeliveryWindow
from marketplace.procurement.standing.queries import PlannedLine
from marketplace.registry.models import Cooperative

Units = dict[tuple[int, date], int]  # by listing id and day


def units_of(windows: Iterable[DeliveryWindow], lines: Mapping[int, list[PlannedLine]]) -> Units:
    """The units that windows bring of each listing on each day."""
    units: Units = {}
    for window in windows:
        for line in lines[window.id]:
            key = (line.listing.id, window.deliver_on)
            units[key] = units.get(key, 0) + line.quantity
    return units


def difference(after: Units, before: Units) -> Units:
    """What has to be promised on top of `before` to have promised `after`; negative to give back."""
    keys = {*after, *before}
    return {key: after.get(key, 0) - before.get(key, 0) for key in keys}


def book_units(
    session: Session,
    units: Units,
    *,
    capacity: Mapping[int, int] | None = None,
    makes_room: bool = False,
) -> None:
    """Promise `units`, negative ones given back; `capacity` is what the cooperative declares a day, by listing.

    A day without a declaration has the most that was declared for the listing; `makes_room` raises it where it is too
    little, because the cooperative itself has offered. Raises Conflict naming listing and day
    when more would be promised than there is capacity; then nothing is promised.
    """
    wanted = {key: count for key, count in units.items() if count or capacity}
    if not wanted:
        return
    cooperatives = _locked_cooperatives(session, {listing_id for listing_id, _day in wanted})
    rows = _rows(session, wanted)
    usual = _usual(session, wanted, rows)
    changed, new = [], []
    for (listing_id, day), count in sorted(wanted.items()):
        row = rows.get((listing_id, day))
        room = (capacity or {}).get(listing_id, row.capacity_units if row else usual.get(listing_id, 0))
        promised = (row.promised_units if row else 0) + count
        if makes_room:
            room = max(room, promised)
        if promised > room and (count > 0 or capacity):
            _refuse(session, listing_id, day, room - (promised - count))
        values = {"capacity_units": room, "promised_units": promised}
        if row:
            changed.append({"id": row.id, **values})
        elif promised:
            own = {"cooperative_id": cooperatives[listing_id], "listing_id": listing_id, "day": day}
            new.append({**own, **values})
    if changed:
        session.execute(update(DayCapacity), changed)
    if new:
        session.execute(insert(DayCapacity), new)


def _locked_cooperatives(session: Session, listing_ids: set[int]) -> dict[int, int]:
    """The cooperative of each listing, each locked in the order of their ids."""
    query = select(Listing.id, Listing.cooperative_id).where(Listing.id.in_(listing_ids))
    own = dict(session.execute(query).all())
    lock = select(Cooperative.id).where(Cooperative.id.in_(set(own.values()))).order_by(Cooperative.id)
    session.execute(lock.with_for_update(key_share=True))
    return own


def _rows(session: Session, wanted: Units) -> dict[tuple[int, date], DayCapacity]:
    days = [day for _listing_id, day in wanted]
    query = select(DayCapacity).where(
        DayCapacity.listing_id.in_({listing_id for listing_id, _day in wanted}),
        DayCapacity.day.between(min(days), max(days)),
    )
    found = session.scalars(query.execution_options(populate_existing=True)).unique()
    return {(row.listing_id, row.day): row for row in found}


def _usual(session: Session, wanted: Units, rows: Mapping[tuple[int, date], DayCapacity]) -> dict[int, int]:
    """The most declared of each listing that has no row on some day."""
    missing = {listing_id for listing_id, day in wanted if (listing_id, day) not in rows}
    if not missing:
        return {}
    query = select(DayCapacity.listing_id, func.max(DayCapacity.capacity_units))
    found = query.where(DayCapacity.listing_id.in_(missing)).group_by(DayCapacity.listing_id)
    return dict(session.execute(found).all())


def _refuse(session: Session, listing_id: int, day: date, left: int) -> None:
    raise Conflict(
        "capacity_exceeded",
        N_("合作社 %(day)s 的“%(title)s”供货能力只剩 %(left)s 件，请调整数量或日期"),
        day=day.isoformat(),
        title=session.get_one(Listing, listing_id).product.name,
        left=max(0, left),
    )
