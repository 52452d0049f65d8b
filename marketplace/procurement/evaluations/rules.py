"""Evaluating a part. A purchase counts towards a quota only when it is accepted, paid and evaluated (domain.md,
section 9), so none of the three can be skipped."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import move_part
from marketplace.ordering.states import PartEvent, PartState
from marketplace.procurement.evaluations.models import LEAST, MOST, MOST_REMARK, Evaluation, EvaluationReply
from marketplace.registry.reviews.notices import refuse_personal_numbers

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
    evaluated, Refused for a score off the scale, a poor one without a remark, or one with a personal number in it.
    """
    remark = " ".join(remark.split())
    for field, score in (("goods_score", goods_score), ("delivery_score", delivery_score)):
        if not LEAST <= score <= MOST:
            raise Refused("score", N_("请选择 1 到 5 分"), field=field)
    if min(goods_score, delivery_score) <= POOR and not remark:
        raise Refused("remark_missing", N_("评分较低时请写几句原因，合作社才知道怎样改进"), field="remark")
    if len(remark) > MOST_REMARK:
        raise Refused("remark_long", N_("最多 %(most)s 个字"), field="remark", most=MOST_REMARK)
    refuse_personal_numbers(remark, field="remark")
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


def reply_to_evaluation(
    session: Session, actor: Actor, evaluation: Evaluation, *, text: str
) -> EvaluationReply:
    """The cooperative answers what was said of its goods, once, for everybody to read.

    Raises NotFound for another cooperative's evaluation, Refused without words, with too many, or with a personal
    number in them, Conflict when there is an answer already.
    """
    actor.require(Permission.FULFIL_ORDERS)
    if actor.cooperative_id != evaluation.cooperative_id:
        raise NotFound
    text = " ".join(text.split())
    if not 1 <= len(text) <= MOST_REMARK:
        raise Refused("reply", N_("请写几句回复，最多 %(most)s 个字"), field="text", most=MOST_REMARK)
    refuse_personal_numbers(text, field="text")
    said_already = Conflict("replied", N_("这条评价已经回复过，回复不能修改"))
    if session.get(EvaluationReply, evaluation.part_id) is not None:
        raise said_already
    reply = EvaluationReply(part_id=evaluation.part_id, text=text, replied_by=actor.user_id)
    try:
        with session.begin_nested():
            session.add(reply)
    except IntegrityError:  # a colleague was quicker
        raise said_already from None
    session.expire(evaluation, ["reply"])
    return reply
