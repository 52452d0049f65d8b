"""Recognition of aid products (扶贫产品认定): the application, its history, and the spot checks of what is recognised.

The steps of its review, with the public notice, are those of registry/reviews. Who is recognised stands on three legs:
quality, a price at the average of the same specification or below, and a linkage mechanism (domain.md, section 10).
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Certificate, Product
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum


class RecognitionState(LabelledEnum):
    """A recognition shows its badge only while recognised, its cooperative admitted and its certificate in force."""

    UNDER_REVIEW = "under_review", N_("认定审核中")
    RECOGNISED = "recognised", N_("已认定")
    RETURNED = "returned", N_("退回补正")
    REJECTED = "rejected", N_("未通过")
    LAPSED = "lapsed", N_("已失效")
    REVOKED = "revoked", N_("已取消")


LIVE = "state IN ('under_review', 'recognised')"


class Recognition(Base):
    """The recognition of one product. `price_fen` is the price of a unit, `reference_fen` the average of the same
    specification, with its source."""

    __tablename__ = "recognition"
    __table_args__ = (
        CheckConstraint("price_fen > 0 AND price_fen <= reference_fen", name="price"),
        CheckConstraint("quality <> '' AND price_source <> '' AND linkage <> ''", name="complete"),
        CheckConstraint("state <> 'recognised' OR recognised_on IS NOT NULL", name="recognised"),
        CheckConstraint("(state IN ('lapsed', 'revoked')) = (ended_on IS NOT NULL)", name="ended"),
        Index(
            "uq_recognition_live",
            "product_id",
            unique=True,
            sqlite_where=text(LIVE),
            postgresql_where=text(LIVE),
        ),
        Index("ix_recognition_cooperative", "cooperative_id", "state"),
        Index("ix_recognition_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("RD"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"), index=True)
    quality: Mapped[str] = mapped_column(String(300))
    price_fen: Mapped[int] = mapped_column(BigInteger)
    reference_fen: Mapped[int] = mapped_column(BigInteger)
    price_source: Mapped[str] = mapped_column(String(200))
    linkage: Mapped[str] = mapped_column(String(300))
    state: Mapped[RecognitionState] = mapped_column(
        code_of(RecognitionState, "state"), default=RecognitionState.UNDER_REVIEW
    )
    recognised_on: Mapped[date | None]
    ended_on: Mapped[date | None]
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    product: Mapped[Product] = relationship(lazy="joined")
    certificate: Mapped[Certificate | None] = relationship()


class RecognitionDeed(LabelledEnum):
    """What happens to a recognition."""

    APPLIED = "applied", N_("已提交认定申请")
    RECOGNISED = "recognised", N_("认定为扶贫产品")
    RETURNED = "returned", N_("退回补正")
    REJECTED = "rejected", N_("不予认定")
    CHECK_DRAWN = "check_drawn", N_("抽中核查")
    CHECK_PASSED = "check_passed", N_("核查合格")
    CHECK_FAILED = "check_failed", N_("核查不合格")
    LAPSED = "lapsed", N_("认定失效")
    REVOKED = "revoked", N_("取消认定")


class RecognitionEvent(Base):
    """One step in the life of a recognition. Append-only."""

    __tablename__ = "recognition_event"
    __table_args__ = (
        CheckConstraint("deed NOT IN ('check_failed', 'lapsed', 'revoked') OR reason <> ''", name="reason"),
        Index("ix_recognition_event_recognition", "recognition_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recognition_id: Mapped[int] = mapped_column(ForeignKey("recognition.id"))
    deed: Mapped[RecognitionDeed] = mapped_column(code_of(RecognitionDeed, "deed"))
    state: Mapped[RecognitionState] = mapped_column(code_of(RecognitionState, "state"))
    reason: Mapped[str] = mapped_column(String(300), default="")
    actor_user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    actor_name: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class SpotCheckRound(Base):
    """A sample of the recognised products of a place. Append-only: `seed` and `population` let anyone draw it again
    (see draw.py)."""

    __tablename__ = "spot_check_round"
    __table_args__ = (
        CheckConstraint("size > 0 AND size <= population", name="size"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("CJ"))
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"), index=True)
    population: Mapped[int]
    size: Mapped[int]
    seed: Mapped[str] = mapped_column(String(32))
    drawn_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    drawn_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class CheckResult(LabelledEnum):
    """What a spot check found."""

    WAITING = "waiting", N_("待核查")
    PASSED = "passed", N_("抽查合格")
    FAILED = "failed", N_("不合格")


class SpotCheck(Base):
    """One recognition drawn in a round, and what was found."""

    __tablename__ = "spot_check"
    __table_args__ = (
        UniqueConstraint("round_id", "recognition_id"),
        CheckConstraint("(result = 'waiting') = (checked_at IS NULL)", name="checked"),
        CheckConstraint("result = 'waiting' OR note <> ''", name="note"),
        Index("ix_spot_check_recognition", "recognition_id", "result"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("spot_check_round.id"))
    recognition_id: Mapped[int] = mapped_column(ForeignKey("recognition.id"))
    result: Mapped[CheckResult] = mapped_column(code_of(CheckResult, "result"), default=CheckResult.WAITING)
    note: Mapped[str] = mapped_column(String(300), default="")
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    checked_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    recognition: Mapped[Recognition] = relationship(lazy="joined")
    round: Mapped[SpotCheckRound] = relationship()
