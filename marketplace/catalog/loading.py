"""Bringing the shipped category tree and the linkage floors of the pilot year into the database. Repeating it is
harmless: names follow the shipped list, floors that a jurisdiction has set are left alone."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.content.read import categories
from marketplace.catalog.models import Category, LinkageFloor
from marketplace.catalog.queries import PROVINCE

FLOOR_YEAR = 2020


def load_categories(session: Session) -> int:
    """Add or rename the shipped categories and add their floors; returns how many categories there are."""
    rows = categories()
    for row in rows:
        session.merge(
            Category(
                code=row.code,
                parent_code=row.parent_code,
                name_zh=row.name_zh,
                name_en=row.name_en,
                path=row.path,
                needs_certificate=row.needs_certificate,
                position=row.position,
            )
        )
    session.flush()
    kept = set(
        session.scalars(
            select(LinkageFloor.category_code).where(
                LinkageFloor.region_code == PROVINCE, LinkageFloor.year == FLOOR_YEAR
            )
        )
    )
    session.add_all(
        LinkageFloor(region_code=PROVINCE, year=FLOOR_YEAR, category_code=row.code, min_bp=row.min_linkage_bp)
        for row in rows
        if row.code not in kept
    )
    session.flush()
    return len(rows)
