"""The search index in PostgreSQL.

The tables stay empty on SQLite, whose search index is a folder of its own. See `marketplace/catalog/search/models.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

CODES = postgresql.ARRAY(sa.Text()).with_variant(sa.JSON(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "search_entry",
        sa.Column("listing_no", sa.String(length=16), nullable=False),
        sa.Column("tokens", postgresql.TSVECTOR().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("words", CODES, nullable=False),
        sa.Column("category", CODES, nullable=False),
        sa.Column("county", CODES, nullable=False),
        sa.Column("certificate", CODES, nullable=False),
        sa.Column("cooperative", CODES, nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("price_per_kg_fen", sa.BigInteger(), nullable=False),
        sa.Column("name_length", sa.Integer(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.Column("in_stock", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("listing_no", name=op.f("pk_search_entry")),
    )
    op.create_index("ix_search_entry_tokens", "search_entry", ["tokens"], postgresql_using="gin")
    op.create_table(
        "search_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_search_state_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_state")),
    )


def downgrade() -> None:
    op.drop_table("search_state")
    op.drop_index("ix_search_entry_tokens", table_name="search_entry", postgresql_using="gin")
    op.drop_table("search_entry")
