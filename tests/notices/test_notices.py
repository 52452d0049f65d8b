"""Who is told of what, once, in which language, by which way; and whose inbox it is."""

from __future__ import annotations

import socket
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.core.files import FileStore
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry, User
from marketplace.identity.trail_words import ACTIONS as WORDS
from marketplace.notices.collecting import collect_messages
from marketplace.notices.events import ACTIONS, EVENTS
from marketplace.notices.mailers import Mail, MailRefused, MailUnavailable, SmtpMailer
from marketplace.notices.models import EmailState, Message, NoticeCategory, NoticeCursor
from marketplace.notices.queries import MOST_TRIES, waiting_mails
from marketplace.notices.rules import (
    choose_notices,
    confirm_email_address,
    forget_email_address,
    is_address,
    name_email_address,
    read_all,
)
from marketplace.notices.sending import send_confirmations, send_messages
from marketplace.ordering.bulk import Approval, Draft, Placed, place_orders
from marketplace.ordering.models import Order, OrderKind
from marketplace.payments.refunds.rules import decline_refund
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory
from tests.factories.refunds import asked
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import DELIVERY, buy, deliver, offer, pay_by_card
from tests.journeys.paper import Visitor
from tests.payments.voucher_world import Union


class Post:
    """A mailer that keeps what it is given, or refuses it."""

    def __init__(self, error: DomainError | None = None) -> None:
        self.mails: list[Mail] = []
        self.error = error

    def send(self, mail: Mail) -> None:
        if self.error is not None:
            raise self.error
        self.mails.append(mail)


def whole(path: str) -> str:
    return f"https://market.test{path}"


def sent(session: Session, post: Post) -> int:
    """One pass of the job, committed as its runner does."""
    count = send_messages(session, post, whole)
    session.commit()
    return count


@pytest.fixture
def cadre(session: Session) -> User:
    session.add(NoticeCursor(trail_id=0, begun_after_id=0))
    user: User = UserFactory(granted=(Role.STAFF_BUYER,))
    return user


def sold(session: Session, cadre: User) -> Order:
    """A paid personal order of one cooperative."""
    order = buy(session, actor_of(cadre), (offer(session, CooperativeFactory()), 1))
    pay_by_card(session, actor_of(cadre), order)
    return order


def told(session: Session, user: User) -> list[str]:
    session.flush()
    rows = session.scalars(select(Message).where(Message.user_id == user.id).order_by(Message.trail_id))
    return [row.event for row in rows]


def with_address(session: Session, user: User) -> str:
    kept = name_email_address(session, actor_of(user), "name@example.cn")
    confirm_email_address(session, kept.token)
    return kept.address


def test_every_event_is_an_action_of_the_trail_with_words() -> None:
    assert set(WORDS) >= ACTIONS
    assert len({event.name for event in EVENTS}) == len(EVENTS)


def test_buyer_and_cooperative_are_told_of_each_others_deeds_and_not_of_their_own(
    session: Session, cadre: User
) -> None:
    order = sold(session, cadre)
    manager, clerk = (
        user_of(order.parts[0].cooperative, role)
        for role in (Role.COOPERATIVE_MANAGER, Role.COOPERATIVE_CLERK)
    )
    deliver(session, order.parts[0], actor_of(cadre))
    asked(session, actor_of(cadre), order.parts[0], 1)
    while collect_messages(session):
        pass
    assert told(session, cadre) == [
        "payments.received:buyer",
        "ordering.confirm:buyer",
        "ordering.ship:buyer",
    ]
    news = ["ordering.pay:cooperative", "ordering.accept:cooperative", "payments.ask_refund:cooperative"]
    assert [told(session, manager), told(session, clerk)] == [news, news]
    numbers = session.scalars(select(Message.subject_no).where(Message.user_id == cadre.id)).all()
    assert set(numbers) == {order.public_no}


def test_a_units_people_are_told_by_duty(session: Session, cadre: User) -> None:
    unit = BuyerUnitFactory()
    people = {
        role: user_of(unit, role)
        for role in (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER, Role.UNIT_PAYER)
    }
    buy(
        session,
        actor_of(people[Role.UNIT_ORDERER]),
        (offer(session, CooperativeFactory()), 1),
        kind=OrderKind.CANTEEN,
    )
    collect_messages(session)
    assert {role: told(session, user) for role, user in people.items()} == {
        Role.UNIT_ORDERER: [],
        Role.UNIT_APPROVER: ["ordering.place:unit"],
        Role.UNIT_RECEIVER: [],
        Role.UNIT_PAYER: [],
    }


