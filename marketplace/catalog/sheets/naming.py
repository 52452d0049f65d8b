"""Finding what people write in a sheet by its name: categories and villages."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Category
from marketplace.core.errors import Refused
from marketplace.core.labels import N_


class CategoryFinder:
    """The categories by name (Chinese or English) or code, read once."""

    def __init__(self, session: Session) -> None:
        rows = session.scalars(select(Category).order_by(Category.position)).all()
        parents = {row.parent_code for row in rows}
        self._leaves = {row.code for row in rows if row.code not in parents}
        self._by_name = {
            name.casefold(): row.code for row in rows for name in (row.name_en, row.name_zh, row.code)
        }

    def code_of(self, written: str, *, leaf: bool) -> str:
        """The code of a category; `leaf`: of one without further kinds. Raises Refused (category)."""
        code = self._by_name.get(written.strip().casefold())
        if code is None:
            raise Refused(
                "category_unknown", N_("没有这个品类，请照“填写说明”里的名称填写"), field="category"
            )
        if leaf and code not in self._leaves:
            raise Refused("category_wide", N_("请填写最末一级的品类"), field="category")
        return code
