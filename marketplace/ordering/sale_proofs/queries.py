"""Reading what an order line was certified as at the time of its sale: from the history of certificates, which is
append-only, and the number the line itself froze."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.queries import BADGES, in_force_at
from marketplace.catalog.models import Certificate, Product
from marketplace.core.errors import NotFound
from marketplace.ordering.models import OrderLine


@dataclass(frozen=True)
class SaleProof:
    """A line, what it sold and when, and the certificates its goods had then."""

    line: OrderLine
    product: Product
    sold_at: datetime
    certificates: list[Certificate]


def sale_proof(session: Session, line_no: str) -> SaleProof:
    """The proof of a line that was sold as certified. Raises NotFound."""
    line = session.scalar(
        select(OrderLine).where(OrderLine.public_no == line_no, OrderLine.certificate_no != "")
    )
    if line is None:
        raise NotFound
    product = line.listing_version.listing.product
    sold_at = line.part.order.placed_at
    shown = [one for one in in_force_at(session, product.id, sold_at) if one.kind in BADGES]
    return SaleProof(line, product, sold_at, shown)
