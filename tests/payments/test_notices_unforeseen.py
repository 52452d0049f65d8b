"""Messages of the gateway that nobody foresaw: a person looks, nothing moves, and the others go on."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.payments.disputes.models import PaymentDispute
from marketplace.payments.gateways.protocol import EventKind
from marketplace.payments.models import NoticeOutcome
from marketplace.payments.notices import NOT_UNDERSTOOD, apply_notices
from marketplace.payments.rules import ask_card_payment
from tests.conftest import HeldClock
from tests.factories.trade import buy
from tests.payments.test_cards import Sale


@pytest.fixture
def sale(session: Session, clock: HeldClock) -> Sale:
    return Sale(session)


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": EventKind.DISPUTED, "payment_ref": "pi_1", "reference": ""},  # its payload names no dispute
        {"payment_ref": "pi_1", "provider_ref": None},  # the provider's payment paid another order already
    ],
)
def test_a_message_nobody_foresaw_waits_for_a_person_and_moves_nothing(
    sale: Sale, session: Session, wish: dict[str, object]
) -> None:
    sale.told("evt_1")
    apply_notices(session)
    money = sale.money()
    other = Sale.__new__(Sale)
    other.__dict__ = {**sale.__dict__}
    other.order = buy(session, sale.buyer, (sale.offers[0], 1), key="a-second-order-of-hers")
    other.payment = ask_card_payment(session, sale.buyer, order=other.order)
    broken = other.told("evt_2", **wish)
    good = other.told("evt_3", payment_ref="pi_2", provider_ref=None)
    assert apply_notices(session) == 2
    assert (broken.outcome, broken.reason) == (NoticeOutcome.QUEUED, NOT_UNDERSTOOD)
    assert good.outcome is NoticeOutcome.APPLIED
    assert sale.money() == (money[0] + 5_000, money[1] + 5_000, money[2])
    assert session.scalar(select(func.count()).select_from(PaymentDispute)) == 0
