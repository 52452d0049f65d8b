"""A school's term in browsers: the reserved quota filed, a request awarded, a delivery rejected in part, invoiced,
paid late with the exact interest, evaluated and certified, a standing order with two skips, and the quota at the right
percentage.

Arranged beforehand is what the journey does not play: two cooperatives with oil for sale, the households behind it,
the rule of quotas and the accounts. The site's clock stands on the days of the term.
"""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.journeys import term, term_goods, term_money, term_quota, term_request, term_standing
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
    """The goods come; some are refused, the cooperative agrees and invoices the rest."""
    term_goods.reject_some(cast["receiver"])
    term_goods.agree(cast["manager"])
    term_money.hand_in_invoice(cast["manager"])
    term_money.check_invoice(cast["payer"])


def pay(cast: dict[str, Person]) -> None:
    """The transfer arrives ten days after the last day to pay, with the interest of that day."""
    code = term_money.read_slip(cast["payer"])
    term_money.import_transfer(cast["operator"], code)
    term_money.see_interest(cast["payer"])


def complete(theatre: Theatre, cast: dict[str, Person]) -> None:
    """Evaluated, certified, confirmed to anybody who asks, and counted."""
    term_goods.evaluate(cast["receiver"])
    address = term_goods.certify(cast["payer"])
    term_goods.check_certificate(theatre, address)


def order_regularly(cast: dict[str, Person]) -> None:
    """Four deliveries agreed on, approved once, promised by the cooperative, two of them skipped."""
    term_standing.plan(cast["orderer"])
    term_standing.approve(cast["approver"])
    term_standing.confirm(cast["manager"])
    term_standing.skip_two(cast["orderer"])


def look_back(cast: dict[str, Person], app: Flask, calendar: Calendar) -> None:
    """The worker has ordered what was not skipped; what is on the way does not count yet."""
    with calendar.held():
        swept = app.test_cli_runner().invoke(args=["job", "generate deliveries"])
    assert swept.exit_code == 0, swept.output
    term_standing.see_two_ordered(cast["orderer"])
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
    order_regularly(cast)
    calendar.at = term.at(term.LAST_LOOK)
    look_back(cast, app, calendar)
    books_agree(app, session)
