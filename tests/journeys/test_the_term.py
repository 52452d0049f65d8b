"""A school's term in browsers: the reserved quota filed, a request awarded, a delivery rejected in part, paid late,
evaluated and certified, and the quota at the right percentage.

Arranged beforehand is what the journey does not play: two cooperatives with oil for sale, the households behind it,
the rule of quotas and the accounts. The site's clock stands on the days of the term.
"""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.journeys import term, term_goods, term_money, term_quota, term_request
from tests.journeys.conftest import DESK, Calendar, OpenPage
from tests.journeys.people import Person, Theatre, Words
from tests.journeys.test_the_year import books_agree

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture
def theatre(open_page: OpenPage) -> Theatre:
    return Theatre(open_page, Words("zh_CN"), DESK)


@pytest.fixture
def cast(theatre: Theatre, session: Session, calendar: Calendar) -> dict[str, Person]:
    """Everybody, signed in on the first day of the term, for all of it."""
    users = term.lay_ground(session)
    session.commit()
    calendar.at = term.at(term.FIRST_DAY)
    return {name: theatre.sign_in(name, user.login_name) for name, user in users.items()}


def begin(cast: dict[str, Person]) -> None:
    """The first day: the quota is filed and confirmed, the request published, two cooperatives offer."""
    term_quota.file_quota(cast["orderer"])
    term_quota.confirm_quota(cast["approver"])
    term_request.ask(cast["orderer"])
    term_request.make_offer(cast["manager"], term.PRICE_FEN)
    term_request.make_offer(cast["rival"], term.RIVAL_PRICE_FEN)
    term_request.see_nothing_but_a_number(cast["orderer"])


def award(cast: dict[str, Person]) -> None:
    """After the deadline: compared, awarded, approved, confirmed and sent."""
    order_no = term_request.award(cast["orderer"])
    term_request.approve(cast["approver"], order_no)
    term_request.hear_of_the_outcome(cast["rival"])
    term_goods.send(cast["manager"])


def deliver(cast: dict[str, Person]) -> None:
    """The goods come; some are refused, and the cooperative agrees."""
    term_goods.reject_some(cast["receiver"])
    term_goods.agree(cast["manager"])


def pay(cast: dict[str, Person]) -> None:
    """The transfer arrives after the last day to pay."""
    code = term_money.read_slip(cast["payer"])
    term_money.import_transfer(cast["operator"], code)


def complete(theatre: Theatre, cast: dict[str, Person]) -> None:
    """Evaluated, certified, confirmed to anybody who asks, and counted."""
    term_goods.evaluate(cast["receiver"])
    address = term_goods.certify(cast["payer"])
    term_goods.check_certificate(theatre, address)
    term_quota.see_progress(cast["orderer"])


@pytest.mark.databases("sqlite")
def test_a_school_s_term_at_a_desk(
    theatre: Theatre, cast: dict[str, Person], app: Flask, session: Session, calendar: Calendar
) -> None:
    begin(cast)
    calendar.at = term.at(term.AWARDED_ON)
    award(cast)
    calendar.at = term.at(term.DELIVERED_ON)
    deliver(cast)
    calendar.at = term.at(term.PAID_ON)
    pay(cast)
    complete(theatre, cast)
    books_agree(app, session)
