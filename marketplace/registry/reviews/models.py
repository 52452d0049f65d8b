"""Reviews: configurable steps that a cooperative's entry, a certificate or a recognition goes through.

Who reviews is responsible: each decision names the person. A public-notice step has a duration and takes objections.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import Role


class ReviewKind(LabelledEnum):
    """What is reviewed."""

    COOPERATIVE_ENTRY = "cooperative_entry", N_("合作社准入")
    CERTIFICATE = "certificate", N_("认证证书")
    LISTING_CHANGE = "listing_change", N_("商品修改")
    PRICE_EXPLANATION = "price_explanation", N_("价格说明")
    PRODUCT_RECOGNITION = "product_recognition", N_("扶贫产品认定")
    STORY = "story", N_("合作社故事")


class StepKind(LabelledEnum):
    """How a step is passed: by a person's decision, or by the days of a public notice without open objections."""

    DECISION = "decision", N_("审核")
    PUBLIC_NOTICE = "public_notice", N_("公示")


class ReviewStep(Base):
    """One configured step of a kind of review in a jurisdiction. Data: a county may add or drop steps."""

    __tablename__ = "review_step"
    __table_args__ = (
        UniqueConstraint("kind", "region_code", "position"),
        CheckConstraint("(step = 'public_notice') = (notice_days > 0)", name="notice_days"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[ReviewKind] = mapped_column(code_of(ReviewKind, "kind"))
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    position: Mapped[int]
    step: Mapped[StepKind] = mapped_column(code_of(StepKind, "step"))
    name_zh: Mapped[str] = mapped_column(String(40))
    name_en: Mapped[str] = mapped_column(String(60))
    role: Mapped[Role] = mapped_column(code_of(Role, "role"))
    notice_days: Mapped[int] = mapped_column(default=0)


class CaseState(LabelledEnum):
    """Where a review stands."""

    OPEN = "open", N_("审核中")
    PASSED = "passed", N_("已通过")
    REJECTED = "rejected", N_("未通过")
    RETURNED = "returned", N_("退回补正")


class ReviewCase(Base):
    """One thing under review. The steps are copied in when it opens, so that later changes of policy leave it be."""

    __tablename__ = "review_case"
    __table_args__ = (
        Index("ix_review_case_subject", "kind", "subject_id"),
        Index(
            "uq_review_case_open",
            "kind",
            "subject_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_review_case_state", "state", "region_code"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("V"))
    kind: Mapped[ReviewKind] = mapped_column(code_of(ReviewKind, "kind"))
    subject_id: Mapped[int]
    title: Mapped[str] = mapped_column(String(160))
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    state: Mapped[CaseState] = mapped_column(code_of(CaseState, "state"), default=CaseState.OPEN)
    current_position: Mapped[int] = mapped_column(default=1)
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    closed_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    steps: Mapped[list[CaseStep]] = relationship(order_by="CaseStep.position", lazy="selectin")


class CaseStep(Base):
    """A step as it applies to one case; a public notice has its dates once it has begun."""

    __tablename__ = "case_step"
    __table_args__ = (UniqueConstraint("case_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("review_case.id"), index=True)
    position: Mapped[int]
    step: Mapped[StepKind] = mapped_column(code_of(StepKind, "step"))
    name_zh: Mapped[str] = mapped_column(String(40))
    name_en: Mapped[str] = mapped_column(String(60))
    role: Mapped[Role] = mapped_column(code_of(Role, "role"))
    notice_days: Mapped[int] = mapped_column(default=0)
    notice_from: Mapped[date | None]
    notice_until: Mapped[date | None]
    notice_text: Mapped[str] = mapped_column(Text, default="")


class Decision(LabelledEnum):
    """What a reviewer answers."""

    PASS = "pass", N_("通过")
    RETURN = "return", N_("退回补正")
    REJECT = "reject", N_("不予通过")


class ReviewDecision(Base):
    """One answer to one step, and one step a person. Append-only; nobody answers a notice that ran out."""

    __tablename__ = "review_decision"
    __table_args__ = (
        UniqueConstraint("case_id", "position"),
        UniqueConstraint("case_id", "decided_by"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("review_case.id"), index=True)
    position: Mapped[int]
    decision: Mapped[Decision] = mapped_column(code_of(Decision, "decision"))
    comment: Mapped[str] = mapped_column(String(500), default="")
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_by_name: Mapped[str] = mapped_column(String(60))
    decided_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class ObjectionState(LabelledEnum):
    """An objection holds the case until a reviewer has answered it."""

    OPEN = "open", N_("待处理")
    UPHELD = "upheld", N_("成立")
    DISMISSED = "dismissed", N_("不成立")


class Objection(Base):
    """What somebody objects to a public notice; may be filed without an account."""

    __tablename__ = "objection"
    __table_args__ = (CheckConstraint("(state = 'open') = (answered_at IS NULL)", name="answered"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("O"))
    case_id: Mapped[int] = mapped_column(ForeignKey("review_case.id"), index=True)
    position: Mapped[int]
    text: Mapped[str] = mapped_column(String(1000))
    contact: Mapped[str] = mapped_column(String(100), default="")
    state: Mapped[ObjectionState] = mapped_column(
        code_of(ObjectionState, "state"), default=ObjectionState.OPEN
    )
    answer: Mapped[str] = mapped_column(String(1000), default="")
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    filed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    answered_at: Mapped[datetime | None] = mapped_column(UtcInstant)
