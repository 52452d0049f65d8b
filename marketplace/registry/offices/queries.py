"""Reading government bodies."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from marketplace.identity.models import Organisation, OrganisationKind, User
from marketplace.registry.models import Region


def offices(text: str = "") -> Select[Organisation, str]:
    """Every government body with the full name of its place, from the province down; `text` is a part of either."""
    query = (
        select(Organisation, Region.full_name)
        .outerjoin(Region, Region.code == Organisation.region_code)
        .where(Organisation.kind == OrganisationKind.GOVERNMENT)
    )
    if text:
        names = (Organisation.name, Region.full_name)
        query = query.where(or_(*(name.contains(text.strip(), autoescape=True) for name in names)))
    return query.order_by(func.length(Organisation.region_code), Organisation.region_code, Organisation.id)


def people_counts(session: Session, organisation_ids: Sequence[int]) -> dict[int, int]:
    """How many working accounts each organisation has, in one statement."""
    query = (
        select(User.organisation_id, func.count())
        .where(User.organisation_id.in_(organisation_ids), User.disabled_at.is_(None))
        .group_by(User.organisation_id)
    )
    return {one: count for one, count in session.execute(query) if one is not None}
