"""What of an edit the county looks at before it shows; publishing asks the same, so that nothing goes round the look.

Guards of the migrations compare the same when a listing goes on to a further version and when a picture is shown.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.catalog.listings.differences import Content, content_of_version, matters_of
from marketplace.catalog.listings.models import Matter
from marketplace.catalog.models import ListingVersion, Product
from marketplace.catalog.prices.queries import known_before, rules_in_force
from marketplace.core.clock import today
from marketplace.core.money import BASIS


def find_matters(
    session: Session,
    product: Product,
    before: ListingVersion | None,
    after: Content,
    *,
    has_new_pictures: bool = False,
) -> list[Matter]:
    """What of `after` the county looks at. A first listing shows at once, unless the same goods were listed before for
    less: then listing them anew would go round the look at the rise."""
    county = product.cooperative.county_code
    change_bp = rules_in_force(session, {county}, today())[county].change_bp
    if before is not None and after.tiers:
        return matters_of(
            content_of_version(before), after, change_bp=change_bp, has_new_pictures=has_new_pictures
        )
    known = known_before(session, product)
    if known is None or known.current_version is None or not after.tiers:
        return []
    was_fen, was_g = known.current_version.tiers[0].unit_price_fen, known.current_version.net_mass_g
    dearer = after.tiers[0][1] * was_g * BASIS > was_fen * product.net_mass_g * (BASIS + change_bp)
    return [Matter.RELISTED] if dearer else []
