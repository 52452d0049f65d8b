"""Stories of cooperatives with their versions and review; see `marketplace/catalog/stories`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0041"
down_revision = "0035"
branch_labels = None
depends_on = None

KINDS = ("cooperative_entry", "certificate", "listing_change", "price_explanation", "product_recognition")
NEW_KIND = "story"
STORY_STATES = ("unpublished", "shown", "withdrawn", "removed")
VERSION_STATES = ("draft", "waiting", "published", "replaced", "refused")
OPEN = sa.text("state IN ('draft', 'waiting')")
PUBLISHED = sa.text("state = 'published'")


def codes(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def allow_kinds(kinds: tuple[str, ...]) -> None:
    """Renew the checks on the kinds of reviews."""
    for table in ("review_step", "review_case"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"ck_{table}_kind"), type_="check")
            batch.create_check_constraint(
                op.f(f"ck_{table}_kind"), f"kind IN ({', '.join(map(repr, kinds))})"
            )


def add_step() -> None:
    """Where reviews are configured already, the province's default step of the new kind."""
    bind = op.get_bind()
    configured = sa.text(
        "SELECT 1 FROM review_step WHERE region_code = '36' AND kind = 'certificate' LIMIT 1"
    )
    if bind.execute(configured).first() is None:
        return
    bind.execute(
        sa.text(
            "INSERT INTO review_step (kind, region_code, position, step, name_zh, name_en, role, notice_days) "
            "VALUES ('story', '36', 1, 'decision', '县级审核', 'County review', 'county_reviewer', 0)"
        )
    )


def upgrade() -> None:
    allow_kinds((*KINDS, NEW_KIND))
    add_step()
    op.create_table(
        "story",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("state", codes("state", STORY_STATES), nullable=False),
        sa.Column("published_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("ended_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'removed') = (reason <> '')", name=op.f("ck_story_reason")),
        sa.CheckConstraint(
            "(state = 'unpublished') = (published_at IS NULL)", name=op.f("ck_story_published")
        ),
        sa.CheckConstraint(
            "(state IN ('withdrawn', 'removed')) = (ended_at IS NOT NULL)", name=op.f("ck_story_ended")
        ),
        sa.ForeignKeyConstraint(["cooperative_id"], ["cooperative.id"], name=op.f("fk_story_cooperative_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_story")),
        sa.UniqueConstraint("public_no", name=op.f("uq_story_public_no")),
    )
    op.create_index("ix_story_shown", "story", ["state", "published_at"])
    op.create_index("ix_story_cooperative", "story", ["cooperative_id", "state", "published_at"])
    create_versions()


def create_versions() -> None:
    op.create_table(
        "story_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=60), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("large_address", sa.String(length=64), nullable=False),
        sa.Column("small_address", sa.String(length=64), nullable=False),
        sa.Column("alt_text", sa.String(length=120), nullable=False),
        sa.Column("state", codes("state", VERSION_STATES), nullable=False),
        sa.Column("edited_by", sa.Integer(), nullable=True),
        sa.Column("edited_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("submitted_by", sa.Integer(), nullable=True),
        sa.Column("submitted_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=False),
        sa.CheckConstraint("title <> ''", name=op.f("ck_story_version_title")),
        sa.CheckConstraint(
            "state = 'draft' OR (text <> '' AND large_address <> '')", name=op.f("ck_story_version_complete")
        ),
        sa.CheckConstraint(
            "(large_address = '') = (small_address = '')", name=op.f("ck_story_version_picture")
        ),
        sa.CheckConstraint(
            "state = 'draft' OR submitted_at IS NOT NULL", name=op.f("ck_story_version_submitted")
        ),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> submitted_by", name=op.f("ck_story_version_two_people")
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name=op.f("fk_story_version_story_id")),
        sa.ForeignKeyConstraint(["edited_by"], ["user_account.id"], name=op.f("fk_story_version_edited_by")),
        sa.ForeignKeyConstraint(
            ["submitted_by"], ["user_account.id"], name=op.f("fk_story_version_submitted_by")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_story_version_decided_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_story_version")),
        sa.UniqueConstraint("story_id", "version", name=op.f("uq_story_version_story_id_version")),
    )
    for name, where in (("uq_story_version_open", OPEN), ("uq_story_version_published", PUBLISHED)):
        op.create_index(
            name, "story_version", ["story_id"], unique=True, sqlite_where=where, postgresql_where=where
        )
    op.create_table(
        "story_product",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["story_version.id"], name=op.f("fk_story_product_version_id")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_story_product_product_id")),
        sa.PrimaryKeyConstraint("version_id", "product_id", name=op.f("pk_story_product")),
    )
    op.create_index(op.f("ix_story_product_product_id"), "story_product", ["product_id"])


def downgrade() -> None:
    for table in ("story_product", "story_version", "story"):
        op.drop_table(table)
    op.execute("DELETE FROM review_step WHERE kind = 'story'")
    allow_kinds(KINDS)
