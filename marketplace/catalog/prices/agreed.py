"""Prices agreed elsewhere than in a listing, held against the same guard: offers on requests, orders before the
harvest, fixed prices of standing orders."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.catalog.models import Product
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.prices.models import AgreedPriceCheck
from marketplace.catalog.prices.rules import PriceFinding, assess_price, held_columns
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_rate, format_yuan


def require_fair_agreed(
    session: Session, product: Product, *, unit_price_fen: int, net_mass_g: int, field: str
) -> PriceFinding:
    """How an agreed price (fen for a unit of so many grams) stands to its reference.

    Raises Refused at `field`, with the figures, when it is above the bound and the county has not accepted why.
    """
    finding = assess_price(session, product, [(1, unit_price_fen)], net_mass_g=net_mass_g)
    reference, most = finding.reference, finding.most_unit_fen
    if not finding.is_blocked or reference is None or most is None:
        return finding
    raise Refused(
        "price_above",
        N_(
            "“%(product)s”折合每千克 %(price)s 元，比参考价 %(reference)s 元高 %(excess)s%%，超过允许的 %(bound)s%%。"
            "每%(unit)s最多 %(limit)s 元，除非合作社提交的价格说明已由县里核定"
        ),
        field=field,
        product=product.name,
        price=format_yuan(per_kg_fen(unit_price_fen, net_mass_g)),
        reference=format_yuan(reference.per_kg_fen),
        excess=format_rate(finding.excess_bp),
        bound=format_rate(finding.rules.above_bp),
        unit=product.unit_name,
        limit=format_yuan(most),
    )


def hold_agreed_price(
    session: Session, product: Product, *, unit_price_fen: int, net_mass_g: int, field: str
) -> AgreedPriceCheck:
    """The check of an agreed price, frozen. Raises as `require_fair_agreed`."""
    finding = require_fair_agreed(
        session, product, unit_price_fen=unit_price_fen, net_mass_g=net_mass_g, field=field
    )
    check = AgreedPriceCheck(product_id=product.id, **held_columns(finding))
    session.add(check)
    session.flush()
    return check