def test_what_was_approved_beforehand_waits_for_its_cooperative_and_for_no_approver(
    session: Session, cadre: User, clock: HeldClock
) -> None:
    unit, offers = BuyerUnitFactory(), [offer(session, CooperativeFactory()) for _ in range(2)]
    orderer, approver = user_of(unit, Role.UNIT_ORDERER), user_of(unit, Role.UNIT_APPROVER)
    draft = Draft(
        actor=actor_of(orderer),
        kind=OrderKind.CANTEEN,
        idempotency_key="planned",
        lines=[(one.listing.public_no, 1) for one in offers],
        delivery=DELIVERY,
        approval=Approval(approver.id, now()),
    )
    (placed,) = place_orders(session, [draft])
    assert isinstance(placed, Placed)
    parts = session.get_one(Order, placed.order_id).parts
    sellers = [user_of(part.cooperative, Role.COOPERATIVE_CLERK) for part in parts]
    collect_messages(session)
    assert [told(session, user) for user in (orderer, approver)] == [[], []]
    for part, seller in zip(parts, sellers, strict=True):
        assert told(session, seller) == ["ordering.pass_on:cooperative"]
        (message,) = session.scalars(select(Message).where(Message.user_id == seller.id))
        assert message.subject_no == part.public_no


def test_what_is_handed_over_for_a_voucher_waits_for_nobody(
    session: Session, cadre: User, clock: HeldClock, files: FileStore, data_key: DataKey
) -> None:
    union = Union(session, files, data_key)
    _batch, codes = union.printed()
    union.redeem(codes[0])
    collect_messages(session)
    assert session.scalar(select(func.count()).select_from(Message)) == 0


def test_what_somebody_of_a_unit_buys_at_home_is_told_to_nobody_there(session: Session, cadre: User) -> None:
    unit = BuyerUnitFactory()
    orderer = user_of(unit, Role.UNIT_ORDERER, Role.STAFF_BUYER)
    approver = user_of(unit, Role.UNIT_APPROVER)
    sold(session, orderer)
    collect_messages(session)
    assert told(session, approver) == []
    assert told(session, orderer) == ["payments.received:buyer"]


def test_a_second_pass_tells_nothing_twice_and_finds_what_came_late(session: Session, cadre: User) -> None:
    sold(session, cadre)
    collect_messages(session)
    before = told(session, cadre)
    last = session.get_one(NoticeCursor, 1).trail_id
    collect_messages(session)
    assert told(session, cadre) == before
    late = session.scalars(select(TrailEntry).where(TrailEntry.action == "payments.received")).one()
    session.execute(text("DELETE FROM message"))
    assert late.id <= last
    collect_messages(session)
    assert told(session, cadre) == before
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text("UPDATE message SET email_state = 'sent'"))


def test_what_was_before_there_were_inboxes_is_no_news(session: Session) -> None:
    user = UserFactory(granted=(Role.STAFF_BUYER,))
    sold(session, user)
    assert collect_messages(session) is False
    collect_messages(session)
    assert told(session, user) == []


def test_wishes_decide_which_way(session: Session, cadre: User) -> None:
    with_address(session, cadre)
    choose_notices(
        session,
        actor_of(cadre),
        {NoticeCategory.ORDERS: (False, False), NoticeCategory.MONEY: (True, False)},
    )
    order = sold(session, cadre)
    deliver(session, order.parts[0], actor_of(cadre))
    collect_messages(session)
    assert told(session, cadre) == ["payments.received:buyer"]
    assert session.scalars(select(Message.email_state).where(Message.user_id == cadre.id)).all() == [
        EmailState.NONE
    ]


def test_mail_goes_once_in_the_reader_s_language(app: Flask, session: Session, cadre: User) -> None:
    cadre.locale = "en"
    to, order, post = with_address(session, cadre), sold(session, cadre), Post()
    collect_messages(session)
    session.commit()
    with app.test_request_context():
        assert [sent(session, post) for _ in range(2)] == [1, 0]
    (mail,) = post.mails
    assert (mail.to, mail.subject) == (to, f"The payment of order {order.public_no} has arrived")
    assert "https://market.test/inbox/XX-" in mail.text
    message = session.scalars(select(Message).where(Message.user_id == cadre.id)).one()
    assert message.email_state is EmailState.SENT
    assert message.emailed_at is not None


def tries_of(session: Session, user: User) -> int:
    return session.scalars(select(Message.email_tries).where(Message.user_id == user.id)).one()


