"""What surrounds a certificate: its history, the fee and what is waived of it, the right to use a geographical
indication with its cap.

The certificate itself stands in catalog/models.py, beside the product it is of. Its state is only the last line of its
history, so that what was in force at the time of a sale can be told whatever has happened since.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Certificate, CertificateState
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.labels import N_, LabelledEnum


class CertificateDeed(LabelledEnum):
    """What happens to a certificate."""

    APPLIED = "applied", N_("已提交审核")
    PASSED = "passed", N_("审核通过")
    RETURNED = "returned", N_("退回补正")
    REJECTED = "rejected", N_("审核不通过")
    SUSPENDED = "suspended", N_("暂停使用")
    LIFTED = "lifted", N_("恢复使用")
    REVOKED = "revoked", N_("撤销")
    FEE_STATED = "fee_stated", N_("登记费用")
    WAIVER_ASKED = "waiver_asked", N_("申请减免")
    WAIVER_APPROVED = "waiver_approved", N_("批准减免")
    WAIVER_DECLINED = "waiver_declined", N_("不予减免")


class CertificateEvent(Base):
    """One step in the life of a certificate: what, the state after it, who, when, why. Append-only.

    `amount_fen` belongs to fees and waivers.
    """

    __tablename__ = "certificate_event"
    __table_args__ = (
        CheckConstraint(
            "deed NOT IN ('suspended', 'lifted', 'revoked', 'waiver_declined') OR reason <> ''", name="reason"
        ),
        CheckConstraint("amount_fen > 0", name="amount"),
        Index("ix_certificate_event_certificate", "certificate_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    certificate_id: Mapped[int] = mapped_column(ForeignKey("certificate.id"))
    deed: Mapped[CertificateDeed] = mapped_column(code_of(CertificateDeed, "deed"))
    state: Mapped[CertificateState] = mapped_column(code_of(CertificateState, "state"))
    reason: Mapped[str] = mapped_column(String(300), default="")
    amount_fen: Mapped[int | None] = mapped_column(BigInteger)
    actor_user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    actor_name: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class WaiverState(LabelledEnum):
    """Whether the fee of a certificate is waived, wholly or in part."""

    NOT_ASKED = "not_asked", N_("未申请减免")
    ASKED = "asked", N_("减免待批")
    APPROVED = "approved", N_("已减免")
    DECLINED = "declined", N_("不予减免")


class CertificateFee(Base):
    """The fee of a certificate in fen, and how much of it is waived on which basis; approved by another person."""

    __tablename__ = "certificate_fee"
    __table_args__ = (
        CheckConstraint("fee_fen > 0", name="fee"),
        CheckConstraint("asked_fen >= 0 AND asked_fen <= fee_fen", name="asked"),
        CheckConstraint("waived_fen >= 0 AND waived_fen <= asked_fen", name="waived"),
        CheckConstraint("(state = 'not_asked') = (asked_fen = 0)", name="state_of_asked"),
        CheckConstraint("(state = 'approved') = (waived_fen > 0)", name="state_of_waived"),
        CheckConstraint("state = 'not_asked' OR basis <> ''", name="basis"),
        CheckConstraint("(state IN ('approved', 'declined')) = (decided_at IS NOT NULL)", name="decided"),
        CheckConstraint("decided_by <> asked_by", name="two_people"),
        Index("ix_certificate_fee_state", "state"),
    )

    certificate_id: Mapped[int] = mapped_column(
        ForeignKey("certificate.id"), primary_key=True, autoincrement=False
    )
    fee_fen: Mapped[int] = mapped_column(BigInteger)
    payee: Mapped[str] = mapped_column(String(80))
    asked_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    basis: Mapped[str] = mapped_column(String(200), default="")
    waived_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[WaiverState] = mapped_column(code_of(WaiverState, "state"), default=WaiverState.NOT_ASKED)
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    asked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    certificate: Mapped[Certificate] = relationship()


class GiUse(Base):
    """The yearly agreement behind the use of a farm product's geographical indication: whose it is, the area, the cap.

    `sold_g` grams were sold under it and never exceed `cap_g`; it is moved with the order lines that count (see
    ordering/gi_caps.py), never typed.
    """

    __tablename__ = "gi_use"
    __table_args__ = (
        CheckConstraint("area_cmu > 0 AND cap_g > 0", name="positive"),
        CheckConstraint("sold_g >= 0 AND sold_g <= cap_g", name="cap"),
        CheckConstraint("holder <> ''", name="holder"),
    )

    certificate_id: Mapped[int] = mapped_column(
        ForeignKey("certificate.id"), primary_key=True, autoincrement=False
    )
    holder: Mapped[str] = mapped_column(String(80))
    area_cmu: Mapped[int] = mapped_column(BigInteger)
    cap_g: Mapped[int] = mapped_column(BigInteger)
    sold_g: Mapped[int] = mapped_column(BigInteger, default=0)

    certificate: Mapped[Certificate] = relationship()

    @property
    def left_g(self) -> int:
        """Grams that may still be sold under it."""
        return self.cap_g - self.sold_g
