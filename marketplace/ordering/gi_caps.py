"""The caps on the use of geographical indications: what lines take of an agreement, and what cancelled ones give back.

Agreements are locked in the order of their ids, after the lots, by those who take and by those who give back. The
constraint of the agreement (sold never more than the cap) stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.models import GiUse
from marketplace.catalog.models import Certificate, CertificateState
from marketplace.core.clock import today
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.core.quantity import format_kg
from marketplace.ordering.models import LineGiUse
from marketplace.ordering.stock import Goods


class Caps:
    """What may still be sold under the agreements in force of products, locked; taken for one order after the other
    and then counted together."""

    def __init__(self, session: Session, product_ids: Iterable[int]) -> None:
        self._session = session
        self._left: dict[
            int, dict[int, int]
        ] = {}  # grams by agreement, by product, what ends first at the top
        self._taken: dict[int, int] = {}
        for product_id, certificate_id, left_g in _left(session, list(product_ids)):
            self._left.setdefault(product_id, {})[certificate_id] = left_g

    def find(self, wanted: Sequence[Goods]) -> dict[int, int]:
        """The agreement that each of these goods can be sold under, by product; goods without one are left out. Raises
        Conflict when none allows as much."""
        return {goods.product_id: self._room_for(goods) for goods in wanted if goods.product_id in self._left}

    def take(self, wanted: Sequence[Goods], found: Mapping[int, int]) -> None:
        """Take the goods from the agreements that `find` has found for them."""
        for goods in wanted:
            if goods.product_id in found:
                certificate_id = found[goods.product_id]
                self._left[goods.product_id][certificate_id] -= goods.mass_g
                self._taken[certificate_id] = self._taken.get(certificate_id, 0) + goods.mass_g

    def _room_for(self, goods: Goods) -> int:
        left = self._left[goods.product_id]
        for certificate_id, left_g in left.items():
            if left_g >= goods.mass_g:
                return certificate_id
        raise Conflict(
            "gi_cap",
            N_("“%(title)s”的地理标志使用协议只剩 %(left)s 千克可卖，请减少数量"),
            title=goods.title,
            left=format_kg(max(left.values())),
        )

    def hold(self) -> None:
        """Count what was taken as sold."""
        taken, self._taken = self._taken, {}
        _count(self._session, taken)


def _left(session: Session, product_ids: Sequence[int]) -> list[tuple[int, int, int]]:
    """(product id, agreement, grams left) of agreements in force, locked, those that end first at the top."""
    day = today()
    query = (
        select(
            Certificate.product_id, GiUse.certificate_id, GiUse.cap_g - GiUse.sold_g, Certificate.expires_on
        )
        .join(GiUse, GiUse.certificate_id == Certificate.id)
        .where(
            Certificate.product_id.in_(product_ids),
            Certificate.state == CertificateState.VALID,
            Certificate.issued_on <= day,
            Certificate.expires_on > day,
        )
        .order_by(GiUse.certificate_id)
        .with_for_update(of=GiUse)
    )
    rows = sorted(session.execute(query).all(), key=lambda row: (row.expires_on, row.certificate_id))
    return [(product_id, certificate_id, int(left_g)) for product_id, certificate_id, left_g, _ in rows]


def give_back(session: Session, line_ids: Sequence[int]) -> None:
    """Give the grams of cancelled lines back to their agreements."""
    query = select(LineGiUse.certificate_id, LineGiUse.mass_g).where(LineGiUse.line_id.in_(line_ids))
    grams: dict[int, int] = {}
    for certificate_id, mass_g in session.execute(query):
        grams[certificate_id] = grams.get(certificate_id, 0) - mass_g
    _count(session, grams)


def _count(session: Session, grams: Mapping[int, int]) -> None:
    """Move the sold grams of agreements, negative to give back, in the order of ids."""
    if not grams:
        return
    uses = cast("Table", GiUse.__table__)
    statement = (
        update(uses)
        .where(uses.c.certificate_id == bindparam("agreement"))
        .values(sold_g=uses.c.sold_g + bindparam("grams"))
    )
    session.execute(statement, [{"agreement": one, "grams": grams[one]} for one in sorted(grams)])
