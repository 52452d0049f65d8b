"""The index of the search engine in PostgreSQL: derived from the listings, made again at will.

The tables exist on SQLite as well, where they stay empty, so that one set of migrations leads to one schema.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.core.db import Base

CODES = ARRAY(Text()).with_variant(JSON(), "sqlite")


class SearchEntry(Base):
    """A listing as search sees it: what it is found by (`tokens`), filtered and counted by, and ordered by.

    `tokens` holds words, pairs and pinyin, each with the weight of where it stands: A what the thing is, B its name, C
    its kind and place, D its description. `words` are those of the name that may be suggested.
    """

    __tablename__ = "search_entry"
    __table_args__ = (Index("ix_search_entry_tokens", "tokens", postgresql_using="gin"),)

    listing_no: Mapped[str] = mapped_column(String(16), primary_key=True)
    tokens: Mapped[str] = mapped_column(TSVECTOR().with_variant(Text(), "sqlite"))
    words: Mapped[list[str]] = mapped_column(CODES)
    category: Mapped[list[str]] = mapped_column(CODES)
    county: Mapped[list[str]] = mapped_column(CODES)
    certificate: Mapped[list[str]] = mapped_column(CODES)
    cooperative: Mapped[list[str]] = mapped_column(CODES)
    price_fen: Mapped[int] = mapped_column(BigInteger)
    price_per_kg_fen: Mapped[int] = mapped_column(BigInteger)
    name_length: Mapped[int]
    priority: Mapped[int] = mapped_column(BigInteger)
    sold: Mapped[int] = mapped_column(BigInteger)
    published: Mapped[int] = mapped_column(BigInteger)
    in_stock: Mapped[bool]


class SearchState(Base):
    """The one row that counts the changes of the index, so that readers know which state they have."""

    __tablename__ = "search_state"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(BigInteger)
