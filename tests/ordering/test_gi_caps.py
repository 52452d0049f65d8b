"""What is sold under an agreement on a geographical indication never exceeds its cap."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.catalog.certificates.models import GiUse
from marketplace.catalog.models import CertificateState
from marketplace.catalog.queries import available_units
from marketplace.core.errors import Conflict
from marketplace.ordering.bulk import Draft, place_orders
from marketplace.ordering.models import LineGiUse, OrderKind, OrderLine
from marketplace.ordering.rules import cancel_order
from tests.factories.certificates import gi_certified
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import DELIVERY, UNIT_G, buy, offer, staff_buyer
from tests.ordering.test_concurrency import all_at_once, placing


@pytest.fixture
def offered(session, clock):
    return offer(session, CooperativeFactory())


@pytest.fixture
def use(offered):
    return gi_certified(offered.listing.product, cap_g=5 * UNIT_G)


def sold_g(session, use):
    session.refresh(use)
    return use.sold_g


def test_sales_count_up_to_the_cap_and_no_further(session, offered, use):
    buyer = staff_buyer()
    buy(session, buyer, (offered, 3), key="first")
    assert (sold_g(session, use), available_units(session, [offered.listing.product_id])) == (
        3 * UNIT_G,
        {offered.listing.product_id: 2},
    )
    with pytest.raises(Conflict) as refused, session.begin_nested():
        buy(session, buyer, (offered, 3), key="second")
    assert (refused.value.code, refused.value.params["left"]) == ("gi_cap", "1")
    assert (sold_g(session, use), session.scalar(select(func.count()).select_from(OrderLine))) == (
        3 * UNIT_G,
        1,
    )
    buy(session, buyer, (offered, 2), key="third")
    assert sold_g(session, use) == use.cap_g


def test_a_cancelled_order_gives_its_grams_back(session, offered, use):
    buyer = staff_buyer()
    order = buy(session, buyer, (offered, 5))
    cancel_order(session, buyer, order, reason="买错了")
    assert sold_g(session, use) == 0
    assert session.scalars(select(LineGiUse.mass_g)).all() == [5 * UNIT_G]


def test_many_orders_at_once_share_the_cap(session, offered, use):
    buyer = staff_buyer()
    drafts = [
        Draft(
            actor=buyer,
            kind=OrderKind.PERSONAL,
            idempotency_key=f"key-{number}",
            lines=((offered.listing.public_no, 2),),
            delivery=DELIVERY,
        )
        for number in range(3)
    ]
    answers = place_orders(session, drafts)
    assert [getattr(answer, "code", "placed") for answer in answers] == ["placed", "placed", "gi_cap"]
    assert (sold_g(session, use), session.scalar(select(func.sum(LineGiUse.mass_g)))) == (
        4 * UNIT_G,
        4 * UNIT_G,
    )


def test_eight_buyers_at_once_never_pass_the_cap(session, engine, offered, use):
    buyers = [staff_buyer() for _ in range(8)]
    number, cap_g = offered.listing.public_no, use.cap_g
    session.commit()
    works = [placing(buyer, (number, 1), key=f"key-of-buyer-{n}") for n, buyer in enumerate(buyers)]
    answers = all_at_once(engine, works)
    assert Counter(answers)["gi_cap"] == 3
    session.expire_all()
    assert (use.sold_g, session.scalar(select(func.sum(LineGiUse.mass_g)))) == (cap_g, cap_g)


def test_a_suspended_indication_neither_counts_nor_stops_the_sale(session, offered, use):
    use.certificate.state = CertificateState.SUSPENDED
    session.flush()
    buy(session, staff_buyer(), (offered, 9))
    assert sold_g(session, use) == 0


def test_the_database_keeps_the_cap(session, offered, use):
    for grams in (use.cap_g + 1, -1):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(update(GiUse).values(sold_g=grams))
    assert sold_g(session, use) == 0
