"""Edits of listings with their drafts, pictures that wait, what a buyer last saw of a cart line, and answers to
evaluations.

See `marketplace/catalog/listings` and `marketplace/procurement/evaluations`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0035"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_edits()
    with op.batch_alter_table("product_picture") as batch:
        batch.add_column(sa.Column("waits", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("product_picture") as batch:
        batch.alter_column("waits", server_default=None)
    with op.batch_alter_table("cart_line") as batch:
        batch.add_column(sa.Column("seen_version_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            op.f("fk_cart_line_seen_version_id"), "listing_version", ["seen_version_id"], ["id"]
        )
    op.create_table(
        "evaluation_reply",
        sa.Column("part_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("replied_by", sa.Integer(), nullable=False),
        sa.Column("replied_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("text <> ''", name=op.f("ck_evaluation_reply_text")),
        sa.ForeignKeyConstraint(
            ["part_id"], ["evaluation.part_id"], name=op.f("fk_evaluation_reply_part_id")
        ),
        sa.ForeignKeyConstraint(
            ["replied_by"], ["user_account.id"], name=op.f("fk_evaluation_reply_replied_by")
        ),
        sa.PrimaryKeyConstraint("part_id", name=op.f("pk_evaluation_reply")),
        info={"append_only": True},
    )
    dialect = op.get_bind().dialect.name
    for statement in append_only_statements("evaluation_reply", dialect, keys=[("part_id",)]):
        op.execute(statement)


def _create_edits() -> None:
    op.create_table(
        "listing_edit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("base_version_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(length=80), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("tiers", sa.JSON(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("certificate_id", sa.Integer(), nullable=True),
        sa.Column("matters", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft", "waiting", "published", "refused", "dropped",
                name="state", native_enum=False, create_constraint=True, length=40,
            ),
            nullable=False,
        ),
        sa.Column("edited_by", sa.Integer(), nullable=True),
        sa.Column("edited_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("submitted_by", sa.Integer(), nullable=True),
        sa.Column("submitted_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(state = 'published') = (version_id IS NOT NULL)", name=op.f("ck_listing_edit_published")
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'dropped') OR submitted_at IS NOT NULL", name=op.f("ck_listing_edit_submitted")
        ),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> submitted_by", name=op.f("ck_listing_edit_two_people")
        ),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_listing_edit_{column}"))
            for column, target in (
                ("product_id", "product.id"),
                ("cooperative_id", "cooperative.id"),
                ("base_version_id", "listing_version.id"),
                ("certificate_id", "certificate.id"),
                ("edited_by", "user_account.id"),
                ("submitted_by", "user_account.id"),
                ("decided_by", "user_account.id"),
                ("version_id", "listing_version.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_edit")),
        sa.UniqueConstraint("public_no", name=op.f("uq_listing_edit_public_no")),
    )  # fmt: skip
    is_open = sa.text("state IN ('draft', 'waiting')")
    op.create_index(
        "uq_listing_edit_open", "listing_edit", ["product_id"], unique=True,
        sqlite_where=is_open, postgresql_where=is_open,
    )  # fmt: skip
    op.create_index("uq_listing_edit_version_id", "listing_edit", ["version_id"], unique=True)
    op.create_index("ix_listing_edit_product", "listing_edit", ["product_id", "id"])
    op.create_index("ix_listing_edit_cooperative", "listing_edit", ["cooperative_id", "state"])


def downgrade() -> None:
    op.drop_table("evaluation_reply")
    with op.batch_alter_table("cart_line") as batch:
        batch.drop_constraint(op.f("fk_cart_line_seen_version_id"), type_="foreignkey")
        batch.drop_column("seen_version_id")
    with op.batch_alter_table("product_picture") as batch:
        batch.drop_column("waits")
    op.drop_table("listing_edit")
