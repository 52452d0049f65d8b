"""An evaluation of one delivered part. Append-only: what was said stays said."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.identity.models import User
from marketplace.ordering.models import OrderPart

LEAST, MOST = 1, 5
MOST_REMARK = 500


class Evaluation(Base):
    """One evaluation a part: scores from 1 (very poor) to 5 (very good), and a remark."""

    __tablename__ = "evaluation"
    __table_args__ = (
        CheckConstraint(f"goods_score BETWEEN {LEAST} AND {MOST}", name="goods_score"),
        CheckConstraint(f"delivery_score BETWEEN {LEAST} AND {MOST}", name="delivery_score"),
        CheckConstraint("(goods_score > 2 AND delivery_score > 2) OR remark <> ''", name="poor_with_remark"),
        Index("ix_evaluation_cooperative", "cooperative_id", "part_id"),
        {"info": APPEND_ONLY},
    )

    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"), primary_key=True, autoincrement=False)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    goods_score: Mapped[int]
    delivery_score: Mapped[int]
    remark: Mapped[str] = mapped_column(String(MOST_REMARK), default="")
    evaluated_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    evaluated_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    part: Mapped[OrderPart] = relationship()
    evaluator: Mapped[User] = relationship()
    reply: Mapped[EvaluationReply | None] = relationship(back_populates="evaluation", uselist=False)


class EvaluationReply(Base):
    """What the cooperative answers to an evaluation: once, for everybody to read. Append-only."""

    __tablename__ = "evaluation_reply"
    __table_args__ = (CheckConstraint("text <> ''", name="text"), {"info": APPEND_ONLY})

    part_id: Mapped[int] = mapped_column(
        ForeignKey("evaluation.part_id"), primary_key=True, autoincrement=False
    )
    text: Mapped[str] = mapped_column(String(MOST_REMARK))
    replied_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    replied_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    evaluation: Mapped[Evaluation] = relationship(back_populates="reply")
