"""Recognition of aid products, its history and spot checks; see `marketplace/catalog/recognition`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketplace.core import db
from marketplace.core.append_only import append_only_statements

revision = "0033"
down_revision = "0040"
branch_labels = None
depends_on = None

APPEND_ONLY = {"recognition_event": [("id",)], "spot_check_round": [("id",), ("public_no",)]}
STATES = ("under_review", "recognised", "returned", "rejected", "lapsed", "revoked")
DEEDS = (
    "applied", "recognised", "returned", "rejected", "check_drawn", "check_passed", "check_failed", "lapsed", "revoked",
)  # fmt: skip
LIVE = "state IN ('under_review', 'recognised')"
KINDS = ("cooperative_entry", "certificate", "listing_change", "price_explanation")
NEW_KIND = "product_recognition"
STEPS = (
    (1, "decision", "村级清单", "Village list", "village_reviewer", 0),
    (2, "decision", "乡镇复核", "Township review", "township_reviewer", 0),
    (3, "decision", "行业审核", "Sector review", "county_reviewer", 0),
    (4, "public_notice", "公示", "Public notice", "county_reviewer", 7),
    (5, "decision", "县级审定", "County decision", "county_reviewer", 0),
)


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


def add_steps() -> None:
    """Where reviews are configured already, the province's default steps of the new kind."""
    bind = op.get_bind()
    configured = sa.text(
        "SELECT 1 FROM review_step WHERE region_code = '36' AND kind = 'certificate' LIMIT 1"
    )
    if bind.execute(configured).first() is None:
        return
    statement = sa.text(
        "INSERT INTO review_step (kind, region_code, position, step, name_zh, name_en, role, notice_days) "
        "VALUES (:kind, '36', :position, :step, :name_zh, :name_en, :role, :notice_days)"
    )
    names = ("position", "step", "name_zh", "name_en", "role", "notice_days")
    bind.execute(statement, [dict(zip(names, row, strict=True)) | {"kind": NEW_KIND} for row in STEPS])


def upgrade() -> None:
    allow_kinds((*KINDS, NEW_KIND))
    add_steps()
    create_recognitions()
    create_checks()
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, op.get_bind().dialect.name, keys=keys):
            op.execute(statement)


def create_recognitions() -> None:
    op.create_table(
        "recognition",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("cooperative_id", sa.Integer(), nullable=False),
        sa.Column("certificate_id", sa.Integer(), nullable=True),
        sa.Column("quality", sa.String(length=300), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("reference_fen", sa.BigInteger(), nullable=False),
        sa.Column("price_source", sa.String(length=200), nullable=False),
        sa.Column("linkage", sa.String(length=300), nullable=False),
        sa.Column("state", codes("state", STATES), nullable=False),
        sa.Column("recognised_on", sa.Date(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("created_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("price_fen > 0 AND price_fen <= reference_fen", name=op.f("ck_recognition_price")),
        sa.CheckConstraint(
            "quality <> '' AND price_source <> '' AND linkage <> ''", name=op.f("ck_recognition_complete")
        ),
        sa.CheckConstraint(
            "state <> 'recognised' OR recognised_on IS NOT NULL", name=op.f("ck_recognition_recognised")
        ),
        sa.CheckConstraint(
            "(state IN ('lapsed', 'revoked')) = (ended_on IS NOT NULL)", name=op.f("ck_recognition_ended")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_recognition_product_id")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["cooperative.id"], name=op.f("fk_recognition_cooperative_id")
        ),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_recognition_certificate_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recognition")),
        sa.UniqueConstraint("public_no", name=op.f("uq_recognition_public_no")),
    )
    op.create_index(
        "uq_recognition_live",
        "recognition",
        ["product_id"],
        unique=True,
        sqlite_where=sa.text(LIVE),
        postgresql_where=sa.text(LIVE),
    )
    op.create_index("ix_recognition_cooperative", "recognition", ["cooperative_id", "state"])
    op.create_index("ix_recognition_state", "recognition", ["state", "id"])
    op.create_index(op.f("ix_recognition_certificate_id"), "recognition", ["certificate_id"])
    op.create_table(
        "recognition_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recognition_id", sa.Integer(), nullable=False),
        sa.Column("deed", codes("deed", DEEDS), nullable=False),
        sa.Column("state", codes("state", STATES), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("actor_user_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=60), nullable=False),
        sa.Column("at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint(
            "deed NOT IN ('check_failed', 'lapsed', 'revoked') OR reason <> ''",
            name=op.f("ck_recognition_event_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["recognition_id"], ["recognition.id"], name=op.f("fk_recognition_event_recognition_id")
        ),
        sa.ForeignKeyConstraint(
            ["actor_user_id"], ["user_account.id"], name=op.f("fk_recognition_event_actor_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recognition_event")),
        info={"append_only": True},
    )
    op.create_index("ix_recognition_event_recognition", "recognition_event", ["recognition_id", "id"])


def create_checks() -> None:
    op.create_table(
        "spot_check_round",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_no", sa.String(length=16), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("population", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("seed", sa.String(length=32), nullable=False),
        sa.Column("drawn_by", sa.Integer(), nullable=False),
        sa.Column("drawn_at", db.UtcInstant(timezone=True), nullable=False),
        sa.CheckConstraint("size > 0 AND size <= population", name=op.f("ck_spot_check_round_size")),
        sa.ForeignKeyConstraint(
            ["region_code"], ["region.code"], name=op.f("fk_spot_check_round_region_code")
        ),
        sa.ForeignKeyConstraint(["drawn_by"], ["user_account.id"], name=op.f("fk_spot_check_round_drawn_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spot_check_round")),
        sa.UniqueConstraint("public_no", name=op.f("uq_spot_check_round_public_no")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_spot_check_round_region_code"), "spot_check_round", ["region_code"])
    op.create_table(
        "spot_check",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("recognition_id", sa.Integer(), nullable=False),
        sa.Column("result", codes("result", ("waiting", "passed", "failed")), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("checked_by", sa.Integer(), nullable=True),
        sa.Column("checked_at", db.UtcInstant(timezone=True), nullable=True),
        sa.CheckConstraint("(result = 'waiting') = (checked_at IS NULL)", name=op.f("ck_spot_check_checked")),
        sa.CheckConstraint("result = 'waiting' OR note <> ''", name=op.f("ck_spot_check_note")),
        sa.ForeignKeyConstraint(["round_id"], ["spot_check_round.id"], name=op.f("fk_spot_check_round_id")),
        sa.ForeignKeyConstraint(
            ["recognition_id"], ["recognition.id"], name=op.f("fk_spot_check_recognition_id")
        ),
        sa.ForeignKeyConstraint(["checked_by"], ["user_account.id"], name=op.f("fk_spot_check_checked_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spot_check")),
        sa.UniqueConstraint("round_id", "recognition_id", name=op.f("uq_spot_check_round_id_recognition_id")),
    )
    op.create_index("ix_spot_check_recognition", "spot_check", ["recognition_id", "result"])


def downgrade() -> None:
    for table in ("spot_check", "spot_check_round", "recognition_event", "recognition"):
        op.drop_table(table)
    op.execute("DELETE FROM review_step WHERE kind = 'product_recognition'")
    allow_kinds(KINDS)
