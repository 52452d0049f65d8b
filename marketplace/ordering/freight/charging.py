"""What an order is charged for carrying its goods: a personal order alone, each cooperative by its own sheet.

What a unit orders is delivered at the price of the goods (direct supply); so are a group's and a voucher's goods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.ordering.freight.queries import Freight, Load, freights_of, require_delivered
from marketplace.ordering.wishes import Wish


@dataclass(frozen=True)
class Carriage:
    """Where goods are carried for freight: a county of the province, or empty for outside of it. `seen_fen` is what
    the buyer was shown, in fen by cooperative id, those that ask nothing left out: nobody pays a freight nobody saw.
    """

    region_code: str
    seen_fen: Mapping[int, int] | None = None


def loads_of(wanted: Sequence[Wish]) -> dict[int, Load]:
    """What each cooperative, by id, is to carry."""
    loads: dict[int, Load] = {}
    for wish in wanted:
        before = loads.get(wish.listing.cooperative_id, Load(0, 0))
        loads[wish.listing.cooperative_id] = Load(
            before.gross_g + wish.listing.product.gross_mass_g * wish.quantity,
            before.goods_fen + wish.price_fen * wish.quantity,
        )
    return loads


def freight_charged(
    session: Session, wanted: Sequence[Wish], carriage: Carriage | None
) -> dict[int, Freight]:
    """The freight of each cooperative, by id; nothing without a carriage.

    Raises Refused when a cooperative does not deliver there, Conflict when the freight is not what was seen.
    """
    if carriage is None:
        return {}
    charged = require_delivered(freights_of(session, carriage.region_code, loads_of(wanted)))
    asked = {key: one.fen for key, one in charged.items() if one.fen}
    if carriage.seen_fen is not None and carriage.seen_fen != asked:
        raise Conflict("freight_changed", N_("运费已按收货地区重新计算，请核对后再提交"), field="region")
    return charged
