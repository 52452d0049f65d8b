"""Card refunds go back through the gateway once, whatever dies in between; its notices are matched with them."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.payments.gateways.protocol import (
    EventKind,
    GatewayEvent,
    GatewayRefused,
    GatewayUnavailable,
    RefundMade,
    RefundState as ProviderState,
)
from marketplace.payments.models import NoticeOutcome, Payment
from marketplace.payments.notices import REFUNDED, apply_notices, take_notice
from marketplace.payments.refunds.models import Refund, RefundState
from marketplace.payments.refunds.sending import mark_returned, send_refunds
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.refunds import asked, buyer_of, refunded, shared_offer
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import sell


class Channel:
    """The edge of the network: gives back once per key, and dies or refuses when told to."""

    name = "channel"

    def __init__(self, *answers: str | Exception, at: datetime | None = None) -> None:
        self.answers = list(answers)
        self.given: dict[str, RefundMade] = {}
        self.calls = 0
        self.at = at or now()

    def refund(self, payment_ref: str, amount_fen: int, idempotency_key: str) -> RefundMade:
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else "done"
        if isinstance(answer, GatewayRefused):
            raise answer
        state = ProviderState(answer) if isinstance(answer, str) else ProviderState.DONE
        made = RefundMade(f"re_{idempotency_key}", payment_ref, amount_fen, state)
        made = self.given.setdefault(idempotency_key, made)
        if isinstance(answer, Exception):
            raise answer
        return made

    def read_event(self, payload: bytes, signature: str) -> GatewayEvent:
        given = sum(made.amount_fen for made in self.given.values())
        ref = next(iter(self.given.values())).payment_ref if self.given else signature
        return GatewayEvent(
            event_id=payload.decode(),
            kind=EventKind.REFUNDED,
            reference="",
            amount_fen=given or 10,
            occurred_at=self.at,
            raw_type="charge.refunded",
            payment_ref=ref,
        )


@pytest.fixture
def refund(session: Session, clock: HeldClock) -> Refund:
    """A refund of 40 fen by card, agreed to."""
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    made = refunded(session, order, 4)
    session.commit()
    return made


def test_the_money_goes_back_once(session: Session, refund: Refund, clock: HeldClock) -> None:
    channel = Channel()
    assert send_refunds(session, channel) == 1
    session.commit()
    assert (refund.state, refund.returned_at) == (RefundState.RETURNED, clock.now)
    assert refund.provider_refund_ref == f"re_{refund.public_no}"
    assert send_refunds(session, channel) == 0
    assert (channel.calls, channel.given[refund.public_no].amount_fen) == (1, 40)


def test_a_crash_between_the_call_and_its_record_is_made_good(session: Session, refund: Refund) -> None:
    channel = Channel()
    send_refunds(session, channel)
    session.rollback()  # the process died before the record
    session.refresh(refund)
    assert refund.state is RefundState.AGREED

    assert send_refunds(session, channel) == 1
    session.commit()
    assert refund.state is RefundState.RETURNED
    assert (channel.calls, len(channel.given)) == (2, 1)


def test_no_answer_is_asked_again_with_the_same_key(session: Session, refund: Refund) -> None:
    channel = Channel(GatewayUnavailable("timeout"))
    assert send_refunds(session, channel) == 0
    session.commit()
    assert refund.state is RefundState.AGREED
    send_refunds(session, channel)
    session.commit()
    assert (refund.state, len(channel.given)) == (RefundState.RETURNED, 1)


def test_a_clear_no_waits_for_the_cashier(session: Session, refund: Refund) -> None:
    send_refunds(session, Channel(GatewayRefused("charge_already_refunded", "re_1")))
    session.commit()
    assert (refund.state, refund.failure) == (RefundState.FAILED, "charge_already_refunded re_1")
    mark_returned(session, actor_with(Role.OPERATOR), refund, serial_no=" N-7 ")
    assert (refund.state, refund.serial_no) == (RefundState.RETURNED, "N-7")


def test_what_the_channel_still_sends_is_done_when_its_notice_comes(
    session: Session, refund: Refund, clock: HeldClock
) -> None:
    channel = Channel("pending")
    send_refunds(session, channel)
    session.commit()
    assert (refund.state, refund.returned_at) == (RefundState.SENT, None)

    notice = take_notice(session, channel, payload=b"evt_refunded", signature="")
    apply_notices(session)
    assert notice.outcome is NoticeOutcome.APPLIED
    assert (refund.state, refund.returned_at) == (RefundState.RETURNED, clock.now)


def test_money_given_back_without_a_refund_of_ours_waits_for_a_person(
    session: Session, clock: HeldClock
) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    refund = asked(session, buyer_of(session, order), order.parts[0], 4)
    channel = Channel()
    reference = session.scalars(select(Payment.provider_payment_ref)).one()
    notice = take_notice(session, channel, payload=b"evt_by_hand", signature=reference or "")
    apply_notices(session)
    assert (notice.outcome, notice.reason) == (NoticeOutcome.QUEUED, REFUNDED)
    assert refund.state is RefundState.ASKED


def test_only_the_cashier_marks_and_only_what_is_to_be_sent_by_hand(session: Session, refund: Refund) -> None:
    cashier = actor_with(Role.OPERATOR)
    with pytest.raises(Forbidden):
        mark_returned(session, actor_with(Role.COOPERATIVE_MANAGER), refund, serial_no="N-1")
    with pytest.raises(NotFound):  # a card refund goes through the channel
        mark_returned(session, cashier, refund, serial_no="N-1")
    with pytest.raises(Refused):
        mark_returned(session, cashier, refund, serial_no="长" * 61)
    assert refund.state is RefundState.AGREED
    send_refunds(session, Channel())
    with pytest.raises(Conflict):
        mark_returned(session, cashier, refund, serial_no="N-1")
    clearing = AccountKey.clearing("card")
    assert balances(session, [clearing])[clearing] == 60
