"""Messages to people, their e-mail addresses and wishes; see `marketplace/notices`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

CATEGORIES = ("orders", "money", "reviews")
STATES = ("none", "waiting", "sent", "failed")
UNREAD = sa.text("read_at IS NULL")
WAITS = sa.text("email_state = 'waiting'")


def _codes(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("trail_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("category", _codes("category", CATEGORIES), nullable=False),
        sa.Column("subject_no", sa.String(length=40), nullable=False),
        sa.Column("at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("read_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("email_state", _codes("email_state", STATES), nullable=False),
        sa.Column("email_tries", sa.Integer(), nullable=False),
        sa.Column("emailed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(email_state = 'sent') = (emailed_at IS NOT NULL)", name=op.f("ck_message_emailed")
        ),
        sa.ForeignKeyConstraint(["trail_id"], ["trail_entry.id"], name=op.f("fk_message_trail_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_message_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("public_no", name=op.f("uq_message_public_no")),
        sa.UniqueConstraint("user_id", "trail_id", name=op.f("uq_message_user_id_trail_id")),
    )
    op.create_index(op.f("ix_message_trail_id"), "message", ["trail_id"])
    op.create_index("ix_message_user", "message", ["user_id", "id"])
    op.create_index("ix_message_unread", "message", ["user_id"], sqlite_where=UNREAD, postgresql_where=UNREAD)
    op.create_index("ix_message_waiting", "message", ["id"], sqlite_where=WAITS, postgresql_where=WAITS)
    op.create_table(
        "notice_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trail_id", sa.Integer(), nullable=False),
        sa.Column("begun_after_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_notice_cursor_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_cursor")),
    )
    op.create_table(
        "email_address",
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("asked_at", db.UtcInstant(timezone=True), nullable=False),
        sa.Column("asked_mail_at", db.UtcInstant(timezone=True), nullable=True),
        sa.Column("confirmed_at", db.UtcInstant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_email_address_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_email_address")),
        sa.UniqueConstraint("token", name=op.f("uq_email_address_token")),
    )
    op.create_table(
        "notice_preference",
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("category", _codes("category", CATEGORIES), nullable=False),
        sa.Column("in_inbox", sa.Boolean(), nullable=False),
        sa.Column("by_email", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_notice_preference_user_id")),
        sa.PrimaryKeyConstraint("user_id", "category", name=op.f("pk_notice_preference")),
    )


def downgrade() -> None:
    for table in ("notice_preference", "email_address", "notice_cursor", "message"):
        op.drop_table(table)