def test_a_server_that_is_down_is_tried_again_and_given_up_in_the_end(
    app: Flask, session: Session, cadre: User, clock: HeldClock
) -> None:
    with_address(session, cadre)
    sold(session, cadre)
    collect_messages(session)
    session.commit()
    down, waited = Post(MailUnavailable("421")), 0
    with app.test_request_context():
        assert sent(session, down) == 0
        for tries in range(1, MOST_TRIES):
            clock.advance(minutes=2**tries - waited - 1)
            assert (sent(session, down), tries_of(session, cadre)) == (0, tries)
            clock.advance(minutes=1)
            waited = 2**tries
            assert sent(session, down) == (tries == MOST_TRIES - 1)
            assert tries_of(session, cadre) == tries + 1
    assert session.scalars(select(Message.email_state).where(Message.user_id == cadre.id)).one() == "failed"


class Watching(Post):
    """A mailer that notes whether a transaction is open while it is at work."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.open: list[bool] = []

    def send(self, mail: Mail) -> None:
        super().send(mail)
        self.open.append(self.session.in_transaction())


def test_nothing_is_locked_while_mails_leave(app: Flask, session: Session, cadre: User) -> None:
    with_address(session, cadre)
    deliver(session, sold(session, cadre).parts[0], actor_of(cadre))
    for number in range(2):
        user = UserFactory(granted=(Role.STAFF_BUYER,))
        name_email_address(session, actor_of(user), f"new{number}@example.cn")
    collect_messages(session)
    session.commit()
    post = Watching(session)
    with app.test_request_context():
        assert send_confirmations(session, post, whole) == 3
        session.commit()
        assert send_messages(session, post, whole) == 3
    assert post.open == [False] * 6


def test_what_cannot_leave_does_not_keep_the_rest_waiting(
    session: Session, cadre: User, clock: HeldClock
) -> None:
    with_address(session, cadre)
    order = sold(session, cadre)
    collect_messages(session)
    stuck = session.scalars(select(Message).where(Message.user_id == cadre.id)).one()
    stuck.email_tries = 1
    clock.advance(minutes=2)
    deliver(session, order.parts[0], actor_of(cadre))
    collect_messages(session)
    assert [row.email_tries for row, _to in waiting_mails(session, limit=3)] == [0, 0, 1]


def test_a_refused_mail_is_not_tried_again(app: Flask, session: Session, cadre: User) -> None:
    with_address(session, cadre)
    sold(session, cadre)
    collect_messages(session)
    session.commit()
    with app.test_request_context():
        assert sent(session, Post(MailRefused("550"))) == 1
        assert sent(session, Post()) == 0


def test_nothing_is_sent_to_an_address_before_its_link_was_opened(
    app: Flask, session: Session, cadre: User
) -> None:
    kept, post = name_email_address(session, actor_of(cadre), "name@example.cn"), Post()
    sold(session, cadre)
    collect_messages(session)
    session.commit()
    with app.test_request_context():
        assert send_messages(session, post, whole) == 0
        assert send_confirmations(session, post, whole) == 1
        session.commit()
        assert send_confirmations(session, post, whole) == 0
    assert whole(f"/account/notices/confirm/{kept.token}") in post.mails[0].text


def test_forgetting_the_address_stops_what_waits(app: Flask, session: Session, cadre: User) -> None:
    with_address(session, cadre)
    sold(session, cadre)
    collect_messages(session)
    forget_email_address(session, actor_of(cadre))
    session.commit()
    with app.test_request_context():
        assert send_messages(session, Post(), whole) == 0
    assert told(session, cadre) == ["payments.received:buyer"]


@pytest.mark.parametrize(
    "address",
    ["", "name", "name@", "@example.cn", "name@localhost", "a b@example.cn", "a@example.cn\nBcc: x@y.z",
     "张三@example.cn", "a@b@example.cn", "n" * 200 + "@example.cn", "a@example.cn,b@example.cn"],
)  # fmt: skip
def test_what_is_no_address_is_refused(session: Session, cadre: User, address: str) -> None:
    assert not is_address(address.strip())
    with pytest.raises(DomainError) as refused:
        name_email_address(session, actor_of(cadre), address)
    assert refused.value.field == "address"
    assert session.scalar(select(func.count()).select_from(text("email_address"))) == 0


def test_a_link_holds_two_days_and_is_asked_for_again_after_five_minutes(
    session: Session, cadre: User, clock: HeldClock
) -> None:
    kept = name_email_address(session, actor_of(cadre), "name@example.cn")
    with pytest.raises(Conflict):
        name_email_address(session, actor_of(cadre), "other@example.cn")
    clock.advance(minutes=5)
    token = name_email_address(session, actor_of(cadre), "other@example.cn").token
    clock.advance(hours=48, minutes=1)
    for one in (token, "nonsense", kept.address):
        with pytest.raises(NotFound):
            confirm_email_address(session, one)
    assert kept.confirmed_at is None


def test_the_inbox_is_read_and_leads_on(client: MarketClient, session: Session, cadre: User) -> None:
    order = sold(session, cadre)
    collect_messages(session)
    session.commit()
    client.sign_in(cadre)
    visitor = Visitor(client)
    page = visitor.open("/inbox")
    assert page.has(f"订单 {order.public_no} 付款已到账", "未读")
    number = session.scalars(select(Message.public_no).where(Message.user_id == cadre.id)).one()
    assert visitor.press(visitor.open(f"/inbox/{number}"), "去看看").path == f"/orders/{order.public_no}"
    assert not visitor.open("/inbox").has("未读 · ")
    assert visitor.open("/inbox?show=unread").has("没有未读消息")
    read_all(session, actor_of(cadre))


def test_another_person_s_message_does_not_exist(client: MarketClient, session: Session, cadre: User) -> None:
    sold(session, cadre)
    collect_messages(session)
    session.commit()
    number = session.scalars(select(Message.public_no).where(Message.user_id == cadre.id)).one()
    client.sign_in(UserFactory(granted=(Role.STAFF_BUYER,)))
    assert client.get(f"/inbox/{number}").status_code == 404
    assert client.post(f"/inbox/{number}").status_code == 404
    session.expire_all()
    assert session.scalars(select(Message.read_at).where(Message.user_id == cadre.id)).one() is None


def test_an_address_is_named_and_confirmed_on_the_page(
    client: MarketClient, session: Session, cadre: User, app: Flask
) -> None:
    client.sign_in(cadre)
    visitor = Visitor(client)
    page = visitor.press(visitor.open("/account/notices"), "用这个邮箱", status=422, address="name@")
    assert page.button("用这个邮箱")[0].values["address"] == "name@"
    page = visitor.press(page, "用这个邮箱", address="name@example.cn")
    assert page.has("确认邮件已发往 name@example.cn", "待确认")
    mailer = app.extensions["mailer"]
    with app.test_request_context():
        send_confirmations(session, mailer, whole)
    session.commit()
    (file,) = mailer.folder.iterdir()
    written = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(written, EmailMessage)
    path = written.get_content().split("https://market.test")[1].split()[0]
    assert visitor.press(visitor.open(path), "确认这个邮箱").has("邮箱已确认", "name@example.cn")
    page = visitor.press(visitor.open("/account/notices"), "保存")
    assert page.has("通知设置已保存", "已确认")


@pytest.mark.parametrize("url", ["http://host", "smtp://", "host:25", ""])
def test_an_smtp_address_names_a_server(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP_URL"):
        SmtpMailer(url, "a@example.cn")


def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    mailer = SmtpMailer("smtp://127.0.0.1:9", "a@example.cn")
    with pytest.raises(MailUnavailable):
        mailer.send(Mail("b@example.cn", "题", "文", "k"))


def test_a_password_is_not_said_where_nobody_offers_to_hide_it() -> None:
    heard: list[bytes] = []

    def answer(door: socket.socket) -> None:
        with door.accept()[0] as line:
            line.sendall(b"220 mail.test\r\n")
            while said := line.recv(1_000):
                heard.append(said)
                line.sendall(b"250 mail.test\r\n")

    with socket.create_server(("127.0.0.1", 0)) as door:
        server = threading.Thread(target=answer, args=(door,))
        server.start()
        mailer = SmtpMailer(f"smtp://user:secret@127.0.0.1:{door.getsockname()[1]}", "a@example.cn")
        with pytest.raises(MailUnavailable):
            mailer.send(Mail("b@example.cn", "题", "文", "k"))
        server.join(10)
    assert [one.split()[0] for one in heard] == [b"ehlo"]


def test_a_declined_refund_is_told(session: Session, cadre: User) -> None:
    order = sold(session, cadre)
    deliver(session, order.parts[0], actor_of(cadre))
    refund = asked(session, actor_of(cadre), order.parts[0], 1)
    decline_refund(session, actor_at(order.parts[0].cooperative), refund, reason="照片看不出破损")
    collect_messages(session)
    assert told(session, cadre)[-1] == "payments.decline_refund:buyer"
