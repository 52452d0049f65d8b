"""What buyers say shows on the product's page without their names, and the cooperative answers once."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.procurement.evaluations.models import Evaluation, EvaluationReply
from marketplace.procurement.evaluations.queries import said_of_listing
from marketplace.procurement.evaluations.rules import evaluate_part, reply_to_evaluation
from tests.conftest import HeldClock, MarketClient
from tests.factories.registry import CooperativeFactory, actor_at, user_of
from tests.factories.trade import Offer, offer, sell, staff_buyer
from tests.journeys.paper import Visitor


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory())


def evaluated(
    session: Session, offered: Offer, *, score: int = 5, key: str = "an-order-to-speak-of"
) -> Evaluation:
    """A cadre bought, received, paid, and says how it was."""
    order = sell(session, offered, 1, key=key)
    buyer = actor_of(session.get_one(User, order.buyer_user_id))
    return evaluate_part(
        session, buyer, order.parts[0], goods_score=score, delivery_score=5, remark="油很香，瓶盖有点松"
    )


def test_a_cooperative_answers_once(session: Session, offered: Offer) -> None:
    said = evaluated(session, offered)
    manager = actor_at(offered.cooperative)
    reply = reply_to_evaluation(session, manager, said, text=" 已经换了 新瓶盖 ")
    assert (reply.text, said.reply.part_id) == ("已经换了 新瓶盖", said.part_id)
    with pytest.raises(Conflict):
        reply_to_evaluation(session, manager, said, text="再说一句")
    assert session.scalars(select(EvaluationReply.text)).all() == ["已经换了 新瓶盖"]
    for statement in ("UPDATE evaluation_reply SET text = 'x'", "DELETE FROM evaluation_reply"):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(text(statement))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("  ", "reply"),
        ("好" * 501, "reply"),
        ("请打 138 0000 0000 找我", "personal_number_in_public_text"),
        ("身份证 36102519700101001X", "personal_number_in_public_text"),
    ],
)
def test_an_answer_without_words_or_with_personal_numbers_is_refused(
    session: Session, offered: Offer, words: str, code: str
) -> None:
    said = evaluated(session, offered)
    with pytest.raises(Refused) as refused:
        reply_to_evaluation(session, actor_at(offered.cooperative), said, text=words)
    assert (refused.value.code, refused.value.status) == (code, 422)
    assert session.scalar(select(func.count()).select_from(EvaluationReply)) == 0


def test_nobody_else_answers(session: Session, offered: Offer) -> None:
    said = evaluated(session, offered)
    for actor, error in ((actor_at(CooperativeFactory()), NotFound), (staff_buyer(), Forbidden)):
        with pytest.raises(error):
            reply_to_evaluation(session, actor, said, text="好")
    assert session.scalar(select(func.count()).select_from(EvaluationReply)) == 0


def test_a_remark_with_a_telephone_number_is_refused(session: Session, offered: Offer) -> None:
    order = sell(session, offered, 1)
    buyer = actor_of(session.get_one(User, order.buyer_user_id))
    with pytest.raises(Refused):
        evaluate_part(
            session, buyer, order.parts[0], goods_score=5, delivery_score=5, remark="加我 13912345678"
        )
    assert session.scalar(select(func.count()).select_from(Evaluation)) == 0
    assert order.parts[0].evaluated_at is None


def test_a_listing_tells_the_mean_and_only_of_its_own_goods(session: Session, offered: Offer) -> None:
    other = offer(session, offered.cooperative)
    for place, score in enumerate((5, 4, 4)):
        evaluated(session, offered, score=score, key=f"order-number-{place}-of-goods")
    evaluated(session, other, score=1, key="an-order-of-other-goods")
    said = said_of_listing(session, offered.listing)
    assert (said.count, said.mean_hundredths, len(said.newest)) == (3, 433, 3)
    assert said_of_listing(session, offer(session, CooperativeFactory()).listing).count == 0


def test_the_product_s_page_shows_words_and_answer_and_no_names(
    client: MarketClient, session: Session, offered: Offer
) -> None:
    said = evaluated(session, offered)
    buyer_name = said.evaluator.display_name
    path, visitor = f"/products/{offered.listing.public_no}", Visitor(client)
    page = visitor.open(path)
    assert page.has("买过的人怎么说", "平均 5.00 分", "油很香，瓶盖有点松", "个人订单")
    assert buyer_name not in page.text
    client.sign_in(user_of(offered.cooperative))
    listed = visitor.open("/evaluations?state=said")
    reply = visitor.open(listed.link("回复"))
    assert visitor.press(reply, "公开回复", text="已换瓶盖").has("已换瓶盖")
    client.get("/sign-out")
    assert visitor.open(path).has("合作社回复：", "已换瓶盖")
