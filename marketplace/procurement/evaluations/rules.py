"""Evaluating a part. A purchase counts towards a quota only when it is accepted, paid and evaluated (domain.md,
section 9), so none of the three can be skipped."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import move_part
from marketplace.ordering.states import PartEvent, PartState
from marketplace.procurement.evaluations.models import LEAST, MOST, MOST_REMARK, Evaluation

POOR = 2  # scores up to here are explained in words


def evaluate_part(
    session: Session,
    actor: Actor,
    part: OrderPart,
    *,
    goods_score: int,
    delivery_score: int,
    remark: str = "",
) -> Evaluation:
    """Say how the goods and the delivery of a part were, on scales of 1 to 5.

    Raises NotFound and Forbidden as every move of a part, Conflict before it is accepted and paid or when it was
    evaluated, Refused for a score off the scale or a poor one without a remark.
    """
    remark = " ".join(remark.split())
    for field, score in (("goods_score", goods_score), ("delivery_score", delivery_score)):
        if not LEAST <= score <= MOST:
            raise Refused("score", N_("请选择 1 到 5 分"), field=field)
    if min(goods_score, delivery_score) <= POOR and not remark:
        raise Refused("remark_missing", N_("评分较低时请写几句原因，合作社才知道怎样改进"), field="remark")
    if len(remark) > MOST_REMARK:
        raise Refused("remark_long", N_("最多 %(most)s 个字"), field="remark", most=MOST_REMARK)
    if part.state is PartState.ACCEPTED and part.paid_at is None:
        raise Conflict("not_paid", N_("货款还没有到账，付清以后才能评价"))
    if part.evaluated_at is not None:
        raise Conflict("evaluated", N_("这笔订单已经评价过，评价不能修改"))
    evaluation = Evaluation(
        part_id=part.id,
        cooperative_id=part.cooperative_id,
        goods_score=goods_score,
        delivery_score=delivery_score,
        remark=remark,
        evaluated_by=actor.user_id,
        evaluated_at=now(),
    )
    move_part(session, actor, part, PartEvent.EVALUATE)
    try:
        with session.begin_nested():
            session.add(evaluation)
    except IntegrityError:  # somebody else of the unit was quicker
        raise Conflict("evaluated", N_("这笔订单已经评价过，评价不能修改")) from None
    part.evaluated_at = evaluation.evaluated_at
    session.flush()
    return evaluation
