"""Both search engines, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace.catalog.search.engine import SearchEngine
from marketplace.catalog.search.postgresql_engine import PostgresqlEngine
from marketplace.catalog.search.whoosh_engine import WhooshEngine
from tests.databases import borrowed


@pytest.fixture(params=["whoosh", "postgresql"])
def search_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SearchEngine]:
    if request.param == "whoosh":
        made = WhooshEngine(tmp_path / "index")
        yield made
        made.close()
        return
    store = request.getfixturevalue("postgresql_store")
    with borrowed(store) as url:
        yield PostgresqlEngine(store.engines.lend(url, "search"))
